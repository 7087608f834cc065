"""Domains guessed from names and DICOM tags."""

from __future__ import annotations

import numpy as np
import pytest

from medmeta.scans.scan import Scan
from medmeta.tasks.domains import domain_of


def scan(modality: str | None) -> Scan:
    return Scan("f", np.zeros((1, 2, 2), np.uint8), "g", tags={"Modality": modality} if modality else {})


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("pbc_blood", "blood"),
        ("brain_tumor_mri", "mri"),
        ("knee_oa_xray", "xray"),
        ("Chest X-ray 2", "xray"),
        ("chest_ct", "ct"),
        ("pathmnist", "histology"),
        ("bloodmnist_64", "blood"),
        ("octmnist", "oct"),
        ("breastmnist", "ultrasound"),
        ("med_nist", "med_nist"),
        ("doctors", "doctors"),
    ],
)
def test_a_word_of_the_name_decides(name: str, domain: str) -> None:
    assert domain_of(name) == domain


def test_dicom_modality_decides_where_the_name_says_nothing() -> None:
    assert domain_of("study", [scan("MR"), scan("MR")]) == "mri"
    assert domain_of("study", [scan("MR"), scan("CT")]) == "study"
    assert domain_of("study", [scan("MR"), scan(None)]) == "study"
    assert domain_of("study", [scan("SEG")]) == "study"
    assert domain_of("blood", [scan("SM")]) == "blood"
