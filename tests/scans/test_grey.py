"""What the numbers of a greyscale image are in, and which of its tables make them, by the standard's clauses."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from dicom_files import dataset, dicom, encoded, gradient, read
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

from medmeta.scans.display import render

X_RAY = (XRayAngiographicImageStorage, XRayRadiofluoroscopicImageStorage)


@pytest.mark.parametrize(
    ("written", "image_type", "modality", "unit"),
    [
        (None, "AXIAL", "CT", "HU"),
        ("HU", "AXIAL", "CT", "HU"),
        ("US", "AXIAL", "CT", ""),  # unspecified
        ("KEV OF OURS", "AXIAL", "CT", ""),
        (None, "LOCALIZER", "CT", ""),
        ("HU", "LOCALIZER", "CT", ""),
        (None, "AXIAL", "MR", ""),
    ],
)
def test_hounsfield_units_are_said_of_ct_slices_only(
    written: str | None, image_type: str, modality: str, unit: str
) -> None:
    """PS3.3 C.8.2.1: Rescale Type is required where it is not HU, and a localizer is in no such units."""
    tags = {"RescaleType": written} if written else {}
    data = dicom(
        gradient(),
        Modality=modality,
        ImageType=["ORIGINAL", "PRIMARY", image_type],
        RescaleSlope=1,
        RescaleIntercept=-1024,
        **tags,
    )
    assert read(data).unit == unit


def xray(sop_class: str, relationship: str, transformation: str) -> bytes:
    made = dataset(
        gradient(kind="<u2"), SOPClassUID=sop_class, Modality="XA", WindowCenter=500, WindowWidth=1000
    )
    made.PixelIntensityRelationship = relationship
    if transformation == "rescale":
        made.RescaleSlope, made.RescaleIntercept, made.RescaleType = 2, 100, "OD"
    else:
        table = Dataset()
        table.LUTDescriptor, table.ModalityLUTType = [1000, 0, 16], "OD"
        table.LUTData = [65535 - 60 * value for value in range(1000)]
        table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
        made.ModalityLUTSequence = Sequence([table])
    return encoded(made)


@pytest.mark.parametrize("transformation", ["rescale", "table"])
@pytest.mark.parametrize("relationship", ["LOG", "DISP"])
@pytest.mark.parametrize("sop_class", X_RAY)
def test_what_leads_back_to_the_xray_intensity_is_not_applied(
    sop_class: str, relationship: str, transformation: str
) -> None:
    scan = read(xray(sop_class, relationship, transformation))
    np.testing.assert_array_equal(scan.pixels[0], gradient(kind="<u2"))
    assert scan.unit == ""


@pytest.mark.parametrize(
    ("sop_class", "relationship"), [(ComputedRadiographyImageStorage, "LOG"), (X_RAY[0], "LIN")]
)
def test_other_images_go_through_theirs(sop_class: str, relationship: str) -> None:
    scan = read(xray(sop_class, relationship, "rescale"))
    np.testing.assert_array_equal(scan.pixels[0], gradient(kind="<u2").astype(int) * 2 + 100)
    assert scan.unit == "OD"


@pytest.mark.skipif(shutil.which("dcm2pnm") is None, reason="DCMTK is not installed")
@pytest.mark.parametrize("transformation", ["rescale", "table"])
@pytest.mark.parametrize("sop_class", [*X_RAY, ComputedRadiographyImageStorage])
def test_logarithmic_images_look_as_dcmtk_draws_them(
    sop_class: str, transformation: str, tmp_path: Path
) -> None:
    source, drawn = tmp_path / "in.dcm", tmp_path / "out.pgm"
    data = xray(sop_class, "LOG", transformation)
    source.write_bytes(data)
    subprocess.run(["dcm2pnm", "+Wi", "1", str(source), str(drawn)], check=True, capture_output=True)
    mine, theirs = render(read(data)).astype(int), np.asarray(Image.open(drawn)).astype(int)
    assert np.abs(mine - theirs).max() <= 1  # DCMTK cuts off where we round
