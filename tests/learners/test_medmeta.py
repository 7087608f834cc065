"""The meta-model as a learner: the contract of every learner, on two tiny real trunks."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import check_one_alone
from tiny_network import scan, task, tiny_backbone, tiny_extractor

from medmeta.errors import CancelledError, ModelError, TaskError
from medmeta.learners.medmeta import MetaLearner, feature_task, medmeta
from medmeta.learners.registry import load_task_model
from medmeta.models import twin
from medmeta.models.backbones import Backbone
from medmeta.models.feature_space import embed, within_class_basis
from medmeta.models.meta_model import MetaModel
from medmeta.models.meta_model_file import write_meta_model
from medmeta.models.threads import one_thread
from medmeta.scans.scan import LabelledScan
from medmeta.tasks.task import Task, make_task

QUERY = [scan(kind, 5000 + 10 * kind + i) for kind in range(3) for i in range(8)]
TRUTH = [name for name in "abc" for _ in range(8)]


def medical(sha256: str = "2" * 64) -> Backbone:
    """The tiny network with other weights."""
    found = tiny_backbone()
    for value in found.network.parameters():
        value.data = value.data.flip(0)
    return replace(found, card=replace(found.card, name="tiny_medical"), sha256=sha256)


@pytest.fixture(autouse=True)
def tiny_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twin, "MEDICAL", {"tiny": "tiny_medical"})
    monkeypatch.setattr(twin, "load_backbone", lambda name: {"tiny_medical": medical()}[name])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An untrained meta-model around the statistics of some other scans."""
    trunks = twin.TwinExtractor.beside(tiny_extractor())
    seen = task(shots=8, first=9000)
    features = trunks.extract(seen.scans).double()
    centre = features.mean(dim=0)
    z = embed(features, trunks.blocks, centre)
    basis, variances = within_class_basis([(z, torch.tensor(seen.targets))], 4)
    write_meta_model(tmp_path / "meta.safetensors", MetaModel(trunks.blocks, centre, basis, variances), {})
    return tmp_path / "meta.safetensors"


@pytest.fixture
def learner(path: Path) -> MetaLearner:
    return medmeta(tiny_extractor(), path)


def test_it_learns_colours(learner: MetaLearner) -> None:
    answer = learner.adapt(task()).predict(QUERY)
    assert np.mean([found == true for found, true in zip(answer.labels, TRUTH, strict=True)]) > 0.8
    np.testing.assert_allclose(answer.probabilities.sum(axis=1), 1.0, atol=1e-12)


def test_it_answers_as_the_meta_model_it_was_given(learner: MetaLearner) -> None:
    found = feature_task(task(), learner.space.embed(task().scans))
    with one_thread():  # more threads may sum in another order
        expected = learner.model.adapt(found).probabilities(learner.space.embed(QUERY))
    np.testing.assert_array_equal(learner.adapt(task()).predict(QUERY).probabilities, expected)


def test_one_scan_alone_gets_the_answer_of_the_batch(learner: MetaLearner) -> None:
    check_one_alone(learner.adapt(task()), QUERY)


def test_names_and_order_of_the_support_do_not_matter(learner: MetaLearner) -> None:
    before = learner.adapt(task()).predict(QUERY).probabilities
    renamed = learner.adapt(task(("z", "m", "k"))).predict(QUERY)  # sorts the other way round
    assert renamed.classes == ("k", "m", "z")
    np.testing.assert_allclose(before, renamed.probabilities[:, ::-1], atol=2e-3)
    turned = learner.adapt(task().subset(range(15)[::-1])).predict(QUERY).probabilities
    np.testing.assert_allclose(before, turned, atol=2e-3)


def test_adapting_and_predicting_change_nothing(learner: MetaLearner) -> None:
    watched = (learner.model, learner.space.twin.original.trunk, learner.space.twin.medical.trunk)
    before = [copy.deepcopy(module.state_dict()) for module in watched]
    first = learner.adapt(task())
    answer = first.predict(QUERY).probabilities
    learner.adapt(task(first=1000)).predict(QUERY)
    assert np.array_equal(first.predict(QUERY).probabilities, answer)
    for kept, module in zip(before, watched, strict=True):
        assert all(torch.equal(kept[name], value) for name, value in module.state_dict().items())


def test_a_saved_model_answers_as_before_without_the_meta_model(
    learner: MetaLearner, path: Path, tmp_path: Path
) -> None:
    model = learner.adapt(task())
    model.save(tmp_path / "saved")
    path.unlink()
    again = load_task_model(tmp_path / "saved", tiny_extractor())
    assert np.array_equal(again.predict(QUERY).probabilities, model.predict(QUERY).probabilities)
    assert again.predict(QUERY).neighbours == model.predict(QUERY).neighbours


def test_a_model_of_another_trunk_is_refused(
    learner: MetaLearner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner.adapt(task()).save(tmp_path)
    monkeypatch.setattr(twin, "load_backbone", lambda _: medical("3" * 64))
    with pytest.raises(ModelError, match="another backbone"):
        load_task_model(tmp_path, tiny_extractor())


def test_a_meta_model_for_other_features_is_refused(path: Path, tmp_path: Path) -> None:
    size = 10
    other = MetaModel((6, 4), torch.zeros(size), torch.eye(size)[:, :2], torch.ones(2))
    write_meta_model(tmp_path / "other.safetensors", other, {})
    with pytest.raises(ModelError, match=r"expects feature blocks of \(6, 4\)"):
        medmeta(tiny_extractor(), tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="missing"):
        medmeta(tiny_extractor(), tmp_path / "gone.safetensors")


def test_a_scan_unlike_the_support_is_flagged(learner: MetaLearner) -> None:
    model = learner.adapt(task(("a", "b")))
    like = model.predict(QUERY[:16]).out_of_domain
    assert np.median(model.predict(QUERY[16:]).out_of_domain) > np.median(like)


def test_one_patient_is_not_enough(learner: MetaLearner) -> None:
    scans = [LabelledScan(scan(kind, kind, "same"), label) for kind, label in enumerate("ab")]
    with pytest.raises(TaskError, match="one patient"):
        learner.adapt(make_task(scans))


def test_a_person_can_stop_it(learner: MetaLearner) -> None:
    def stop(fraction: float, message: str) -> None:
        raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        learner.adapt(task(), progress=stop)


def tagged(*tags: dict[str, str]) -> Task:
    return make_task(
        LabelledScan(replace(scan(i % 2, i, f"p{i // 3}"), tags=given), "ab"[i % 2])
        for i, given in enumerate(tags)
    )


def test_tags_count_where_all_scans_agree_and_groups_become_numbers() -> None:
    agreed, chest = {"Modality": "CT", "BodyPartExamined": "CHEST"}, {"Modality": "CT"}
    z = torch.zeros(4, 3)
    found = feature_task(tagged(*[agreed] * 4), z)
    assert (found.modality, found.body_part, found.ways) == ("CT", "CHEST", 2)
    assert found.support_targets.tolist() == [0, 1, 0, 1]
    assert found.support_groups.tolist() == [0, 0, 0, 1]
    assert found.query.shape == (0, 3)
    partly = feature_task(tagged(agreed, agreed, chest, agreed), z)
    assert (partly.modality, partly.body_part) == ("CT", None)
    none = feature_task(tagged({}, {}, {}, {"Modality": "MR"}), z)
    assert (none.modality, none.body_part) == (None, None)
