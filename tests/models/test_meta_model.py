"""The meta-model: a closed-form anchor untrained, an exact meta-gradient, and parts that do what they say."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from synthetic_tasks import ALL_PARTS, closed_form_ridge, disturbed, explicit_map, meta_model, task
from torch import Tensor
from torch.nn import functional as F

from medmeta.models.feature_space import block_scale
from medmeta.models.meta_model import MetaModel, Parts
from medmeta.tasks.meta_task import FeatureTask

BARE = replace(ALL_PARTS, generation=False, memory=False, metric=False, steps=0, probe=False)
CHANCE = torch.Generator().manual_seed(0)


def start_vector(model: MetaModel, found: FeatureTask) -> Tensor:
    batch = model.prepare([found])
    with torch.no_grad():
        return model.begin(batch, model.describe(batch, [CHANCE])).vector[0].detach()


def reached(model: MetaModel, found: FeatureTask) -> Tensor:
    batch = model.prepare([found])
    with torch.no_grad():
        start = model.begin(batch, model.describe(batch, [CHANCE]))
        return model.inner_loop(start, batch, exact=False)[0].detach()


def moved(model: MetaModel, vector: Tensor, x: Tensor) -> tuple[NDArray[np.float64], float]:
    """Rows after the task's weights and gains, by one explicit matrix, and the strength that goes with them."""
    strength, weights, gains = model.layout.split(vector)
    linear = explicit_map(model.basis, gains, block_scale(weights, model.blocks))
    return x.numpy() @ linear, float(strength)


def closed_form(
    model: MetaModel,
    vector: Tensor,
    found: FeatureTask,
    x: Tensor,
    kept: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    support, strength = moved(model, vector, found.support)
    weights = closed_form_ridge(support, found.support_targets.numpy(), found.ways, strength, kept)
    return moved(model, vector, x)[0] @ weights[:-1] + weights[-1]


def left_out(model: MetaModel, vector: Tensor, found: FeatureTask) -> Tensor:
    """Scores of each support scan by a refit without its group."""
    rows = []
    for i, group in enumerate(found.support_groups):
        kept = (found.support_groups != group).numpy()
        rows.append(closed_form(model, vector, found, found.support[i : i + 1], kept)[0])
    return torch.tensor(np.stack(rows))


def head_scores(model: MetaModel, found: FeatureTask, head: int) -> Tensor:
    stack = model.adapt(found)
    return found.query @ stack.weight[head].T + stack.bias[head]


@pytest.mark.parametrize("parts", [BARE, replace(BARE, metric=True), ALL_PARTS])
def test_the_anchor_is_closed_form_ridge_on_transformed_features(parts: Parts) -> None:
    """Whatever is on; untrained generation and memory add nothing to it."""
    model = meta_model(parts)
    with torch.no_grad():
        model.start += torch.linspace(-0.5, 0.5, len(model.start))
    found = task(model, shots=(4, 2, 3))
    expected = closed_form(model, start_vector(model, found), found, found.query)
    np.testing.assert_allclose(head_scores(model, found, 0), expected, atol=1e-7)
    bare = meta_model(replace(parts, generation=False, memory=False))
    bare.load_state_dict(model.state_dict())
    np.testing.assert_allclose(start_vector(model, found), start_vector(bare, found), atol=1e-14)


def test_the_adapted_head_is_the_same_ridge_at_the_adapted_vector() -> None:
    model = disturbed(meta_model())
    found = task(model)
    vector = reached(model, found)
    assert (vector - start_vector(model, found)).abs().max() > 0.05
    expected = closed_form(model, vector, found, found.query)
    np.testing.assert_allclose(head_scores(model, found, 1), expected, atol=1e-7)


@pytest.mark.parametrize("stacked", [True, False])
def test_an_episode_answers_as_the_stack_without_probe_before_its_temperatures_are_refitted(
    stacked: bool,
) -> None:
    """Heads are equal; an episode keeps the meta-learned temperatures, also for the losses that share the answer."""
    model = disturbed(meta_model(replace(ALL_PARTS, probe=False, stack=stacked)))
    found = task(model, per_group=2)
    stack, losses = model.adapt(found), []
    temperatures = model.log_temperature.detach().exp()
    for number, vector in enumerate((start_vector(model, found), reached(model, found))):
        scores = temperatures[number] * left_out(model, vector, found)
        losses.append(F.cross_entropy(scores, found.support_targets, reduction="sum"))
    if stacked:
        shares = torch.softmax(-torch.stack(losses) * model.log_trust.detach().exp(), dim=0)
        unfitted = replace(stack, temperatures=temperatures[:2], shares=shares)
    else:
        unfitted = replace(stack, temperatures=temperatures[1:2], shares=torch.ones(1).double())
    result = model.episode(found, CHANCE)
    np.testing.assert_allclose(result.logits.exp(), unfitted.probabilities(found.query), atol=1e-7)
    assert result.query_loss.item() == pytest.approx(F.nll_loss(result.logits, found.query_targets).item())
    count = len(found.support)
    assert result.support_loss.item() == pytest.approx(losses[1].item() / count, abs=1e-7)


def test_adapting_lowers_the_left_out_loss() -> None:
    model = disturbed(meta_model(anchor_l2=0.0))
    for seed in range(5):
        found = task(model, seed)
        ended = model.episode(found, CHANCE).support_loss
        model.inner_steps = 0
        assert ended < model.episode(found, CHANCE).support_loss
        model.inner_steps = 8


def test_permuting_the_labels_permutes_the_answer() -> None:
    model = disturbed(meta_model())
    found, order = task(model, shots=(4, 2, 3)), torch.tensor([2, 0, 1])
    renamed = replace(
        found, support_targets=order[found.support_targets], query_targets=order[found.query_targets]
    )
    before, after = model.episode(found, CHANCE), model.episode(renamed, CHANCE)
    np.testing.assert_allclose(after.logits[:, order], before.logits, atol=1e-8)
    assert after.query_loss.item() == pytest.approx(before.query_loss.item(), abs=1e-8)
    chances = model.adapt(renamed).probabilities(found.query)[:, order]
    np.testing.assert_allclose(chances, model.adapt(found).probabilities(found.query), atol=2e-3)


def test_one_query_alone_gets_the_answer_of_the_batch() -> None:
    model = disturbed(meta_model())
    found = task(model)
    together = model.episode(found, CHANCE).logits
    stack = model.adapt(found)
    for i in (0, 5):
        one = replace(found, query=found.query[i : i + 1], query_targets=found.query_targets[i : i + 1])
        np.testing.assert_allclose(model.episode(one, CHANCE).logits[0], together[i], atol=1e-12)
        assert torch.equal(stack.probabilities(one.query)[0], stack.probabilities(found.query)[i])
        assert torch.equal(model.adapt(one).weight, stack.weight)


def test_adapting_changes_nothing() -> None:
    model = disturbed(meta_model())
    found = task(model)
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    first = model.adapt(found)
    model.adapt(task(model, 1))
    model.episode(found, CHANCE)
    assert torch.equal(model.adapt(found).weight, first.weight)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in model.parameters())
    assert not first.weight.requires_grad


