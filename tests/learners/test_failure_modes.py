"""How a meta-learned method can fool its makers (DESIGN 5.4), tried on the meta-model.

Through `MetaModel.adapt` on features, and through the learner on scans of tiny trunks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic_tasks import ALL_PARTS, disturbed, meta_model, task
from tiny_network import scan, tiny_extractor
from tiny_network import task as scan_task
from torch import Tensor, nn

from medmeta.learners.medmeta import MetaLearner
from medmeta.models.meta_model import MetaModel
from medmeta.models.twin import TwinExtractor, TwinSpace
from medmeta.scans.scan import LabelledScan
from medmeta.tasks.meta_task import FeatureTask
from medmeta.tasks.task import make_task

CHANCE = torch.Generator().manual_seed(0)
QUERY = [scan(kind, 5000 + 10 * kind + i) for kind in range(3) for i in range(8)]
TRUTH = [name for name in "abc" for _ in range(8)]


@pytest.fixture(scope="module")
def model() -> MetaModel:
    """As if trained: every parameter moved."""
    return disturbed(meta_model())


@pytest.fixture(scope="module")
def learner() -> MetaLearner:
    """The learner on two trunks, of the same weights, which is enough here."""
    twin = TwinExtractor(tiny_extractor(), tiny_extractor())
    seen = twin.extract(scan_task(shots=4, first=9000).scans).double()
    basis = torch.eye(seen.shape[1]).double()[:, :3]
    made = MetaModel(twin.blocks, seen.mean(dim=0), basis, torch.ones(3)).eval()
    disturbed(made, size=0.05)
    return MetaLearner("medmeta", made, TwinSpace(twin, made.centre), twin.original)


def answers(model: MetaModel, found: FeatureTask) -> Tensor:
    return model.adapt(found).probabilities(found.query).argmax(dim=1)


def balanced(right: Tensor, targets: Tensor) -> float:
    return float(np.mean([right[targets == c].double().mean().item() for c in targets.unique()]))


def test_shuffled_labels_fall_to_chance(model: MetaModel) -> None:
    right, shuffled = [], []
    for seed in range(25):
        found = task(model, seed, shots=(6, 6, 6), queries=8, noise=0.5)
        order = torch.tensor(np.random.default_rng(seed).permutation(18))
        mixed = replace(found, support_targets=found.support_targets[order])
        right.append((answers(model, found) == found.query_targets).double().mean().item())
        shuffled.append((answers(model, mixed) == found.query_targets).double().mean().item())
    assert np.mean(right) > 0.9
    assert 0.22 < np.mean(shuffled) < 0.45


def test_shuffled_labels_fall_to_chance_through_the_learner(learner: MetaLearner) -> None:
    support, hits = scan_task(shots=6), []
    for seed in range(20):
        labels = tuple(map(str, np.random.default_rng(seed).permutation(support.labels)))
        found = learner.adapt(replace(support, labels=labels)).predict(QUERY).labels
        hits += [a == b for a, b in zip(found, TRUTH, strict=True)]
    assert 0.2 < np.mean(hits) < 0.47


def test_no_answer_depends_on_the_other_queries(model: MetaModel, learner: MetaLearner) -> None:
    """Nor on how many they are: no statistics of a batch, and none of the query in what was adapted."""
    found = task(model)
    whole = model.episode(found, CHANCE).logits
    far = replace(found, query=torch.cat([found.query[:3], 10.0 * found.query[3:].flip(1)]))
    np.testing.assert_allclose(model.episode(far, CHANCE).logits[:3], whole[:3], atol=1e-12)
    for key in ("weight", "bias", "temperatures", "shares"):
        assert torch.equal(getattr(model.adapt(far), key), getattr(model.adapt(found), key))
    adapted = learner.adapt(scan_task())
    together = adapted.predict(QUERY).probabilities
    for i in range(0, 24, 5):
        assert np.array_equal(adapted.predict([QUERY[i]]).probabilities[0], together[i])
    assert np.array_equal(adapted.predict(QUERY[::-1]).probabilities[::-1], together)


def test_permuting_the_labels_permutes_the_answer(model: MetaModel, learner: MetaLearner) -> None:
    found = task(model, shots=(5, 3, 2, 4))
    for order in (torch.tensor([3, 0, 2, 1]), torch.tensor([1, 2, 3, 0])):
        renamed = replace(found, support_targets=order[found.support_targets])
        chances = model.adapt(renamed).probabilities(found.query)[:, order]
        np.testing.assert_allclose(chances, model.adapt(found).probabilities(found.query), atol=2e-3)
    names = learner.adapt(scan_task(("b", "c", "a"))).predict(QUERY)
    as_before = learner.adapt(scan_task()).predict(QUERY).probabilities
    np.testing.assert_allclose(names.probabilities[:, [1, 2, 0]], as_before, atol=2e-3)


@pytest.mark.parametrize("per_group", [1, 3])
def test_a_scan_is_judged_only_without_its_group(model: MetaModel, per_group: int) -> None:
    """Other goals for a group's scans change what all others are told, and nothing of what the group is told."""
    batch = model.prepare([task(model, shots=(30, 30), per_group=per_group)])
    vector = model.begin(batch, None).vector
    before, _ = model.fit(vector, batch)
    groups = batch.tasks[0].support_groups
    for group in groups.unique()[:5]:
        own = groups == group
        values = batch.goals.values + own[:, None] * torch.tensor([3.0, -5.0])
        after, _ = model.fit(vector, replace(batch, goals=replace(batch.goals, values=values)))
        change = (after - before)[0].abs()
        assert change[own].max() < 1e-9
        assert change[~own].max() > 1e-2


