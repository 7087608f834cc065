"""What is read of every file that comes with pydicom, and whether the pixels are those of other decoders.

python -m benchmarks.conformance [--list] [--json FILE]

Goes over the test files of the `pydicom` wheel and of the `pydicom-data` package, reads each as an upload is read (in
the confined process), and compares every pixel with GDCM, with OpenJPEG (pylibjpeg's) and, where it is installed
(`apt-get install dcmtk`), DCMTK. JPEG is decoded by GDCM, lossless JPEG 2000 by OpenJPEG; the others are the check.
Prints Markdown tables. Exits with 1 where a scan is refused that another decoder reads, or where the pixels read are
those of no decoder.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.decoders import DECODERS, CannotReadError, has_dcmtk
from benchmarks.machine import describe
from medmeta.errors import ScanRejectedError
from medmeta.scans.isolate import Isolated

_NO_DICOM = {".py", ".pyc", ".json", ".txt", ".md", ".dump", ".icc"}
#: Objects with pixels that are no scan of a patient, by words of the reason.
_NO_SCAN = ("dose grid", "segmentation")
#: Grey levels that decoders may differ by where the standard leaves the rounding to them (YBR to RGB).
_ROUNDING = 2.0


@dataclass(frozen=True)
class Outcome:
    """One file: what came of it, and the largest difference to each decoder that reads it too."""

    file: str
    syntax: str
    photometric: str
    refused: str | None
    differences: dict[str, float] = field(default_factory=dict)

    @property
    def no_scan(self) -> bool:
        return self.refused is not None and any(word in self.refused for word in _NO_SCAN)

    @property
    def wrongly_refused(self) -> bool:
        return self.refused is not None and bool(self.differences) and not self.no_scan

    @property
    def alone(self) -> bool:
        """Whether decoders read the file and none of them gives these pixels."""
        found = self.differences.values()
        return self.refused is None and bool(found) and min(found) > _ROUNDING


def dicom_files() -> Iterator[Path]:
    """Every test file of `pydicom` and `pydicom-data` that is not plainly something else."""
    roots = [Path(pydicom.__file__).parent / "data"]
    if (extra := find_spec("data_store")) and extra.origin:
        roots.append(Path(extra.origin).parent / "data")
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path.is_file() and path.suffix not in _NO_DICOM and path.name != "README":
                yield path


def examined(path: Path, isolated: Isolated, decoders: Sequence[str]) -> Outcome:
    """Read one file here and with each decoder."""
    syntax, photometric = _described(path)
    mine: NDArray[Any] | None = None
    reason = None
    try:
        mine = isolated.read(path.read_bytes(), path.name, bytes(32)).pixels
    except ScanRejectedError as refusal:
        reason = refusal.reason
    differences: dict[str, float] = {}
    for name in decoders:
        try:
            theirs = DECODERS[name](path)
        except (CannotReadError, ValueError, AttributeError):
            continue
        differences[name] = _difference(mine, theirs)
    return Outcome(path.name, syntax, photometric, reason, differences)


def _difference(mine: NDArray[Any] | None, theirs: NDArray[Any]) -> float:
    if mine is None or mine.shape != theirs.shape:
        return float("inf")
    if mine.dtype == np.float32:  # whose last bit is all that is kept of a product
        theirs = theirs.astype(np.float32)
    return float(np.abs(mine.astype(np.float64) - theirs).max())


def _described(path: Path) -> tuple[str, str]:
    try:
        head = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        uid = head.file_meta.get("TransferSyntaxUID") if "file_meta" in dir(head) else None
        name = uid.name.split(" (Process")[0].replace(" Image Compression", "") if uid else "none named"
        return name, str(head.get("PhotometricInterpretation") or "none")
    except Exception:
        return "not DICOM", "none"


def read_table(outcomes: Sequence[Outcome], decoders: Sequence[str]) -> str:
    """Files read, a row for each transfer syntax and photometric interpretation."""
    rows: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for each in outcomes:
        if not each.no_scan and (each.refused is None or each.wrongly_refused):
            rows[each.syntax, each.photometric].append(each)
    lines = [
        f"| transfer syntax | photometric interpretation | files | read | {' | '.join(f'as {d}' for d in decoders)} |",
        "|---|---|---|---|" + "---|" * len(decoders),
    ]
    for (syntax, photometric), members in sorted(rows.items()):
        lines.append(f"| {syntax} | {photometric} | {_counts(members, decoders)} |")
    everything = [each for members in rows.values() for each in members]
    return "\n".join([*lines, f"| **all** |  | {_counts(everything, decoders)} |"])


def _counts(members: Sequence[Outcome], decoders: Sequence[str]) -> str:
    cells = [str(len(members)), str(sum(each.refused is None for each in members))]
    for name in decoders:
        both = [
            each.differences[name] for each in members if name in each.differences and each.refused is None
        ]
        cells.append(f"{sum(value == 0 for value in both)} of {len(both)}" if both else "reads none")
    return " | ".join(cells)


def refused_table(outcomes: Sequence[Outcome]) -> str:
    """Reasons, how many files each met, and how many of these another decoder gives pixels for."""
    reasons: dict[str, list[Outcome]] = defaultdict(list)
    for each in outcomes:
        if each.refused is not None:
            reasons[each.refused.split(";")[0]].append(each)
    lines = ["| refused because the file ... | files | pixels by another decoder |", "|---|---|---|"]
    for reason, members in sorted(reasons.items(), key=lambda item: -len(item[1])):
        lines.append(f"| {reason} | {len(members)} | {sum(bool(each.differences) for each in members)} |")
    return "\n".join(lines)


def differing(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A line for each file read whose pixels differ from a decoder's."""
    for each in outcomes:
        if each.refused is None:
            for name, value in each.differences.items():
                if value:
                    yield f"- {each.file}: up to {value:g} from {name}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="name every file")
    parser.add_argument("--json", type=Path, help="write every outcome to this file")
    options = parser.parse_args()
    decoders = [name for name in DECODERS if name != "DCMTK" or has_dcmtk()]
    print(describe(seed=0))
    paths = list(dicom_files())
    with Isolated() as isolated:
        outcomes = [examined(path, isolated, decoders) for path in tqdm(paths, file=sys.stderr)]
    print(f"\n{len(outcomes)} files, compared with {', '.join(decoders)}\n")
    print(read_table(outcomes, decoders))
    print()
    print(refused_table(outcomes))
    print()
    print("\n".join(differing(outcomes)))
    wrong = [each for each in outcomes if each.wrongly_refused or each.alone]
    for each in wrong:
        print(f"WRONG: {each.file}: {each.refused or each.differences}")
    refused = sum(each.refused is not None for each in outcomes)
    unchecked = sum(each.refused is None and not each.differences for each in outcomes)
    read = len(outcomes) - refused
    print(f"\n{read} read ({unchecked} of them by no other decoder), {refused} refused, {len(wrong)} wrong")
    if options.list:
        for each in outcomes:
            print(f"{each.file}: {each.refused or 'read'}")
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in outcomes], indent=1), encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
