"""Fetching weights from a server of the test's own: checked, bounded, remembered, and clear when it fails."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from medmeta.errors import CancelledError, ModelError
from medmeta.models import weights
from medmeta.models.fetch import Origin, by_hand, ensure, weights_folder


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)).eval()


def published() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "0.weight": torch.randn(4, 3, 3, 3, generator=generator),
        "1.weight": torch.rand(4, generator=generator),
        "1.bias": torch.rand(4, generator=generator),
        "1.running_mean": torch.rand(4, generator=generator),
        "1.running_var": torch.rand(4, generator=generator),
        "1.num_batches_tracked": torch.tensor(17),
        "fc.weight": torch.rand(10, 4, generator=generator),
        "fc.bias": torch.rand(10, generator=generator),
    }


class Site:
    """What the server answers: body, headers and status by path; and how often it was asked."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []

    def put(self, body: bytes, path: str = "/model.safetensors", **headers: str) -> str:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = (200, {"Content-Length": str(len(body)), **named}, body)
        return self.address + path


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            status, headers, body = found.pages.get(self.path, (404, {"Content-Length": "0"}, b""))
            self.send_response(status)
            for name, value in headers.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Site(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "weights" / "small.safetensors"


def test_what_is_published_arrives_without_its_classifier(site: Site, target: Path) -> None:
    body = save(published())
    told: list[float] = []
    ensure(
        target,
        Origin(site.put(body)),
        network(),
        {"name": "small"},
        progress=lambda done, text: told.append(done),
    )
    tensors, card = weights.read(target)
    expected = {name: value for name, value in published().items() if not name.startswith("fc.")}
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], value) for name, value in expected.items())
    assert card["name"] == "small"
    assert card["published_sha256"] == hashlib.sha256(body).hexdigest()
    assert card["trust"].startswith("first use")
    assert told[-1] == 1.0
    assert sorted(path.name for path in target.parent.iterdir()) == ["small.json", "small.safetensors"]


def test_it_is_fetched_once(site: Site, target: Path) -> None:
    origin = Origin(site.put(save(published())))
    ensure(target, origin, network(), {})
    ensure(target, origin, network(), {})
    assert site.asked == ["/model.safetensors"]


def test_what_was_altered_later_is_refused(site: Site, target: Path) -> None:
    ensure(target, Origin(site.put(save(published()))), network(), {})
    blob = bytearray(target.read_bytes())
    blob[-1] ^= 1
    target.write_bytes(bytes(blob))
    with pytest.raises(ModelError, match="altered or cut short"):
        weights.load_into(network(), target)


def test_a_hash_known_beforehand_must_match(site: Site, target: Path) -> None:
    body = save(published())
    with pytest.raises(ModelError, match=r"has the SHA-256 [0-9a-f]{64}, expected was 00"):
        ensure(target, Origin(site.put(body), "00"), network(), {})
    assert not target.exists()
    ensure(target, Origin(site.put(body), hashlib.sha256(body).hexdigest()), network(), {})
    assert json.loads(target.with_suffix(".json").read_text())["trust"] == "known beforehand"


def _without(name: str) -> bytes:
    return save({key: value for key, value in published().items() if key != name})


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (_without("1.bias"), r'Missing key.*"1.bias"'),
        (save({**published(), "2.weight": torch.zeros(1)}), r'Unexpected key.*"2.weight"'),
        (save({**published(), "0.weight": torch.zeros(4, 3, 5, 5)}), "size mismatch for 0.weight"),
        (b"<html>not found</html>", "does not hold safetensors weights of Sequential"),
        (b"", "does not hold safetensors weights of Sequential"),
    ],
)
def test_what_does_not_fit_is_refused_whole(site: Site, target: Path, body: bytes, says: str) -> None:
    with pytest.raises(ModelError, match=f"(?s){says}"):
        ensure(target, Origin(site.put(body)), network(), {})
    assert not target.parent.exists()


def test_sizes_are_checked_before_and_while_reading(site: Site, target: Path) -> None:
    body = save(published())
    with pytest.raises(ModelError, match=f"has {len(body)} bytes, the most taken is 100"):
        ensure(target, Origin(site.put(body)), network(), {}, limit=100)
    with pytest.raises(ModelError, match="does not state its length"):
        ensure(target, Origin(site.put(body, Content_Length="")), network(), {})
    with pytest.raises(ModelError, match=f"cut off after {len(body)} of {len(body) + 5} bytes"):
        ensure(target, Origin(site.put(body, Content_Length=str(len(body) + 5))), network(), {})
    assert not target.parent.exists()


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_offline_names_the_address_and_the_place_for_the_file(target: Path) -> None:
    url = f"http://127.0.0.1:{_closed_port()}/model.safetensors"
    with pytest.raises(ModelError) as caught:
        ensure(target, Origin(url), network(), {})
    assert url in str(caught.value)
    assert f"save that file as {by_hand(target)}" in str(caught.value)
    assert not target.parent.exists()


def test_a_missing_page_and_a_silent_server_end_alike(site: Site, target: Path) -> None:
    with pytest.raises(ModelError, match=r"could not be fetched from .*404"):
        ensure(target, Origin(f"{site.address}/none"), network(), {})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/model.safetensors"
        with pytest.raises(ModelError, match=r"could not be fetched from .*timed out"):
            ensure(target, Origin(url), network(), {}, timeout=0.2)


def test_a_file_put_by_hand_needs_no_network(target: Path) -> None:
    target.parent.mkdir()
    by_hand(target).write_bytes(save(published()))
    origin = Origin(f"http://127.0.0.1:{_closed_port()}/model.safetensors")
    ensure(target, origin, network(), {})
    loaded = network()
    weights.load_into(loaded, target)
    assert torch.equal(loaded[0].weight, published()["0.weight"])
    target.unlink()
    with pytest.raises(ModelError, match=r"small\.published\.safetensors has \d+ bytes, the most taken is 9"):
        ensure(target, origin, network(), {}, limit=9)


@pytest.mark.parametrize(
    "url",
    ["http://example.org/w", "file:///etc/hostname", "ftp://localhost/w", "http://localhost.example.org/w"],
)
def test_only_https_is_asked(url: str, target: Path) -> None:
    with pytest.raises(ModelError, match="over https only"):
        ensure(target, Origin(url), network(), {})


def test_a_redirect_is_followed_but_not_off_https(site: Site, target: Path) -> None:
    inner = site.put(save(published()), "/stored")
    site.pages["/good"] = (302, {"Location": inner, "Content-Length": "0"}, b"")
    site.pages["/bad"] = (302, {"Location": "http://example.org/w", "Content-Length": "0"}, b"")
    with pytest.raises(ModelError, match=r"over https only, not from http://example\.org/w"):
        ensure(target, Origin(f"{site.address}/bad"), network(), {})
    ensure(target, Origin(f"{site.address}/good"), network(), {})
    assert target.exists()


def test_stopping_leaves_nothing(site: Site, target: Path) -> None:
    def stop(done: float, text: str) -> None:
        raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        ensure(target, Origin(site.put(save(published()))), network(), {}, progress=stop)
    assert not target.parent.exists()


def test_the_folder_is_the_workspaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDMETA_WORKSPACE", str(tmp_path))
    assert weights_folder() == tmp_path / "weights"
    monkeypatch.delenv("MEDMETA_WORKSPACE")
    assert weights_folder() == Path.home() / ".medmeta" / "weights"