def test_copies_of_a_scan_in_one_group_are_no_evidence(model: MetaModel) -> None:
    """Random labels on random scans, each thrice: only judging within a group could find anything in them."""
    losses = []
    for seed in range(8):
        random = torch.Generator().manual_seed(seed)
        z = model.embed(torch.randn(12, sum(model.blocks), generator=random)).repeat_interleave(3, dim=0)
        found = replace(
            task(model),
            ways=2,
            support=z,
            support_targets=torch.tensor([0, 1] * 6).repeat_interleave(3),
            support_groups=torch.arange(12).repeat_interleave(3),
        )
        stack = model.adapt(replace(found, query=found.query[:0], query_targets=found.query_targets[:0]))
        apart = replace(found, support_groups=torch.arange(36))
        split = model.adapt(replace(apart, query=found.query[:0], query_targets=found.query_targets[:0]))
        losses.append(float(stack.temperatures[0] / split.temperatures[0]))
    assert np.mean(losses) < 0.7  # it knows that it knows nothing; split groups would make it certain


def test_twelve_against_one_is_handled(model: MetaModel, learner: MetaLearner) -> None:
    found = [task(model, seed, shots=(12, 1), queries=10, noise=0.5) for seed in range(10)]
    scores = [balanced(answers(model, each) == each.query_targets, each.query_targets) for each in found]
    assert np.mean(scores) > 0.8
    scans = [LabelledScan(scan(0, i), "a") for i in range(12)] + [LabelledScan(scan(1, 900), "b")]
    labels = learner.adapt(make_task(scans)).predict(QUERY[:16]).labels
    right = torch.tensor([a == b for a, b in zip(labels, TRUTH, strict=False)])
    assert balanced(right, torch.arange(16) // 8) > 0.75


HALVES = (8, 8)


def half_informed(model: MetaModel, seed: int, informed: int) -> FeatureTask:
    """Classes differ in one block alone; the other is noise."""
    random = np.random.default_rng((seed, informed))
    centres = np.zeros((3, 16))
    centres[:, 8 * informed : 8 * informed + 8] = random.normal(size=(3, 8))
    support, query = np.repeat(np.arange(3), 4), np.repeat(np.arange(3), 5)

    def embedded(targets: np.ndarray) -> Tensor:
        return model.embed(torch.tensor(centres[targets] + 0.7 * random.normal(size=(len(targets), 16))))

    return FeatureTask(
        source=f"domain {informed}",
        domain="",
        ways=3,
        support=embedded(support),
        support_targets=torch.tensor(support),
        support_groups=torch.arange(12),
        query=embedded(query),
        query_targets=torch.tensor(query),
    )


class Told(nn.Module):
    """A descriptor that says what it was told to."""

    def __init__(self, said: Tensor) -> None:
        super().__init__()
        self.said = said

    def forward(self, *_: object) -> Tensor:
        return self.said


def test_a_descriptor_shuffled_across_tasks_hurts() -> None:
    """After a short meta-training on two domains whose best block weights the descriptor alone can tell apart."""
    parts = replace(ALL_PARTS, memory=False, metric=False, probe=False, steps=0)
    model = meta_model(parts, blocks=HALVES, rank=2, bound=1.0, dropout=0.0).train()
    learned = [*model.hypernetwork.parameters(), *model.descriptor.parameters()]
    optimiser = torch.optim.Adam(learned, lr=0.01)
    for step in range(120):
        optimiser.zero_grad()
        for informed in (0, 1):
            loss = model.episode(half_informed(model, step, informed), CHANCE).query_loss
            torch.autograd.backward([loss])
        optimiser.step()
    model.eval()
    tasks = [half_informed(model, seed, informed) for seed in range(1000, 1012) for informed in (0, 1)]

    def loss_by(describe: Callable[[int], Tensor]) -> float:
        own = model.descriptor
        try:
            losses = []
            for i, found in enumerate(tasks):
                model.descriptor = Told(describe(i))  # type: ignore[assignment]
                losses.append(model.episode(found, CHANCE).query_loss.item())
        finally:
            model.descriptor = own
        return float(np.mean(losses))

    with torch.no_grad():
        said = [model.descriptor(model.prepare([found]), [CHANCE]) for found in tasks]
        right, neighbours = loss_by(lambda i: said[i]), loss_by(lambda i: said[(i + 2) % len(said)])
        swapped = loss_by(lambda i: said[i ^ 1])
        model.parts = replace(parts, generation=False)
        nothing = loss_by(lambda i: said[i])
    assert right < 0.97 * nothing  # generation earns its place
    assert swapped > 1.1 * right
    assert swapped > nothing
    assert neighbours < 0.5 * (right + swapped)  # another task of the same domain is no such harm
