"""Which scan to label next, against margins worked out by hand and an adapted model."""

from __future__ import annotations

import io

import numpy as np
import pydicom
from PIL import Image
from pydicom.data import get_testdata_file

from medmeta.learners.registry import load_extractor
from medmeta.workspace.reading import Reading, load_readings
from medmeta.workspace.suggest import rank_work, suggestions
from medmeta.workspace.volumes import volumes
from medmeta.workspace.work import adapt_work


def reading(scan_id, *shares):
    return Reading(scan_id, "f", ("a", "b", "c"), "a", shares, False, 1.0, ())


def test_the_smallest_margin_comes_first_and_every_patient_before_any_comes_twice(store, picture):
    task_id = store.create_task("t")
    store.add_uploads(task_id, [(f"{n}.png", picture(n)) for n in range(5)])
    ids = [entry.id for entry in store.entries(task_id)]
    store.set_group(task_id, ids[:2], "P")
    store.set_label(task_id, ids[4:], "a")
    scans = [entry.scan_id for entry in store.entries(task_id)]
    made = suggestions(
        volumes(store.entries(task_id)),
        [
            reading(scans[0], 0.50, 0.45, 0.05),  # margin 0.05
            reading(scans[1], 0.10, 0.42, 0.48),  # 0.06, the same patient again
            reading(scans[2], 0.90, 0.05, 0.05),  # 0.85
            reading(scans[3], 0.40, 0.25, 0.35),  # 0.05: less sure over all, but not between two
            reading(scans[4], 0.34, 0.33, 0.33),  # labelled meanwhile
        ],
    )
    assert [each.volume.key.scan_id for each in made] == [scans[i] for i in (0, 3, 2, 1)]
    assert (made[3].first, made[3].second) == (("c", 0.48), ("b", 0.42))


def test_only_scans_without_a_label_are_read_and_none_is_changed(
    store, labelled, runner, picture, tmp_path, monkeypatch
):
    from medmeta.learners import registry

    seen = []

    class Model:
        def predict(self, scans, *, progress):
            import numpy as np

            from medmeta.learners.base import Prediction

            seen.extend(scan.file for scan in scans)
            n = len(scans)
            return Prediction(
                ("a", "b"), ("a",) * n, np.full((n, 2), 0.5), np.ones(n), np.zeros(n, bool), ((),) * n
            )  # fmt: skip

    monkeypatch.setattr(registry, "load_task_model", lambda run, extractor: Model())
    before = store.signature(labelled)
    job = runner.submit("rank", labelled, rank_work(store, labelled, tmp_path, lambda: None))
    assert "every scan that may be read has a label" in str(runner.wait(job.id).error)
    store.add_uploads(labelled, [("new.png", picture(99))])
    job = runner.wait(runner.submit("rank", labelled, rank_work(store, labelled, tmp_path, lambda: None)).id)
    assert job.state == "done"
    assert seen == ["new.png"]
    assert store.signature(labelled) == before


def real(name: str, seed: int) -> np.ndarray:
    """A part of a real slice from the pydicom wheel, 8 bits and 96 pixels a side, in [0, 255]."""
    path = get_testdata_file(name, download=False)
    assert path is not None
    values = pydicom.dcmread(path).pixel_array.astype(float)
    low, high = np.percentile(values, (1, 99))
    shown = Image.fromarray((255 * np.clip((values - low) / (high - low), 0, 1)).astype(np.uint8))
    random = np.random.default_rng(seed)
    side = int(0.85 * min(shown.size))
    left, top = random.integers(0, min(shown.size) - side, 2)
    part = np.asarray(shown.crop((left, top, left + side, top + side)).resize((96, 96)), float)
    return np.clip(part + random.normal(0, 3, part.shape), 0, 255)


def png(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.rint(values).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def test_the_shipped_model_asks_first_about_what_lies_between_two_classes(store, runner):
    """Real CT and MR slices: of five without a label one is half of each, and nobody could tell which it is."""
    extractor = load_extractor("cpu")
    task_id = store.create_task("CT or MR")
    ct, mr = "CT_small.dcm", "MR_small.dcm"
    uploads = [(f"CT/{n}.png", png(real(ct, n))) for n in range(4)]
    uploads += [(f"MR/{n}.png", png(real(mr, n))) for n in range(4)]
    store.add_uploads(task_id, uploads)
    run = runner.wait(runner.submit("adapt", task_id, adapt_work(store, task_id, lambda: extractor)).id, 120)
    assert (run.state, run.error) == ("done", None)
    between = 0.5 * real(ct, 20) + 0.5 * real(mr, 20)
    new = {
        "ct-1.png": real(ct, 11),
        "mr-1.png": real(mr, 12),
        "between.png": between,
        "ct-2.png": real(ct, 13),
    }
    store.add_uploads(
        task_id, [(name, png(values)) for name, values in {**new, "mr-2.png": real(mr, 14)}.items()]
    )
    before = store.signature(task_id)
    work = rank_work(store, task_id, runner.result(run), lambda: extractor)
    job = runner.wait(runner.submit("rank", task_id, work).id, 60)
    assert (job.state, job.error) == ("done", None)
    made = suggestions(volumes(store.entries(task_id)), load_readings(runner.result(job)))
    assert made[0].volume.key.file == "between.png"
    assert {each.volume.key.file for each in made} == {*new, "mr-2.png"}
    margins = [each.margin for each in made]
    assert margins == sorted(margins)
    assert margins[0] < margins[1] - 0.1
    for each in made[1:]:  # of the rest it is sure, and right
        assert each.first[0].lower() == each.volume.key.file[:2]
    assert store.signature(task_id) == before
