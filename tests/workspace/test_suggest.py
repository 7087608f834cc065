"""Which scan to label next, against margins worked out by hand and an adapted model."""

from __future__ import annotations

from medmeta.workspace.reading import Reading
from medmeta.workspace.suggest import rank_work, suggestions
from medmeta.workspace.volumes import volumes


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
