"""Attributes by keyword, compared with pydicom's own access."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import UID

from medmeta.scans.attributes import attribute, holds, registered


def test_they_are_what_pydicom_gives() -> None:
    dataset = Dataset()
    dataset.Rows, dataset.WindowCenter, dataset.Modality = 7, [40, 50], None
    for keyword in ("Rows", "WindowCenter", "Modality", "KVP"):
        assert attribute(dataset, keyword) == dataset.get(keyword)
        assert holds(dataset, keyword) == (keyword in dataset)


def test_a_uid_is_named_as_the_standard_does() -> None:
    for uid in ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.4.80"):
        assert registered(uid) == (UID(uid).type, UID(uid).name)
    assert registered("1.2.3.4") == ("", "")
    assert registered("no uid at all") == ("", "")
