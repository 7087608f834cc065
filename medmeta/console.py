"""What the commands of the shell share: progress, places that are checked before the work, kinds of arguments."""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from medmeta.errors import MedMetaError
from medmeta.progress import Progress

#: Seconds between two lines of progress where nobody sees a bar.
SPOKEN = 10.0


@contextmanager
def bar() -> Iterator[Progress]:
    """A progress bar on standard error; where that is no terminal, a line every :data:`SPOKEN` seconds."""
    if not sys.stderr.isatty():
        yield _spoken()
        return
    form = "{desc:<44.44} {percentage:3.0f}%|{bar}| {elapsed}"
    with tqdm(total=1000, bar_format=form, file=sys.stderr) as shown:

        def progress(fraction: float, message: str) -> None:
            shown.set_description_str(message, refresh=False)
            shown.update(int(1000 * fraction) - shown.n)

        yield progress


def _spoken() -> Progress:
    last = time.monotonic()

    def progress(fraction: float, message: str) -> None:
        nonlocal last
        if time.monotonic() - last >= SPOKEN:
            last = time.monotonic()
            sys.stderr.write(f"{100 * fraction:.0f} %: {message}\n")

    return progress


def check_file(path: Path) -> None:
    """Refuse a file that could not be written, before any work; one that is there stays as it is.

    Raises:
        MedMetaError: it could not.
    """
    if path.is_dir():
        raise MedMetaError(f"{path} is a folder; name a file")
    check_folder(path.parent)


def check_folder(path: Path) -> None:
    """Refuse a folder that could not be made or written into, before any work; nothing is left behind.

    Raises:
        MedMetaError: nothing could.
    """
    place = path.absolute()
    while not place.exists():
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise MedMetaError(f"{path}: cannot be written ({error.strerror}); choose another place") from error


def check_apart(out: Path, *sources: Path | str | None) -> None:
    """Refuse to write into a folder of scans, where results would be taken for scans the next time.

    Raises:
        MedMetaError: ``out`` is one of the folders or lies in it.
    """
    for source in (Path(each) for each in sources if each is not None):
        if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
            raise MedMetaError(f"{out} lies in {source}, whose files are read; choose a folder beside it")


def whole(text: str) -> int:
    """An argument that is a whole number of at least 0, such as a seed."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, found {text!r}")
    return int(text)


def tolerance(text: str) -> float:
    """An argument that is a number of at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, found {text!r}")
    return value


def write(path: Path, content: str | bytes) -> None:
    """Write a file, and the folders it lies in.

    Raises:
        MedMetaError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise MedMetaError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
