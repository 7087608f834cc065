"""Fixtures every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real scans, from ``MEDMETA_DATA`` or beside the checkout; skips where there is none."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("MEDMETA_DATA", default))
    if not (folder / "dicom").is_dir():
        pytest.skip("the real scans are not here: set MEDMETA_DATA to their folder")
    return folder
