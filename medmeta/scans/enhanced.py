"""Attributes that an enhanced multi-frame object keeps in its functional groups (PS3.3 C.7.6.16)."""

from __future__ import annotations

from pydicom.dataset import Dataset

from medmeta.scans.attributes import attribute, holds
from medmeta.scans.deidentify import PERMITTED_TAGS
from medmeta.scans.refusal import RefusedError
from medmeta.scans.scan import TagValue
from medmeta.scans.values import Rescale

#: What says where the pixels lie, and the macro that holds it (PS3.3 C.7.6.16.2.1, C.7.6.16.2.3, C.7.6.16.2.4).
_GEOMETRY = {
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
}


def functional_group(dataset: Dataset, macro: str, frame: int) -> Dataset | None:
    """The item of a functional group macro that holds for a frame: its own, else the shared one."""
    per_frame = attribute(dataset, "PerFrameFunctionalGroupsSequence") or []
    shared = attribute(dataset, "SharedFunctionalGroupsSequence") or []
    homes = [per_frame[frame]] if frame < len(per_frame) else []
    for home in [*homes, *shared[:1]]:
        if items := attribute(home, macro):
            item: Dataset = items[0]
            return item
    return None


def _has_groups(dataset: Dataset) -> bool:
    return holds(dataset, "PerFrameFunctionalGroupsSequence") or holds(
        dataset, "SharedFunctionalGroupsSequence"
    )


def geometry_tags(dataset: Dataset, frames: int) -> dict[str, TagValue]:
    """The geometry that all frames of an enhanced object share, under the keywords a single-frame object has it by.

    What differs between frames, or is missing for one, is left out: it does not hold for the whole.
    """
    kept: dict[str, TagValue] = {}
    if not _has_groups(dataset):
        return kept
    for keyword, macro in _GEOMETRY.items():
        items = [functional_group(dataset, macro, frame) for frame in range(frames)]
        values = {
            None
            if item is None or (value := attribute(item, keyword)) is None
            else PERMITTED_TAGS[keyword](value)
            for item in items
        }
        if len(values) == 1 and (value := values.pop()) is not None:
            kept[keyword] = value
    return kept


def rescales(dataset: Dataset, frames: int) -> list[Rescale] | None:
    """The rescale of the data set, or of each frame of an enhanced object; None where there is none."""
    if holds(dataset, "RescaleSlope") or holds(dataset, "RescaleIntercept"):
        return [_rescale(dataset)]
    if not _has_groups(dataset):
        return None
    found = [functional_group(dataset, "PixelValueTransformationSequence", frame) for frame in range(frames)]
    if all(item is None for item in found):
        return None
    each = [Rescale() if item is None else _rescale(item) for item in found]
    return each[:1] if len(set(each)) == 1 else each


def rescale_type(dataset: Dataset) -> str:
    """Rescale Type of the data set or of its first frame, as written."""
    if value := attribute(dataset, "RescaleType"):
        return str(value)
    item = functional_group(dataset, "PixelValueTransformationSequence", 0)
    return str(attribute(item, "RescaleType") or "") if item is not None else ""


def _rescale(item: Dataset) -> Rescale:
    def number(word: str, default: float) -> float:
        value = attribute(item, word)
        if value is None or value == "":
            return default
        try:
            return float(str(value))
        except ValueError:
            raise RefusedError(f"{word} is not a number; export the scan again") from None

    return Rescale(number("RescaleSlope", 1.0), number("RescaleIntercept", 0.0))