def test_training_writes_what_was_learned_and_other_sets_read_it() -> None:
    model = disturbed(meta_model(dropout=0.0))
    found, other = task(model), task(model, 1, source="b")
    before = model.episode(other, CHANCE).logits
    learned = reached(model, found) - start_vector(model, found)
    model.train().episode(found, CHANCE)
    np.testing.assert_allclose(model.memory.values[0], learned, atol=1e-12)
    model.eval()
    assert (model.episode(other, CHANCE).logits - before).abs().max() > 1e-4
    np.testing.assert_allclose(
        start_vector(model, replace(other, source="a")), start_vector(model, replace(other, source="a+c"))
    )


@pytest.mark.parametrize("steps", [0, 3])
def test_the_meta_gradient_is_that_of_central_differences(steps: int) -> None:
    model = disturbed(meta_model(replace(ALL_PARTS, steps=steps), dropout=0.0))
    model.train().episode(task(model, 5, source="b"), CHANCE)
    found = task(model.eval(), modality="CT")
    gradient = model.meta_gradient(model.episode(found, CHANCE).query_loss)
    values, checked = dict(model.named_parameters()), 0
    assert gradient.keys() == values.keys()
    for name, value in values.items():
        place = int(gradient[name].abs().argmax())
        flat = value.data.view(-1)
        kept, losses = flat[place].item(), []
        for shift in (1e-5, -1e-5):
            flat[place] = kept + shift
            with torch.no_grad():
                losses.append(model.episode(found, CHANCE).query_loss.item())
        flat[place] = kept
        expected = (losses[0] - losses[1]) / 2e-5
        assert gradient[name].view(-1)[place].item() == pytest.approx(expected, rel=1e-3, abs=1e-7), name
        checked += abs(expected) > 1e-6
    # all but the text, which the task has none of, and what only adapting uses
    assert checked >= len(values) - (4 if steps else 8)


