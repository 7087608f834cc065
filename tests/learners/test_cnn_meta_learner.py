"""What every learner promises, for the deep meta-model on a tiny real network."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_network import scan, task, tiny_backbone

from medmeta.errors import CancelledError, ModelError, TaskError
from medmeta.learners.cnn_meta import CnnMetaLearner, CnnMetaTaskModel, load_cnn_meta
from medmeta.learners.frozen import FrozenLearner
from medmeta.learners.logistic import LOGISTIC
from medmeta.models.cnn_meta import CnnMetaModel
from medmeta.models.features import FeatureExtractor
from medmeta.models.model_config import parse_config
from medmeta.scans.scan import LabelledScan
from medmeta.tasks.task import make_task

QUERY = [scan(kind, 5000 + 10 * kind + i) for kind in range(3) for i in range(8)]
TRUTH = [name for name in "abc" for _ in range(8)]


@pytest.fixture(scope="module")
def extractor() -> FeatureExtractor:
    tiny = tiny_backbone()
    named = replace(tiny, card=replace(tiny.card, name="efficientnet_lite0"))
    return FeatureExtractor(named, torch.device("cpu"))


@pytest.fixture(scope="module", params=[["conv2", "conv3", "fc"], ["fc"]], ids="+".join)
def learner(request: pytest.FixtureRequest, extractor: FeatureExtractor) -> CnnMetaLearner:
    meta = {"backbone": "efficientnet_lite0", "dynamic_layers": request.param, "rank": 2, "type": "cnn_meta"}
    config = parse_config({"meta_model": meta, "inner_loop": {"lr": 0.1}})
    return CnnMetaLearner("cnn", CnnMetaModel.from_config(config, extractor.backbone).eval(), extractor)


@pytest.fixture(scope="module")
def model(learner: CnnMetaLearner) -> CnnMetaTaskModel:
    return learner.adapt(task())


def hits(labels: tuple[str, ...]) -> list[bool]:
    return [found == true for found, true in zip(labels, TRUTH, strict=True)]


def test_learns_what_the_scans_show(model: CnnMetaTaskModel) -> None:
    answer = model.predict(QUERY)
    assert np.mean(hits(answer.labels)) > 0.75
    np.testing.assert_allclose(answer.probabilities.sum(axis=1), 1.0, atol=1e-12)


def test_shuffled_labels_fall_to_chance(learner: CnnMetaLearner) -> None:
    support, found = task(shots=6), []
    for seed in range(10):
        labels = np.random.default_rng(seed).permutation(support.labels)
        found += hits(learner.adapt(replace(support, labels=tuple(map(str, labels)))).predict(QUERY).labels)
    assert 0.2 < np.mean(found) < 0.47


def test_one_scan_alone_gets_the_answer_of_the_batch(model: CnnMetaTaskModel) -> None:
    batch = model.predict(QUERY)
    for position in (0, 9, 23):
        alone = model.predict([QUERY[position]])
        assert np.array_equal(alone.probabilities[0], batch.probabilities[position])
        assert alone.neighbours[0] == batch.neighbours[position]
    assert model.predict([]).labels == ()


def test_renaming_the_labels_renames_the_answer(learner: CnnMetaLearner, model: CnnMetaTaskModel) -> None:
    renamed = learner.adapt(task(("z", "m", "k")))  # sorts the other way round
    before, after = model.predict(QUERY), renamed.predict(QUERY)
    assert after.classes == ("k", "m", "z")
    np.testing.assert_allclose(before.probabilities, after.probabilities[:, ::-1], atol=2e-3)


def test_adapting_and_predicting_change_nothing(learner: CnnMetaLearner) -> None:
    state, trunk = (copy.deepcopy(module.state_dict()) for module in (learner.model, learner.extractor.trunk))
    first = learner.adapt(task())
    answer = first.predict(QUERY).probabilities
    learner.adapt(task(first=1000)).predict(QUERY)
    assert np.array_equal(first.predict(QUERY).probabilities, answer)
    assert np.array_equal(learner.adapt(task()).predict(QUERY).probabilities, answer)
    assert all(torch.equal(state[name], value) for name, value in learner.model.state_dict().items())
    assert all(
        torch.equal(trunk[name], value) for name, value in learner.extractor.trunk.state_dict().items()
    )


def test_dynamic_stages_bend_to_the_task(learner: CnnMetaLearner, model: CnnMetaTaskModel) -> None:
    assert tuple(model.film) == learner.model.film.names
    assert all(gain.abs().max() > 0.01 for gain, _ in model.film.values())


def test_a_saved_model_answers_as_before(model: CnnMetaTaskModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    again = load_cnn_meta(tmp_path, model.extractor)
    assert np.array_equal(again.predict(QUERY).probabilities, model.predict(QUERY).probabilities)
    assert again.predict(QUERY).neighbours == model.predict(QUERY).neighbours
    assert list(again.film) == list(model.film)
    other = FeatureExtractor(replace(model.extractor.backbone, sha256="0" * 64), torch.device("cpu"))
    with pytest.raises(ModelError, match="another backbone"):
        load_cnn_meta(tmp_path, other)


def test_neighbours_and_distances_are_those_of_the_frozen_learners(
    model: CnnMetaTaskModel, extractor: FeatureExtractor
) -> None:
    frozen = FrozenLearner("x", (LOGISTIC,), extractor).adapt(task()).predict(QUERY)
    assert model.predict(QUERY).neighbours == frozen.neighbours
    assert np.array_equal(model.predict(QUERY).out_of_domain, frozen.out_of_domain)


def test_few_scans_and_unequal_classes_still_work(learner: CnnMetaLearner) -> None:
    scans = [LabelledScan(scan(0, i), "a") for i in range(12)] + [LabelledScan(scan(1, 900), "b")]
    answer = learner.adapt(make_task(scans)).predict(QUERY[:16])
    assert np.mean([found == true for found, true in zip(answer.labels, TRUTH, strict=False)]) > 0.7


def test_one_patient_is_not_enough_and_a_person_can_stop_it(learner: CnnMetaLearner) -> None:
    scans = [LabelledScan(scan(kind, kind, "same"), label) for kind, label in enumerate("ab")]
    with pytest.raises(TaskError, match="one patient"):
        learner.adapt(make_task(scans))

    def stop(fraction: float, message: str) -> None:
        raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        learner.adapt(task(), progress=stop)


def test_a_model_of_another_backbone_is_refused(learner: CnnMetaLearner) -> None:
    other = FeatureExtractor(replace(learner.extractor.backbone, sha256="0" * 64), torch.device("cpu"))
    with pytest.raises(ModelError, match="another backbone"):
        CnnMetaLearner("cnn", learner.model, other)
