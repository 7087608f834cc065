"""How a reader refuses a file without letting the file's own content into the text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from medmeta.errors import MedMetaError, ScanRejectedError


class RefusedError(MedMetaError):
    """A reason to refuse the file in hand, in our own words; `naming` adds the file's name."""


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Turn whatever goes wrong while ``file`` is read into one `ScanRejectedError` that names it.

    Libraries quote tag values in their exceptions, so of a foreign exception only the type is told, and
    the chain to it is cut (``from None``): a traceback in a log must not carry a patient's name either.
    """
    try:
        yield
    except RefusedError as problem:
        raise ScanRejectedError(file, str(problem)) from None
    except ScanRejectedError:
        raise
    except MemoryError:
        raise ScanRejectedError(
            file, "needs more memory to decode than is allowed; export it in a smaller size"
        ) from None
    except BaseException as problem:
        # A decoder written in Rust panics with an exception that is no `Exception`.
        if not isinstance(problem, Exception) and type(problem).__name__ != "PanicException":
            raise
        raise ScanRejectedError(
            file,
            f"its content could not be decoded ({type(problem).__name__}): the file is damaged or not "
            "written to the standard; export it again from where it came from",
        ) from None
