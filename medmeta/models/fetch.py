"""Published weights fetched when somebody asks for them: once, bounded, checked, and remembered by their hash.

The publisher's hash is not always known beforehand. Then the first download is trusted (its SHA-256 goes into
the card beside the weights) and whatever is read later must equal it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from medmeta.errors import ModelError
from medmeta.models import weights
from medmeta.progress import Progress, silent

#: Largest file taken, in bytes; ResNet-34 has 87 MB.
LIMIT = 128 * 2**20
#: Seconds without an answer after which the server counts as out of reach.
TIMEOUT = 30.0
CHUNK = 2**20
#: Tensors that belong to a classifier this program has no use for.
CLASSIFIER = "fc."


@dataclass(frozen=True)
class Origin:
    """Where published weights are.

    Attributes:
        url: ``https`` address of a safetensors file.
        sha256: of that file, in hex; None where it is not known and the first download is trusted.
    """

    url: str
    sha256: str | None = None


def weights_folder() -> Path:
    """Where fetched weights are kept: ``weights`` in ``$MEDMETA_WORKSPACE``, else in ``~/.medmeta``."""
    given = os.environ.get("MEDMETA_WORKSPACE", "").strip()
    return (Path(given).expanduser() if given else Path.home() / ".medmeta") / "weights"


def by_hand(path: Path) -> Path:
    """Where a person without a network puts the file that ``path`` is made from."""
    return path.with_name(f"{path.stem}.published.safetensors")


def ensure(
    path: Path,
    origin: Origin,
    network: nn.Module,
    card: Mapping[str, Any],
    *,
    limit: int = LIMIT,
    timeout: float = TIMEOUT,
    progress: Progress = silent,
) -> None:
    """Make sure that ``path`` and its card hold the published weights for ``network``; read them with `weights`.

    Nothing is fetched where ``path`` exists, or where a person put the file at :func:`by_hand`.

    Args:
        path: the ``.safetensors`` to be.
        origin: where the published file is.
        network: takes every published tensor but the classifier's, names and shapes equal; it is loaded with them.
        card: what else the card says.
        limit: largest published file, in bytes.
        timeout: seconds a silent server is waited for.
        progress: told how much has come; what it raises ends the download, of which nothing stays.

    Raises:
        ModelError: out of reach, too large, cut off, not the hash expected, or not weights of this network.
    """
    if path.exists():
        return
    put = by_hand(path)
    try:
        blob = _read(put, limit) if put.exists() else _download(origin.url, limit, timeout, progress)
    except (OSError, HTTPException) as error:
        raise ModelError(
            f"the weights {path.name} could not be fetched from {origin.url} ({error}); connect to the network "
            f"once, or save that file as {put}"
        ) from error
    came_from = str(put) if put.exists() else origin.url
    sha256 = hashlib.sha256(blob).hexdigest()
    if origin.sha256 not in {None, sha256}:
        raise ModelError(
            f"{came_from} has the SHA-256 {sha256}, expected was {origin.sha256}; it is not used"
        )
    try:
        tensors = {name: x for name, x in load(blob).items() if not name.startswith(CLASSIFIER)}
        network.load_state_dict(tensors)
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(
            f"{came_from} does not hold safetensors weights of {type(network).__name__}; it is not used "
            f"({str(error)[:400]})"
        ) from error
    trust = "known beforehand" if origin.sha256 else "first use: the publisher's SHA-256 was not known"
    facts = {**card, "url": origin.url, "published_sha256": sha256, "trust": trust}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        weights.write(made, network.state_dict(), facts)
        # The card first: weights that are there always have one.
        made.with_suffix(".json").replace(path.with_suffix(".json"))
        made.replace(path)


def _read(path: Path, limit: int) -> bytes:
    size = path.stat().st_size
    if size > limit:
        raise ModelError(f"{path} has {size} bytes, the most taken is {limit}; it is another file")
    return path.read_bytes()


def _download(url: str, limit: int, timeout: float, progress: Progress) -> bytes:
    """The whole file, in memory: weights that are refused never reach the disk."""
    _check_address(url)
    opener = urllib.request.build_opener(_Redirects)
    with opener.open(urllib.request.Request(url), timeout=timeout) as answer:  # noqa: S310  (checked above)
        stated = answer.headers.get("Content-Length", "")
        if not stated.isdecimal():
            raise ModelError(f"{url} does not state its length; expected is at most {limit} bytes")
        size = int(stated)
        if size > limit:
            raise ModelError(f"{url} has {size} bytes, the most taken is {limit}; it is another file")
        blob = bytearray()
        while chunk := answer.read(min(CHUNK, size - len(blob))):
            blob += chunk
            progress(len(blob) / size, f"Fetched {len(blob) / 1e6:.1f} of {size / 1e6:.1f} MB of weights")
    if len(blob) != size:
        raise ConnectionError(f"cut off after {len(blob)} of {size} bytes")
    return bytes(blob)


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    at_home = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme != "https" and not (parts.scheme == "http" and at_home):
        raise ModelError(f"weights are fetched over https only, not from {url}")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, which publishers' storage needs, but never to an address that is not https."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
