"""The feature GAN on a Gaussian mixture whose means and spreads are known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from medmeta.errors import CancelledError, TaskError
from medmeta.tasks.feature_gan import FeatureGan, _Pairs, augment_support, fit_gan
from medmeta.tasks.meta_task import FeatureTask

SIZE, CLASSES, PATIENTS = 6, 3, 150
MEANS = 4.0 * torch.tensor([[1.0, 0, 0, 1, 0, -1], [0, 1, 0, -1, 1, 0], [-1, 0, 1, 0, -1, 1]]) + 2.0
SPREADS = torch.tensor([0.6, 0.8, 1.0, 1.2, 0.8, 1.0])


def draw(seed: int, per_class: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    targets = torch.arange(CLASSES).repeat_interleave(per_class)
    return MEANS[targets] + SPREADS * torch.randn(len(targets), SIZE, generator=random), targets


@pytest.fixture(scope="module")
def gan() -> FeatureGan:
    features, targets = draw(0, PATIENTS)
    return fit_gan(features, targets, torch.arange(len(targets)), seed=0, steps=250)


def test_class_means_and_spreads_are_the_mixture_s(gan: FeatureGan) -> None:
    prototypes, targets = draw(1, 500)  # patients it has not seen
    made = gan(prototypes, torch.Generator().manual_seed(2))
    for target in range(CLASSES):
        ours = made[targets == target]
        # In units of the spread; a generator that ignored the class would be 4 to 6 away.
        assert ((ours.mean(dim=0) - MEANS[target]) / SPREADS).abs().max() < 0.6
        ratio = ours.std(dim=0) / SPREADS
        assert ratio.min() > 0.6
        assert ratio.max() < 1.5


def test_one_prototype_gives_many_different_features(gan: FeatureGan) -> None:
    made = gan(draw(3, 1)[0][:1].expand(500, -1), torch.Generator().manual_seed(4))
    assert (made.std(dim=0) / SPREADS).min() > 0.5
    assert (made.std(dim=0) / SPREADS).mean() > 0.6


def test_the_same_seed_gives_the_same_gan_and_no_global_draw() -> None:
    features, targets = draw(0, 10)
    groups = torch.arange(len(targets)) // 2
    state = torch.get_rng_state()
    one, two, other = (fit_gan(features, targets, groups, seed=seed, steps=3) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    x = features[:4]
    made = [each(x, torch.Generator().manual_seed(0)) for each in (one, two, other)]
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    assert not any(p.requires_grad for p in one.parameters())


def test_real_example_and_prototype_are_never_of_one_patient() -> None:
    # The feature tells class and patient; a patient of two classes makes a prototype in each.
    targets = torch.tensor([0, 0, 0, 0, 1, 1, 1])
    groups = torch.tensor([5, 5, 6, 7, 5, 8, 8])
    pairs = _Pairs(torch.stack([targets, groups], dim=1).float(), targets, groups)
    random = torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(100):
        real, prototypes = pairs.draw(random)
        assert torch.equal(real[:, 0], prototypes[:, 0])
        assert bool((real[:, 1] != prototypes[:, 1]).all())
        seen |= {(*r, *p) for r, p in zip(real.int().tolist(), prototypes.int().tolist(), strict=True)}
    assert len(seen) == 3 * 2 + 2  # every ordered pair of patients within a class


def support_task() -> FeatureTask:
    support = torch.cat([MEANS[0] + torch.tensor([[0.0], [0.2], [0.4]]), MEANS[1:2]])
    return FeatureTask(
        source="s",
        domain="d",
        ways=2,
        support=support.double(),
        support_targets=torch.tensor([0, 0, 0, 1]),
        support_groups=torch.tensor([3, 3, 9, 4]),
        query=torch.zeros(1, SIZE, dtype=torch.float64),
        query_targets=torch.tensor([0]),
    )


def test_generated_rows_belong_to_the_patient_they_were_made_from(gan: FeatureGan) -> None:
    task = support_task()
    found = augment_support(task, gan, 3, torch.Generator().manual_seed(0))
    assert found.synthetic
    assert not task.synthetic
    assert torch.equal(found.support[:4], task.support)
    assert torch.equal(found.query, task.query)
    assert found.support.dtype == torch.float64
    assert found.support_targets.tolist() == [0, 0, 0, 1, 0, 0, 0, 1, 1, 1]
    assert found.support_groups.tolist() == [3, 3, 9, 4, 3, 9, 3, 4, 4, 4]
    # Moving patient 9's scan moves the rows made from it, and no other.
    moved = replace(task, support=task.support + torch.tensor([[0.0], [0.0], [3.0], [0.0]]))
    again = augment_support(moved, gan, 3, torch.Generator().manual_seed(0))
    changed = (again.support != found.support).any(dim=1)
    assert changed.tolist() == [code == 9 for code in found.support_groups.tolist()]


def test_nothing_is_generated_for_a_person(gan: FeatureGan) -> None:
    task = support_task()
    person = replace(task, query=task.query[:0], query_targets=task.query_targets[:0])
    with pytest.raises(TaskError, match=r"no query.*meta-training only"):
        augment_support(person, gan, 1, torch.Generator())
    with pytest.raises(TaskError, match="class 2 has no support"):
        augment_support(replace(task, ways=3), gan, 1, torch.Generator())
    with pytest.raises(TaskError, match="found 0"):
        augment_support(task, gan, 0, torch.Generator())


def test_what_cannot_be_trained_on_is_refused() -> None:
    features, targets = draw(0, 4)
    groups = torch.arange(len(targets))
    with pytest.raises(TaskError, match="class 0 has one"):
        fit_gan(features, targets, targets, seed=0, steps=1)
    with pytest.raises(TaskError, match="finite"):
        fit_gan(features * torch.inf, targets, groups, seed=0, steps=1)
    with pytest.raises(TaskError, match="n targets and groups"):
        fit_gan(features, targets[:-1], groups, seed=0, steps=1)


def test_progress_is_told_and_may_stop() -> None:
    features, targets = draw(0, 4)

    def stop(fraction: float, message: str) -> None:
        if fraction >= 0.5:
            raise CancelledError(message)

    with pytest.raises(CancelledError, match="step 2 of 4"):
        fit_gan(features, targets, torch.arange(len(targets)), 0, 4, stop)
