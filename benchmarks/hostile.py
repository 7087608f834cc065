"""What damaged uploads do to the intake: crashes, hangs, memory, and refusals without a reason.

python -m benchmarks.hostile [--mutants 10000] [--at-once 100] [--seed 0]

Takes twenty-one small files of every kind that is read (fourteen DICOM files of the `pydicom` wheel in as many
encodings, PNG, JPEG, BMP, TIFF, NIfTI, gzipped NIfTI and a ZIP), and damages each in seven ways: bits flipped, bytes
and numbers overwritten, the end cut off, parts removed, repeated, or taken from another seed. Mutants are uploaded a
hundred at once, each followed by a good file, and read as the workbench reads them: by a pool of confined processes,
one a core.
Exits with 1 where an exception escapes, a file takes more than five seconds, a good file is lost, a reason is missing
or the program grows beyond 1 GiB.
"""

from __future__ import annotations

import argparse
import gzip
import io
import resource
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import nibabel
import numpy as np
from PIL import Image
from pydicom.data import get_testdata_file
from tqdm import tqdm

from medmeta.scans.intake import iter_intake
from medmeta.scans.isolate import Isolated
from medmeta.scans.reader import Reader
from medmeta.scans.scan import LabelledScan, Rejection, Scan

SLOW_SECONDS, MEMORY_BYTES = 5.0, 2**30
KEY = bytes(32)
_DICOM = (
    "CT_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_jp2klossless.dcm",
    "image_dfl.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "JPGExtended.dcm",
    "SC_rgb_rle_2frame.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "SC_rgb_gdcm_KY.dcm",
    "examples_palette.dcm",
)
#: Numbers at the ends of their ranges, which sizes and offsets are made to hold.
_EXTREMES = (
    b"\0\0",
    b"\xff\xff",
    b"\xff\x7f",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\xfe\xff\xff\xff",
)


@dataclass
class Tally:
    """What became of the mutants."""

    mutants: int = 0
    read: int = 0
    refused: int = 0
    without_reason: int = 0
    escaped: int = 0
    good_lost: int = 0
    decoder_stopped: int = 0
    slow: int = 0
    longest: float = 0.0

    @property
    def failed(self) -> bool:
        return bool(self.without_reason or self.escaped or self.good_lost or self.slow)


def seeds() -> dict[str, bytes]:
    """The seeds, by name."""
    found = {name: Path(str(get_testdata_file(name, download=False))).read_bytes() for name in _DICOM}
    grey = (np.add.outer(np.arange(60) * 5, np.arange(50) * 3) % 256).astype(np.uint8)
    colour = np.stack([grey, grey.T.copy().reshape(60, 50), 255 - grey], -1)
    found["deep.png"] = _saved(grey.astype(np.uint16) * 200, "PNG")
    found["colour.jpg"] = _saved(colour, "JPEG")
    found["colour.bmp"] = _saved(colour, "BMP")
    pages = [Image.fromarray(grey + page) for page in (1, 2)]
    found["pages.tif"] = _saved(grey, "TIFF", compression="tiff_lzw", save_all=True, append_images=pages)
    image: Any = nibabel.Nifti1Image
    volume = image(np.stack([grey] * 5, -1).astype(np.int16), np.eye(4)).to_bytes()
    found["volume.nii"], found["volume.nii.gz"] = volume, gzip.compress(volume, mtime=0)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("CT_small.dcm", "deep.png"):
            archive.writestr(zipfile.ZipInfo(f"a/{name}"), found[name])
    found["two.zip"] = out.getvalue()
    return found