def quiet(model: MetaModel, part: str) -> None:
    """Set what belongs to a part to its zero."""
    with torch.no_grad():
        if part == "generation":
            model.hypernetwork.out.weight.zero_()
            model.hypernetwork.out.bias.zero_()
        elif part == "memory":
            model.memory.gates.zero_()
            model.memory.recent.weight.zero_()
            model.memory.recent.bias.zero_()
        elif part == "metric":
            model.log_metric.fill_(-80.0)
        elif part == "steps":
            model.log_rates.fill_(-80.0)
        else:
            model.descriptor.text.weight.zero_()


@pytest.mark.parametrize(
    ("part", "off"),
    [("generation", False), ("memory", False), ("metric", False), ("steps", 0), ("text", False)],
)
def test_a_part_changes_the_answer_and_at_its_zero_changes_nothing(part: str, off: bool | int) -> None:
    model = disturbed(meta_model(dropout=0.0))
    model.train().episode(task(model, 5, source="b"), CHANCE)
    found = task(model.eval(), text=torch.ones(model.descriptor.text_size))
    on = model.parts
    without = replace(on, **{part: off})  # type: ignore[arg-type]

    def answers() -> tuple[Tensor, Tensor]:
        return model.episode(found, CHANCE).logits, model.adapt(found).weight

    def gaps() -> list[float]:
        model.parts = on
        before = answers()
        model.parts = without
        after = answers()
        return [float((a - b).abs().max()) for a, b in zip(before, after, strict=True)]

    assert min(gaps()) > 1e-4
    quiet(model, part)
    assert max(gaps()) < 1e-9


def test_the_probe_joins_the_stack_and_leaves_the_other_heads() -> None:
    model = disturbed(meta_model())
    found = task(model)
    three = model.adapt(found)
    model.parts = replace(model.parts, probe=False)
    two = model.adapt(found)
    assert len(three.shares) == 3
    assert torch.equal(three.weight[:2], two.weight)
    assert torch.equal(three.temperatures[:2], two.temperatures)
    np.testing.assert_allclose(three.shares[:2] / three.shares[:2].sum(), two.shares, atol=1e-12)


def test_the_probe_is_logistic_regression_on_the_adapted_features() -> None:
    """Its gradient is zero where it stands, in the transformed space of an explicit matrix."""
    model = disturbed(meta_model())
    found = task(model, shots=(5, 2, 3), noise=2.0)
    z, _ = moved(model, reached(model, found), found.support)
    scores = (found.support @ model.adapt(found).weight[2].T + model.adapt(found).bias[2]).numpy()
    counts = found.support_targets.bincount()
    share = (len(z) / (3 * counts[found.support_targets])).numpy()
    residual = share[:, None] * (
        np.eye(3)[found.support_targets] - torch.softmax(torch.tensor(scores), 1).numpy()
    )
    # stationary: strength * weight = z^T residual, hence scores = (z z^T + 1) residual / strength
    implied = (z @ z.T + 1.0) @ residual
    factor = (implied * scores).sum() / (scores**2).sum()
    np.testing.assert_allclose(implied / factor, scores, atol=0.05 * np.abs(scores).max())


def test_without_the_stack_the_adapted_head_alone_answers() -> None:
    model = disturbed(meta_model(replace(ALL_PARTS, stack=False)))
    found = task(model)
    alone = model.adapt(found)
    model.parts = ALL_PARTS
    stacked = model.adapt(found)
    assert alone.shares.tolist() == [1.0]
    for name in ("weight", "bias", "temperatures"):
        assert torch.equal(getattr(alone, name), getattr(stacked, name)[1:2])


def test_by_default_the_answer_is_ridge_at_the_start_alone() -> None:
    """No inner loop and no stack: what neither pays for is not done."""
    model = disturbed(meta_model(Parts()))
    found = task(model, shots=(4, 2, 3))
    stack = model.adapt(found)
    assert stack.shares.tolist() == [1.0]
    expected = closed_form(model, start_vector(model, found), found, found.query)
    np.testing.assert_allclose(found.query @ stack.weight[0].T + stack.bias[0], expected, atol=1e-7)


