"""What the commands of the shell share: a progress bar, and files written or refused in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from medmeta.errors import MedMetaError
from medmeta.progress import Progress


@contextmanager
def bar() -> Iterator[Progress]:
    """A progress bar on standard error, silent where nobody watches."""
    form = "{desc:<44.44} {percentage:3.0f}%|{bar}| {elapsed}"
    with tqdm(total=1000, bar_format=form, disable=None) as shown:

        def progress(fraction: float, message: str) -> None:
            shown.set_description_str(message, refresh=False)
            shown.update(int(1000 * fraction) - shown.n)

        yield progress


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
