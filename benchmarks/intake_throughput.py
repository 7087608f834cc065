"""How quick the intake is: a folder of DICOM files through the whole workspace, beside bare pydicom on the same files.

python -m benchmarks.intake_throughput [--files 500] [--mix hospital | shared | native] [--repeats 5]

The intake sniffs, decodes in confined processes, de-identifies, hashes, draws thumbnails and stores. Bare pydicom is
``pydicom.dcmread(path).pixel_array`` in a `multiprocessing` pool of as many processes as the intake uses. Each run is
a program of its own, started in turns; both times hold the start of their worker processes. Processor time is shown
too: other programs at work change it less. The mixes:

- hospital: CT 512 x 512 (60 %), MR 256 x 256 (30 %) and CR 1760 x 1760 (10 %) made from noise and smooth shapes, in
  turns uncompressed, RLE, JPEG lossless, JPEG-LS and JPEG 2000;
- native: the same, uncompressed;
- shared: the DICOM files of ``--data`` (224 pixels a side), repeated with one pixel changed until there are enough.

Memory is the most that was resident: of the program, and of its largest decoding process.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

SYNTAXES = (ExplicitVRLittleEndian, RLELossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless)
TARGET = 0.8
MIB = 2**20


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--mix", choices=("hospital", "native", "shared"), default="hospital")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/dicom"), help="for --mix shared")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--processes", type=int, help="worker processes of both; one a core where left out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--run", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(RUNS[options.run[0]](Path(options.run[1]), options.files, options.processes)))
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "files")
        folder.mkdir()
        bytes_, pixels = _write(folder, _files(options))
        result = _compare(folder, options)
    from benchmarks.machine import describe

    print(describe(options.seed))
    print(
        f"\n{options.files} files, mix {options.mix}: {bytes_ / options.files / 1024:.0f} KiB a file, "
        f"{pixels / options.files / 1024:.0f} KiB of pixels; {result['processes']} processes\n"
    )
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0 if float(np.median(result["ratios"])) >= TARGET else 1


def _compare(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    def run(what: str, files: int) -> dict[str, Any]:
        command = [sys.executable, "-m", "benchmarks.intake_throughput", "--files", str(files)]
        if options.processes:
            command += ["--processes", str(options.processes)]
        done = subprocess.run([*command, "--run", what, str(folder)], check=True, capture_output=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    bare, ours = [], []
    for turn in range(options.repeats + 1):
        pair = [run("bare", options.files), run("intake", options.files)]
        if turn:  # the first round warms the disk's cache
            bare.append(pair[0])
            ours.append(pair[1])
    shares = (0.2, 0.5, 1.0)
    memory = {round(share * options.files): run("intake", round(share * options.files)) for share in shares}
    return {
        "processes": ours[0]["processes"],
        "bare": [each["seconds"] for each in bare],
        "intake": [each["seconds"] for each in ours],
        "ratios": [one["seconds"] / two["seconds"] for one, two in zip(bare, ours, strict=True)],
        "bare processor": [each["processor"] for each in bare],
        "intake processor": [each["processor"] for each in ours],
        "processor ratios": [
            one["processor"] / two["processor"] for one, two in zip(bare, ours, strict=True)
        ],
        "memory": {
            count: [each["parent"] / MIB, each["child"] / MIB] for count, each in sorted(memory.items())
        },
    }


def table(result: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = ["| what | median | range |", "|---|---|---|"]
    for name, key, unit in (
        ("bare pydicom", "bare", " s"),
        ("intake", "intake", " s"),
        (f"bare over intake (target {TARGET})", "ratios", ""),
        ("processor time of bare pydicom", "bare processor", " s"),
        ("processor time of the intake", "intake processor", " s"),
        ("the same, bare over intake", "processor ratios", ""),
    ):
        values = result[key]
        lines.append(
            f"| {name} | {np.median(values):.2f}{unit} | {min(values):.2f} to {max(values):.2f}{unit} |"
        )
    lines += [
        "",
        "| files | memory of the program | of its largest decoding process |",
        "|---|---|---|",
    ]
    lines += [f"| {n} | {own:.0f} MiB | {child:.0f} MiB |" for n, (own, child) in result["memory"].items()]
    return "\n".join(lines)


def run_bare(folder: Path, files: int, processes: int | None) -> dict[str, Any]:
    """Decode with nothing around it."""
    paths = sorted(folder.iterdir())[:files]
    count = processes or _cores()
    start, used = time.perf_counter(), _processor_time()
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        pixels = sum(pool.imap_unordered(_bare_one, paths, chunksize=4))
        seconds = time.perf_counter() - start
        pool.close()
        pool.join()  # only then their processor time is known
    return {
        "seconds": seconds,
        "processor": _processor_time() - used,
        "pixels": pixels,
        "processes": count,
    }


def _processor_time() -> float:
    """Seconds of processor time of this program and its ended children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _bare_one(path: Path) -> int:
    return int(pydicom.dcmread(path).pixel_array.nbytes)


