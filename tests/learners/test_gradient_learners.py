"""What every learner promises, for those that change the network, on a tiny real network."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import check_one_alone
from tiny_network import scan, task, tiny_backbone, tiny_extractor

from medmeta.errors import CancelledError, ModelError, TaskError
from medmeta.learners.anil import anil
from medmeta.learners.base import Learner
from medmeta.learners.finetune import EPSILON, finetune
from medmeta.learners.fomaml import fomaml
from medmeta.learners.frozen import FrozenLearner
from medmeta.learners.logistic import LOGISTIC, logistic
from medmeta.learners.lpft import lpft
from medmeta.learners.maml import maml
from medmeta.learners.reptile import reptile
from medmeta.learners.tuned import TunedTaskModel, load_tuned
from medmeta.models.features import VIEWS, FeatureExtractor
from medmeta.models.functional import TailClassifier, balanced_cross_entropy
from medmeta.models.staged import Tail
from medmeta.scans.scan import LabelledScan, Scan
from medmeta.tasks.task import make_task
from medmeta.training.maml import Anil, Fomaml, Maml, Reptile

QUERY = [scan(kind, 5000 + 10 * kind + i) for kind in range(3) for i in range(8)]
TRUTH = [name for name in "abc" for _ in range(8)]
META = {"maml": (maml, Maml), "fomaml": (fomaml, Fomaml), "anil": (anil, Anil), "reptile": (reptile, Reptile)}
TUNED = {"finetune": finetune, "lpft": lpft}
Make = Callable[[FeatureExtractor], Learner]


@pytest.fixture(scope="module")
def extractor() -> FeatureExtractor:
    return tiny_extractor()


@pytest.fixture(params=[*META, *TUNED])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """The method; those that need meta-trained weights take the untrained backbone's own."""
    if request.param in TUNED:
        return lambda extractor: TUNED[request.param](extractor, "conv2", 12)
    learner, kind = META[request.param]
    path = tmp_path / "start.safetensors"
    model = kind.of(tiny_backbone(), "conv2", steps=5)
    model.save(path, tiny_backbone())
    return lambda extractor: learner(extractor, path)


@pytest.fixture
def model(make: Make, extractor: FeatureExtractor) -> TunedTaskModel:
    found = make(extractor).adapt(task())
    assert isinstance(found, TunedTaskModel)
    return found


def hits(labels: tuple[str, ...]) -> list[bool]:
    return [found == true for found, true in zip(labels, TRUTH, strict=True)]


def test_learns_what_the_scans_show(model: TunedTaskModel) -> None:
    answer = model.predict(QUERY)
    assert np.mean(hits(answer.labels)) > 0.75
    np.testing.assert_allclose(answer.probabilities.sum(axis=1), 1.0, atol=1e-12)
    assert answer.labels == tuple(answer.classes[i] for i in answer.probabilities.argmax(axis=1))


def test_shuffled_labels_fall_to_chance(make: Make, extractor: FeatureExtractor) -> None:
    support, found = task(shots=6), []
    for seed in range(10):
        labels = np.random.default_rng(seed).permutation(support.labels)
        learned = make(extractor).adapt(replace(support, labels=tuple(map(str, labels))))
        found += hits(learned.predict(QUERY).labels)
    assert 0.2 < np.mean(found) < 0.47


def test_one_scan_alone_gets_the_answer_of_the_batch(model: TunedTaskModel) -> None:
    check_one_alone(model, QUERY)


def test_renaming_the_labels_renames_the_answer(
    make: Make, extractor: FeatureExtractor, model: TunedTaskModel
) -> None:
    renamed = make(extractor).adapt(task(("z", "m", "k")))  # sorts the other way round
    before, after = model.predict(QUERY), renamed.predict(QUERY)
    assert after.classes == ("k", "m", "z")
    np.testing.assert_allclose(before.probabilities, after.probabilities[:, ::-1], atol=2e-3)


