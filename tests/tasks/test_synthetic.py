"""The sample task goes through the real intake and can be told apart, but not perfectly."""

from __future__ import annotations

from io import BytesIO

import pydicom

from medmeta.scans.intake import iter_intake
from medmeta.scans.reader import in_process
from medmeta.scans.scan import LabelledScan
from medmeta.tasks.synthetic import SAMPLE_DESCRIPTIONS, sample_uploads
from medmeta.tasks.task import make_task


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert sample_uploads(3) == sample_uploads(3)
    assert sample_uploads(3) != sample_uploads(4)


def test_files_are_valid_ct_slices_in_hounsfield_units() -> None:
    for _, content in sample_uploads():
        data = pydicom.dcmread(BytesIO(content))
        assert data.Modality == "CT"
        assert data.PatientName == "SYNTHETIC"
        values = data.pixel_array * data.RescaleSlope + data.RescaleIntercept
        assert -1024 <= values.min() < -700  # air in the lung
        assert 0 < values.max() < 400  # soft tissue, no bone


def test_intake_takes_every_slice_with_its_patient() -> None:
    found = list(iter_intake(sample_uploads(), key=bytes(32), reader=in_process()))
    task = make_task(item for item in found if isinstance(item, LabelledScan))
    assert len(task.scans) == 24
    assert task.groups_per_class() == dict.fromkeys(sorted(SAMPLE_DESCRIPTIONS), 6)
    assert {scan.unit for scan in task.scans} == {"HU"}
    assert {scan.group_source for scan in task.scans} == {"PatientID"}