def run_intake(folder: Path, files: int, processes: int | None) -> dict[str, Any]:
    """The workspace's own intake, into a fresh workspace beside the files.

    The workspace stays until all runs are over: where thousands of files were deleted a moment ago, ext4 looks much
    longer for room for new ones (it leaves fresh gaps alone), and nobody deletes a workspace before each upload.
    """
    from medmeta.scans import pool
    from medmeta.workspace.store import Store

    if processes:
        pool.MOST_PROCESSES = processes
    paths = sorted(folder.iterdir())[:files]
    with ExitStack() as stack:
        store = Store(Path(tempfile.mkdtemp(prefix="workspace-", dir=folder.parent)))
        task = store.create_task("throughput")
        # As Streamlit hands them over: one open file each.
        uploads = [
            (f"class {i % 2}/{path.name}", stack.enter_context(path.open("rb")))
            for i, path in enumerate(paths)
        ]
        start, used = time.perf_counter(), _processor_time()
        summary = store.add_uploads(task, uploads)
        seconds, used = time.perf_counter() - start, _processor_time() - used
    if summary.accepted != len(paths):
        raise SystemExit(f"{summary.accepted} of {len(paths)} files taken in: {summary.rejected[:3]}")
    return {
        "seconds": seconds,
        "processor": used,
        "processes": min(_cores(), pool.MOST_PROCESSES),
        "parent": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "child": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
    }


RUNS: dict[str, Callable[[Path, int, int | None], dict[str, Any]]] = {"bare": run_bare, "intake": run_intake}


def _cores() -> int:
    from medmeta.scans.pool import cores

    return cores()


def _write(folder: Path, files: Iterator[bytes]) -> tuple[int, int]:
    total = pixels = 0
    for number, data in enumerate(files):
        (folder / f"IM{number:05d}").write_bytes(data)
        total += len(data)
        pixels += pydicom.dcmread(io.BytesIO(data)).pixel_array.nbytes
    return total, pixels


def _files(options: argparse.Namespace) -> Iterator[bytes]:
    if options.mix == "shared":
        yield from _shared(options.data, options.files)
        return
    random = np.random.default_rng(options.seed)
    for number in range(options.files):
        side, modality = {9: (1760, "CR"), 2: (256, "MR"), 5: (256, "MR"), 8: (256, "MR")}.get(
            number % 10, (512, "CT")
        )
        syntax = ExplicitVRLittleEndian if options.mix == "native" else SYNTAXES[number // 10 % len(SYNTAXES)]
        yield made(picture(side, random), modality, f"patient {number // 4}", syntax)


def _shared(data: Path, count: int) -> Iterator[bytes]:
    files = []
    for path in sorted(data.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            files += [
                archive.read(n) for n in archive.namelist() if not n.endswith("/") and not n.endswith(".csv")
            ]
    if not files:
        raise SystemExit(f"no ZIP of DICOM files in {data}; name their folder with --data")
    for number in range(count):
        turn, data_ = number // len(files), files[number % len(files)]
        if not turn:
            yield data_
            continue
        dataset = pydicom.dcmread(io.BytesIO(data_))
        syntax = dataset.file_meta.TransferSyntaxUID
        stored = dataset.pixel_array.copy()
        stored[turn, turn] ^= 1
        if dataset.SamplesPerPixel == 3:
            dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0
        dataset.PixelData = stored.tobytes()
        dataset["PixelData"].VR = "OW"
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        if syntax in SYNTAXES[1:]:
            _compress(dataset, syntax)
        yield _bytes(dataset)


def picture(side: int, random: np.random.Generator) -> NDArray[np.uint16]:
    """Smooth shapes under noise, 12 bits: ``(side, side)`` uint16."""
    y, x = np.mgrid[:side, :side] / side
    shapes = np.zeros((side, side))
    for _ in range(6):
        cx, cy, width = random.uniform(0.2, 0.8), random.uniform(0.2, 0.8), random.uniform(0.05, 0.3)
        shapes += random.uniform(100, 500) * (np.hypot(x - cx, y - cy) < width)
    values = 900 + shapes + 200 * np.sin(3 * x + 2 * y) + random.normal(0, 12, (side, side))
    values[np.hypot(x - 0.5, y - 0.5) > 0.49] = 0
    pixels: NDArray[np.uint16] = np.clip(values, 0, 4095).astype(np.uint16)
    return pixels


def made(pixels: NDArray[np.uint16], modality: str, patient: str, syntax: UID) -> bytes:
    """A DICOM file of 12-bit greyscale pixels ``(rows, columns)``."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.PatientID, dataset.PatientName = modality, patient, "Somebody^Else"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, -1024, "HU"
    dataset.WindowCenter, dataset.WindowWidth, dataset.PixelSpacing = 40, 400, [0.7, 0.7]
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    if syntax.is_encapsulated:
        _compress(dataset, syntax)
    return _bytes(dataset)


def _compress(dataset: pydicom.Dataset, syntax: UID) -> None:
    if syntax != JPEGLosslessSV1:
        dataset.compress(syntax, generate_instance_uid=False)
        return
    import gdcm

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "image"
        path.write_bytes(_bytes(dataset))
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(path))
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        if not reader.Read():
            raise RuntimeError("GDCM did not read the picture")
        change.SetInput(reader.GetImage())
        if not change.Change():
            raise RuntimeError("GDCM did not compress the picture")
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(path))
        writer.Write()
        dataset.PixelData = pydicom.dcmread(path).PixelData
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1


def _bytes(dataset: pydicom.Dataset) -> bytes:
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main())