def test_the_order_of_the_support_does_not_matter(
    make: Make, extractor: FeatureExtractor, model: TunedTaskModel
) -> None:
    support = task()
    turned = make(extractor).adapt(support.subset(range(len(support.scans))[::-1]))
    np.testing.assert_allclose(
        model.predict(QUERY).probabilities, turned.predict(QUERY).probabilities, atol=2e-3
    )


def test_adapting_and_predicting_change_nothing(make: Make, extractor: FeatureExtractor) -> None:
    before = copy.deepcopy(extractor.trunk.state_dict())
    learner = make(extractor)
    first = learner.adapt(task())
    answer = first.predict(QUERY).probabilities
    learner.adapt(task(first=1000)).predict(QUERY)
    again = learner.adapt(task())
    assert np.array_equal(first.predict(QUERY).probabilities, answer)
    assert np.array_equal(again.predict(QUERY).probabilities, answer)  # the learner is as it was
    assert all(torch.equal(before[name], value) for name, value in extractor.trunk.state_dict().items())
    assert not any(value.requires_grad for value in extractor.trunk.parameters())


def test_the_network_itself_learned(model: TunedTaskModel, extractor: FeatureExtractor) -> None:
    tail = Tail(extractor.trunk, model.start).state_dict()
    moved = [not torch.equal(value, tail[name]) for name, value in model.network.tail.state_dict().items()]
    # ANIL's tail is the meta-trained one, here the backbone's own in half precision.
    assert all(moved)
    gap = max((value - tail[name]).abs().max() for name, value in model.network.tail.state_dict().items())
    assert gap < 1e-3 if model.learner == "anil" else gap > 2e-4


def test_a_saved_model_answers_as_before(
    model: TunedTaskModel, extractor: FeatureExtractor, tmp_path: Path
) -> None:
    folder = tmp_path / "saved"
    model.save(folder)
    again = load_tuned(folder, extractor)
    assert np.array_equal(again.predict(QUERY).probabilities, model.predict(QUERY).probabilities)
    assert again.predict(QUERY).neighbours == model.predict(QUERY).neighbours
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.safetensors"]
    other = FeatureExtractor(replace(extractor.backbone, sha256="0" * 64), torch.device("cpu"))
    with pytest.raises(ModelError, match="another backbone"):
        load_tuned(folder, other)


def test_neighbours_and_distances_are_those_of_the_frozen_learners(
    model: TunedTaskModel, extractor: FeatureExtractor
) -> None:
    frozen = FrozenLearner("x", (LOGISTIC,), extractor).adapt(task()).predict(QUERY)
    tuned = model.predict(QUERY)
    assert tuned.neighbours == frozen.neighbours
    assert np.array_equal(tuned.out_of_domain, frozen.out_of_domain)


def test_few_scans_and_unequal_classes_still_work(make: Make, extractor: FeatureExtractor) -> None:
    scans = [LabelledScan(scan(0, i), "a") for i in range(12)] + [LabelledScan(scan(1, 900), "b")]
    answer = make(extractor).adapt(make_task(scans)).predict(QUERY[:16])
    assert np.mean([found == true for found, true in zip(answer.labels, TRUTH, strict=False)]) > 0.7


def test_one_patient_is_not_enough(make: Make, extractor: FeatureExtractor) -> None:
    scans = [LabelledScan(scan(kind, kind, "same"), label) for kind, label in enumerate("ab")]
    with pytest.raises(TaskError, match="one patient"):
        make(extractor).adapt(make_task(scans))


def test_a_person_can_stop_it(make: Make, extractor: FeatureExtractor) -> None:
    def stop(fraction: float, message: str) -> None:
        raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        make(extractor).adapt(task(), progress=stop)


@pytest.mark.parametrize("name", META)
def test_without_meta_trained_weights_it_says_how_to_train_them(
    name: str, extractor: FeatureExtractor, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=rf"{name}.*meta-train.*benchmarks.train_maml --methods {name}"):
        META[name][0](extractor, tmp_path / f"{name}.safetensors")