def test_a_head_that_fails_on_what_was_left_out_loses_its_share() -> None:
    model = meta_model(replace(BARE, steps=0))
    assert model.adapt(task(model)).shares.tolist() == pytest.approx([0.5, 0.5])  # nothing between them
    sharp = disturbed(meta_model(replace(ALL_PARTS, probe=False)))
    with torch.no_grad():
        sharp.log_trust.fill_(6.0)
    shares = [sharp.adapt(task(sharp, seed)).shares.max().item() for seed in range(5)]
    assert min(shares) > 0.8


def test_one_scan_a_class_is_answered_from_the_start() -> None:
    """Nothing can be judged, so nothing is adapted."""
    model = disturbed(meta_model())
    found = task(model, shots=(1, 1, 1))
    stack = model.adapt(found)
    assert torch.equal(stack.weight[0], stack.weight[1])
    assert torch.isfinite(stack.probabilities(found.query)).all()
    result = model.episode(found, CHANCE)
    assert torch.isfinite(result.query_loss)
    assert result.support_loss == 0.0


def test_the_seed_alone_decides_the_start() -> None:
    state = torch.get_rng_state()
    one, two, three = (meta_model(seed=seed).state_dict() for seed in (4, 4, 5))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not all(torch.equal(one[name], three[name]) for name in one)


def test_the_metric_is_the_inverse_root_of_the_shrunk_covariance() -> None:
    """``(b * S_meta + c * I) ** -0.5`` along the basis, b relative to c and to the mean variance."""
    model = meta_model(replace(BARE, metric=True))
    with torch.no_grad():
        model.log_metric.fill_(np.log(2.0))
    _, _, gains = model.layout.split(start_vector(model, task(model)))
    variances = model.variances.numpy()
    expected = 1.0 / np.sqrt(1.0 + 2.0 * variances / variances.mean())
    np.testing.assert_allclose(gains, expected, rtol=1e-12)


UNEVEN: list[dict[str, object]] = [
    {"shots": (4, 4, 4)},
    {"shots": (1, 1), "queries": 2},
    {"shots": (2, 5, 3, 1, 2), "per_group": 2, "modality": "CT", "source": "b"},
    {"shots": (12, 9), "per_group": 3, "queries": 7, "source": "a+b"},
]


@pytest.mark.parametrize("parts", [ALL_PARTS, Parts(), replace(ALL_PARTS, stack=False)])
def test_tasks_side_by_side_get_the_answers_and_gradients_each_gets_alone(parts: Parts) -> None:
    model = disturbed(meta_model(parts, dropout=0.0))
    model.train().episodes([task(model, 9, source="b"), task(model, 8, source="c")], [CHANCE] * 2)
    model.eval()
    tasks = [task(model, seed, **facts) for seed, facts in enumerate(UNEVEN)]  # type: ignore[arg-type]
    together = model.episodes(tasks, [CHANCE] * len(tasks))
    alone = [model.episode(each, CHANCE) for each in tasks]
    for found, one in zip(together, alone, strict=True):
        np.testing.assert_allclose(found.logits, one.logits, atol=1e-9)
        torch.testing.assert_close(found.support_loss, one.support_loss, atol=1e-10, rtol=0)
        torch.testing.assert_close(found.query_loss, one.query_loss, atol=1e-9, rtol=0)
    factors = torch.linspace(0.5, 2.0, len(tasks)).double()  # so that no task's gradient passes for another's
    ours, theirs = (
        model.meta_gradient((factors * torch.stack([each.query_loss for each in results])).sum())
        for results in (together, alone)
    )
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, atol=1e-9, rtol=1e-7)


def test_many_tasks_at_once_are_adapted_to_as_each_alone() -> None:
    """Tasks of other sizes and classes beside it pad a task, and change nothing of its answer."""
    model = disturbed(meta_model())
    found = [
        task(model, shots=(4, 2, 3)),
        task(model, seed=1, shots=(2, 2)),
        task(model, seed=2, shots=(1, 1, 1)),
        task(model, seed=3, shots=(6, 5), per_group=2),
    ]
    for one, stack in zip(found, model.adapt_all(found), strict=True):
        alone = model.adapt(one)
        assert stack.weight.shape == (3, one.ways, sum(model.blocks))
        for name in ("weight", "bias", "temperatures", "shares"):
            np.testing.assert_allclose(getattr(stack, name), getattr(alone, name), atol=1e-9, err_msg=name)
