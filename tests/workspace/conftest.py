"""A workspace in a fresh folder, and small pictures to upload."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medmeta.workspace.jobs import JobRunner
from medmeta.workspace.store import Store

Picture = Callable[..., bytes]


@pytest.fixture
def picture() -> Picture:
    """Makes a PNG whose pixels follow from the seed alone."""

    def make(seed: int, side: int = 64) -> bytes:
        values = np.random.default_rng(seed).integers(0, 255, (side, side), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(values).save(buffer, "PNG")
        return buffer.getvalue()

    return make


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "workspace")


@pytest.fixture
def runner(store: Store) -> Iterator[JobRunner]:
    made = JobRunner(store)
    yield made
    made.close()


@pytest.fixture
def labelled(store: Store, picture: Picture) -> str:
    """A task with six scans in two classes, one file a patient."""
    task_id = store.create_task("Cats or dogs")
    uploads = [
        (f"{label}/{n}.png", picture(10 * k + n)) for k, label in enumerate(("a", "b")) for n in range(3)
    ]
    store.add_uploads(task_id, uploads)
    return task_id