def test_weights_of_one_method_are_not_taken_for_another_s(
    extractor: FeatureExtractor, tmp_path: Path
) -> None:
    Anil.of(tiny_backbone()).save(tmp_path / "w.safetensors", tiny_backbone())
    with pytest.raises(ModelError, match="no meta-trained maml"):
        maml(extractor, tmp_path / "w.safetensors")


def test_lpft_starts_from_the_logistic_regression(extractor: FeatureExtractor) -> None:
    support = task()
    start = lpft(extractor, steps=0).adapt(support).predict(QUERY).probabilities
    fitted = logistic(extractor).adapt(support).stack
    fixed = replace(fitted, temperatures=torch.full((1,), LOGISTIC.temperature, dtype=torch.float64))
    z = torch.nn.functional.normalize(extractor.extract(QUERY).double(), dim=1)
    np.testing.assert_allclose(start, fixed.probabilities(z), atol=2e-3)  # maps are kept in half precision


def test_fine_tuning_is_adamw_on_the_whole_support(
    extractor: FeatureExtractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps, a view each, classes alike, against gradients summed over bundles."""
    monkeypatch.setattr("medmeta.learners.finetune.BUNDLE", 3)
    support = task(shots=3).subset(range(8))  # unequal classes
    learner = finetune(extractor, "conv1", 2)
    found = learner.adapt(support)
    plain = TailClassifier(copy.deepcopy(Tail(extractor.trunk, "conv1")), 12, 3).requires_grad_(True)
    optimiser = torch.optim.AdamW(
        [
            {"params": plain.tail.parameters(), "lr": learner.trunk_rate},
            {"params": plain.head.parameters(), "lr": learner.head_rate},
        ],
        eps=EPSILON,
    )
    images = extractor.maps(support.scans, "conv1").float()
    for step in range(2):
        optimiser.zero_grad()
        balanced_cross_entropy(plain(images[:, step]), torch.tensor(support.targets)).backward()
        optimiser.step()
    # The biases' first gradient is rounding alone, which AdamW makes a small but visible step of.
    for name, value in plain.state_dict().items():
        room = {"head.weight": 1e-4, "head.bias": 1e-3}.get(name, 5e-6)
        torch.testing.assert_close(found.network.state_dict()[name], value, atol=room, rtol=0)
    moved = (
        found.network.tail.state_dict()["stages.conv1.0.0.weight"]
        - extractor.trunk.state_dict()["convolutions.0.0.weight"]
    )
    assert moved.abs().max() > 5e-5
    assert found.network.head.weight.abs().max() > 5e-3


def test_maps_are_what_the_stage_takes_and_are_remembered(extractor: FeatureExtractor) -> None:
    fresh, seen = tiny_extractor(), list[Scan]()

    class Counting(FeatureExtractor):
        def stack(self, scan: Scan) -> torch.Tensor:
            seen.append(scan)
            return super().stack(scan)

    counting = Counting(fresh.backbone, torch.device("cpu"))
    maps = counting.maps(QUERY[:3], "conv2")
    assert maps.shape == (3, VIEWS, 6, 8, 8)
    assert maps.dtype == torch.float16
    one_by_one = [fresh.trunk.run(view[None], stop="conv2")[0] for view in fresh.stack(QUERY[1])]
    torch.testing.assert_close(maps[1].float(), torch.stack(one_by_one), atol=5e-3, rtol=2e-3)
    assert torch.equal(counting.maps(QUERY[2:0:-1], "conv2"), maps[[2, 1]])
    assert len(seen) == 3
    assert counting.maps(QUERY[:1], "conv3").shape == (1, VIEWS, 8, 4, 4)
    assert len(seen) == 4
    with pytest.raises(ModelError, match="no stage called 'conv9'"):
        counting.maps(QUERY[:1], "conv9")


def test_maps_beyond_the_limit_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    one = VIEWS * 6 * 8 * 8 * 2  # bytes of a scan's maps
    monkeypatch.setattr("medmeta.models.features.MAP_BYTES", 2 * one + 1)
    bounded = tiny_extractor()
    bounded.maps(QUERY[:5], "conv2")
    assert len(bounded._known_maps) == 2
