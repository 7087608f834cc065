"""What every learner on frozen features promises, on features that carry a known signal.

Learners that change the network promise the same on a tiny real one, in ``test_gradient_learners.py``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import check_one_alone
from torch import Tensor

from medmeta.errors import CancelledError, ModelError, TaskError
from medmeta.learners.base import TaskModel
from medmeta.learners.frozen import LEAST_DISTANCE, usual_distance
from medmeta.learners.medmeta import SHIPPED
from medmeta.learners.registry import load_task_model, make_learner
from medmeta.models.backbones import load_backbone
from medmeta.models.features import FeatureExtractor
from medmeta.scans.scan import LabelledScan, Scan
from medmeta.tasks.task import Task, make_task

BACKBONE = load_backbone()
SHIPS = pytest.mark.skipif(not SHIPPED.exists(), reason="no meta-model has been trained into assets/ yet")


class Planted(FeatureExtractor):
    """Features made from the scan's first pixels instead of the network, so that the right answer is known."""

    def stack(self, scan: Scan) -> Tensor:
        random = torch.Generator().manual_seed(int(scan.pixels[0, 0, 1]))
        noise = torch.rand(sum(self.blocks), generator=random)
        signal = []
        for size in self.blocks:  # of the longest, 60 features tell a kind from the others
            block = torch.zeros(size)
            start = 100 * int(scan.pixels[0, 0, 0]) * size // self.size
            block[start : start + max(1, 60 * size // self.size)] = 1.0
            signal.append(block)
        return noise + torch.cat(signal)

    def _row(self, prepared: Tensor) -> Tensor:
        return prepared


@pytest.fixture(scope="module")
def extractor() -> FeatureExtractor:
    return Planted(BACKBONE, torch.device("cpu"))


def scan(kind: int, number: int, group: str | None = None) -> Scan:
    pixels = np.zeros((1, 2, 2), np.uint16)
    pixels[0, 0] = kind, number
    return Scan(f"{kind}-{number}", pixels, group or f"g{number}")


def task(names: tuple[str, ...] = ("a", "b", "c"), shots: int = 5, first: int = 0) -> Task:
    return make_task(
        LabelledScan(scan(kind, first + 100 * kind + i), name)
        for kind, name in enumerate(names)
        for i in range(shots)
    )


QUERY = [scan(kind, 5000 + 10 * kind + i) for kind in range(3) for i in range(8)]
TRUTH = [name for name in "abc" for _ in range(8)]


@pytest.fixture(
    params=["anchor", "ridge", "logistic", "prototypes", "lda", pytest.param("medmeta", marks=SHIPS)]
)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(name: str, extractor: FeatureExtractor) -> TaskModel:
    return make_learner(name, extractor).adapt(task())


def test_learns_a_planted_signal(model: TaskModel) -> None:
    answer = model.predict(QUERY)
    assert np.mean([found == true for found, true in zip(answer.labels, TRUTH, strict=True)]) > 0.9
    np.testing.assert_allclose(answer.probabilities.sum(axis=1), 1.0, atol=1e-12)
    assert answer.labels == tuple(answer.classes[i] for i in answer.probabilities.argmax(axis=1))


def test_shuffled_labels_fall_to_chance(name: str, extractor: FeatureExtractor) -> None:
    support, hits = task(shots=6), []
    for seed in range(20):
        labels = np.random.default_rng(seed).permutation(support.labels)
        model = make_learner(name, extractor).adapt(replace(support, labels=tuple(map(str, labels))))
        hits += [found == true for found, true in zip(model.predict(QUERY).labels, TRUTH, strict=True)]
    assert 0.2 < np.mean(hits) < 0.47


def test_one_scan_alone_gets_the_answer_of_the_batch(model: TaskModel) -> None:
    check_one_alone(model, QUERY)


def test_renaming_the_labels_renames_the_answer(
    name: str, extractor: FeatureExtractor, model: TaskModel
) -> None:
    renamed = make_learner(name, extractor).adapt(task(("z", "m", "k")))  # sorts the other way round
    before, after = model.predict(QUERY), renamed.predict(QUERY)
    assert after.classes == ("k", "m", "z")
    np.testing.assert_allclose(before.probabilities, after.probabilities[:, ::-1], atol=2e-3)


def test_the_order_of_the_support_does_not_matter(
    name: str, extractor: FeatureExtractor, model: TaskModel
) -> None:
    support = task()
    turned = make_learner(name, extractor).adapt(support.subset(range(len(support.scans))[::-1]))
    np.testing.assert_allclose(
        model.predict(QUERY).probabilities, turned.predict(QUERY).probabilities, atol=2e-3
    )


def test_adapting_and_predicting_change_nothing(name: str, extractor: FeatureExtractor) -> None:
    before = [value.clone() for value in BACKBONE.network.state_dict().values()]
    learner = make_learner(name, extractor)
    first = learner.adapt(task())
    answer = first.predict(QUERY).probabilities
    learner.adapt(task(first=1000)).predict(QUERY)
    assert np.array_equal(first.predict(QUERY).probabilities, answer)
    assert all(torch.equal(a, b) for a, b in zip(before, BACKBONE.network.state_dict().values(), strict=True))


def test_a_saved_model_answers_as_before(
    model: TaskModel, extractor: FeatureExtractor, tmp_path: Path
) -> None:
    model.save(tmp_path)
    again = load_task_model(tmp_path, extractor)
    assert np.array_equal(again.predict(QUERY).probabilities, model.predict(QUERY).probabilities)
    assert again.predict(QUERY).neighbours == model.predict(QUERY).neighbours
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.safetensors"]


def test_a_model_of_another_backbone_is_refused(model: TaskModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    other = Planted(replace(BACKBONE, sha256="0" * 64), torch.device("cpu"))
    with pytest.raises(ModelError, match="another backbone"):
        load_task_model(tmp_path, other)


def test_a_scan_unlike_the_support_is_flagged_and_declined(model: TaskModel) -> None:
    support_like = model.predict(QUERY)
    # One hot spot that no scan of the support has
    strange = model.predict([scan(9, 77)])
    assert strange.out_of_domain[0] > support_like.out_of_domain.max()


def test_few_scans_and_unequal_classes_still_work(name: str, extractor: FeatureExtractor) -> None:
    scans = [LabelledScan(scan(0, i), "a") for i in range(12)] + [LabelledScan(scan(1, 900), "b")]
    answer = make_learner(name, extractor).adapt(make_task(scans)).predict(QUERY[:16])
    assert np.mean([found == true for found, true in zip(answer.labels, TRUTH, strict=False)]) > 0.8
    assert np.isfinite(answer.probabilities).all()


def test_one_patient_is_not_enough(name: str, extractor: FeatureExtractor) -> None:
    scans = [LabelledScan(scan(kind, kind, "same"), label) for kind, label in enumerate("ab")]
    with pytest.raises(TaskError, match="one patient"):
        make_learner(name, extractor).adapt(make_task(scans))


def test_a_person_can_stop_it(name: str, extractor: FeatureExtractor) -> None:
    def stop(fraction: float, message: str) -> None:
        raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        make_learner(name, extractor).adapt(task(), progress=stop)


def test_an_unknown_learner_is_named(extractor: FeatureExtractor) -> None:
    with pytest.raises(ModelError, match=r"there are: .*anchor"):
        make_learner("magic", extractor)


def test_copies_under_two_groups_do_not_make_everything_else_strange() -> None:
    rows = torch.nn.functional.normalize(torch.eye(6, dtype=torch.float64) + 0.5, dim=1)
    doubled = rows.repeat_interleave(2, dim=0)
    assert usual_distance(doubled, [f"P{n}" for n in range(12)]) == LEAST_DISTANCE
    # Without copies it is the median of one minus the cosine, by hand.
    cosines = (rows @ rows.T).fill_diagonal_(-1).max(dim=1).values
    assert usual_distance(rows, [f"P{n}" for n in range(6)]) == pytest.approx(float((1 - cosines).median()))