def _saved(values: np.ndarray[Any, Any], kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(values).save(out, kind, **options)
    return out.getvalue()


def _flip(data: bytearray, other: bytes, random: Random) -> None:
    for _ in range(random.choice((1, 2, 8, 64))):
        data[_place(data, random)] ^= 1 << random.randrange(8)


def _overwrite(data: bytearray, other: bytes, random: Random) -> None:
    for _ in range(random.choice((1, 4, 16))):
        data[_place(data, random)] = random.randrange(256)


def _extreme(data: bytearray, other: bytes, random: Random) -> None:
    for _ in range(random.choice((1, 2, 4))):
        number, place = random.choice(_EXTREMES), _place(data, random)
        data[place : place + len(number)] = number


def _cut(data: bytearray, other: bytes, random: Random) -> None:
    del data[random.randrange(len(data)) :]


def _remove(data: bytearray, other: bytes, random: Random) -> None:
    place = _place(data, random)
    del data[place : place + random.choice((1, 2, 8, 100))]


def _repeat(data: bytearray, other: bytes, random: Random) -> None:
    place, size = _place(data, random), random.choice((1, 8, 100, 1000))
    data[place:place] = data[place : place + size] * random.choice((1, 2, 50))


def _splice(data: bytearray, other: bytes, random: Random) -> None:
    place, size = _place(data, random), random.choice((4, 64, 1000))
    start = random.randrange(len(other))
    data[place : place + size] = other[start : start + size]


MUTATIONS: tuple[Callable[[bytearray, bytes, Random], None], ...] = (
    _flip,
    _overwrite,
    _extreme,
    _cut,
    _remove,
    _repeat,
    _splice,
)


def _place(data: bytearray, random: Random) -> int:
    """Half of the damage goes to the first kilobyte, where the headers are."""
    return random.randrange(min(len(data), 1024) if random.random() < 0.5 else len(data))


def mutant(data: bytes, other: bytes, random: Random) -> bytes:
    """The file damaged once or twice; never the file itself."""
    while True:
        made = bytearray(data)
        for _ in range(random.choice((1, 1, 2))):
            random.choice(MUTATIONS)(made, other, random)
            if not made:
                return b""
        if made != data:
            return bytes(made)


def take(mutants: Sequence[bytes], good: bytes, tally: Tally, reader: Reader | None = None) -> None:
    """Upload mutants, each before a good file, and note what became of them; ``reader`` stands in for the pool."""
    uploads: list[tuple[str, bytes]] = []
    for number, data in enumerate(mutants):
        uploads += [(f"{number:05d}/a", data), (f"{number:05d}/good", good)]
    tally.mutants += len(mutants)
    try:
        with _timed(tally):
            found = list(iter_intake(uploads, key=KEY, reader=reader))
    except Exception as problem:
        tally.escaped += 1
        print(f"escaped: {type(problem).__name__}: {problem}", file=sys.stderr)
        return
    names = {item.scan.file for item in found if isinstance(item, LabelledScan)}
    reasons: dict[str, list[str]] = {}
    for item in found:
        if isinstance(item, Rejection):
            reasons.setdefault(item.file[:6], []).append(item.reason)
    unnamed = sum(
        len(each) for start, each in reasons.items() if start[5:] != "/"
    )  # names too long to be shown whole
    silent = 0
    for number in range(len(mutants)):
        start = f"{number:05d}/"
        tally.good_lost += f"{start}good" not in names
        why = reasons.get(start, [])
        tally.refused += bool(why)
        tally.read += not why
        tally.decoder_stopped += any(
            "stopped the decoder" in each or "took the decoder" in each for each in why
        )
        tally.without_reason += any(len(each) < 10 for each in why)
        # A file that neither is read nor is refused would be lost without a trace.
        silent += not why and not any(name.startswith(f"{start}a") for name in names)
    tally.without_reason += max(0, silent - unnamed)


@contextmanager
def _timed(tally: Tally) -> Iterator[None]:
    """Note how long the decoding processes take for each file, in the processes of a pool too."""
    read = Isolated.read

    def timed(self: Isolated, *arguments: Any, **options: Any) -> Scan:
        start = time.perf_counter()
        try:
            return read(self, *arguments, **options)
        finally:
            seconds = time.perf_counter() - start
            tally.longest = max(tally.longest, seconds)
            tally.slow += seconds > SLOW_SECONDS

    Isolated.read = timed  # type: ignore[method-assign]
    try:
        yield
    finally:
        Isolated.read = read  # type: ignore[method-assign]


def run(
    files: dict[str, bytes], mutants: int, seed: int, at_once: int = 100, reader: Reader | None = None
) -> Tally:
    """Upload ``mutants`` mutants, the seeds in turn, ``at_once`` in one upload."""
    tally, random, names = Tally(), Random(seed), sorted(files)
    with tqdm(total=mutants, file=sys.stderr, mininterval=10) as bar:
        for first in range(0, mutants, at_once):
            batch = []
            for number in range(first, min(first + at_once, mutants)):
                name = names[number % len(names)]
                batch.append(mutant(files[name], files[random.choice(names)], random))
            take(batch, files["deep.png"], tally, reader)
            bar.update(len(batch))
    return tally


def report(tally: Tally, parent: int, child: int) -> str:
    """The tally as a Markdown table; memory in bytes."""
    rows: Sequence[tuple[str, str, str]] = (
        ("exceptions that left the intake", f"{tally.escaped}", "0"),
        ("files that took more than 5 s", f"{tally.slow} (longest {tally.longest:.1f} s)", "0"),
        ("good files of the same upload lost", f"{tally.good_lost}", "0"),
        (
            "refused",
            f"{tally.refused} ({tally.refused / tally.mutants:.1%}), {tally.without_reason} without a reason",
            "0",
        ),
        ("read all the same", f"{tally.read} ({tally.read / tally.mutants:.1%})", ""),
        ("decoding processes ended by a file, and started anew", f"{tally.decoder_stopped}", ""),
        ("memory of the program at its peak", f"{parent / 2**20:.0f} MiB", "under 1 GiB"),
        ("memory of the largest decoding process at its peak", f"{child / 2**20:.0f} MiB", "under 4 GiB"),
    )
    lines = [f"| of {tally.mutants} mutants | found | target |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {what} | {found} | {target} |" for what, found, target in rows)])


def peak(who: int) -> int:
    """Largest resident memory of this process or of its ended children, in bytes."""
    return resource.getrusage(who).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=100, help="mutants in one upload")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    tally = run(seeds(), options.mutants, options.seed, options.at_once)
    seconds = time.perf_counter() - start
    parent, child = peak(resource.RUSAGE_SELF), peak(resource.RUSAGE_CHILDREN)
    from benchmarks.machine import describe  # loads torch, whose memory is not the intake's

    print(describe(options.seed))
    print(f"\n{seconds:.0f} s, {len(seeds())} seeds\n\n{report(tally, parent, child)}")
    return 1 if tally.failed or parent > MEMORY_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())
