"""Coverage-guided fuzzing of the readers for a minute: only a refusal with a reason may come out.

python -m benchmarks.fuzz [--seconds 60] [--memory-mb 2048] [--keep FOLDER]

Needs `pip install atheris` (Linux and macOS, an LLVM fuzzer for Python). Starts from the twenty seeds of
`benchmarks.hostile`, follows which lines of `medmeta.scans` and `pydicom` each input reaches, and stops at the first
exception that is no `ScanRejectedError`. The readers run here without their confined process, so GDCM is left out: it
ends the process on some damaged frames, which `benchmarks.hostile` shows to be contained.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any


def _without_gdcm() -> None:
    decoders: Any = import_module("pydicom.pixels.decoders.base")
    plugin: Any = import_module("pydicom.pixels.decoders.gdcm")
    for uid in plugin.DECODER_DEPENDENCIES:
        decoders.get_decoder(uid).remove_plugin("gdcm")

    def absent(*_: object) -> None:
        raise ValueError

    import_module("medmeta.scans.jpeg12").__dict__["_image"] = absent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--memory-mb", type=int, default=2048)
    parser.add_argument(
        "--keep", type=Path, default=Path(tempfile.gettempdir()), help="folder for an input that fails"
    )
    options = parser.parse_args()
    try:
        atheris: Any = import_module("atheris")
    except ImportError:
        sys.exit("atheris is not installed; pip install atheris")
    with atheris.instrument_imports(include=["medmeta.scans", "pydicom"]):
        reader: Any = import_module("medmeta.scans.reader")
        hostile: Any = import_module("benchmarks.hostile")
    _without_gdcm()
    refused: Any = import_module("medmeta.errors").ScanRejectedError

    def once(data: bytes) -> None:
        try:
            reader.read_file(data, "mutant", hostile.KEY)
        except refused as refusal:
            if len(refusal.reason) < 10:
                raise

    with tempfile.TemporaryDirectory() as folder:
        for name, data in hostile.seeds().items():
            (Path(folder) / name).write_bytes(data)
        limits = (
            f"-max_total_time={options.seconds}",
            f"-rss_limit_mb={options.memory_mb}",
            "-timeout=5",
            f"-artifact_prefix={options.keep}/",
        )
        atheris.Setup([sys.argv[0], *limits, "-max_len=65536", "-print_final_stats=1", folder], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
