"""The MAML family's meta-gradients against a library, finite differences and closed forms; saving and loading."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import higher
import pytest
import torch
from safetensors.torch import load_file
from tiny_network import tiny_backbone
from torch import Tensor, nn
from torch.nn import functional as F

from medmeta.errors import ModelError
from medmeta.models.inner_loop import HEAD_RATE, TAIL_RATE, InnerLoop
from medmeta.tasks.meta_task import FeatureTask
from medmeta.training.maml import Anil, Fomaml, Maml, Reptile

BACKBONE = tiny_backbone()
FAMILY = [Maml, Fomaml, Anil, Reptile]
CHANCE = torch.Generator()


class Scaled(nn.Module):
    """The smallest tail: a linear map of vectors, so that everything has a closed form."""

    start = "conv3"

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(size, size, generator=torch.Generator().manual_seed(5)))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.T


def family(kind: type[Maml], steps: int = 3) -> Maml:
    """The method in float64, with rates large enough for the tail to move."""
    model = kind.of(BACKBONE, "conv2", steps=steps).double().train()
    tail = torch.tensor([name.startswith("tail.") for name in model.loop.adapted_names])
    model.loop.base_rates *= torch.where(tail, 5.0, 1.0)
    return model


def linear(kind: type[Maml], steps: int) -> Maml:
    loop = InnerLoop(Scaled(4), (4,), 4, steps=steps, head_only=kind.head_only, learn_rates=kind.learn_rates)
    return kind(loop).double().train()


def task(shape: int, ways: int = 3, seed: int = 0) -> FeatureTask:
    random = torch.Generator().manual_seed(seed)
    targets = torch.arange(ways).repeat_interleave(3)
    rows = torch.randn(ways, shape, generator=random)[targets]
    support, query = (rows + 0.7 * torch.randn(rows.shape, generator=random) for _ in range(2))
    goal = torch.arange(len(targets))
    return FeatureTask("s", "d", ways, support.double(), targets, goal, query.double(), targets)


MAPS = task(6 * 8 * 8)


def class_mean_loss(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits, targets)  # the tasks here are balanced


def by_library(model: Maml, given: FeatureTask, *, exact: bool) -> dict[str, Tensor]:
    """The outer gradient by `higher`, the whole inner loop written again."""
    ways = model.loop.classifier(given.ways)
    rates = {name: rate.detach() for name, rate in model.loop.rates().items()}
    moving = [value for name, value in ways.named_parameters() if name in rates]
    groups = [{"params": [value], "lr": 1.0} for value in moving]
    optimiser = torch.optim.SGD(groups)
    support, query = (x.reshape(-1, 6, 8, 8) for x in (given.support, given.query))
    with higher.innerloop_ctx(ways, optimiser, copy_initial_weights=False, track_higher_grads=exact) as (
        fast,
        inner,
    ):
        over = {"lr": [rate.clone() for name, rate in rates.items()]}
        for _ in range(model.loop.steps):
            inner.step(class_mean_loss(fast(support), given.support_targets), override=over)
        loss = class_mean_loss(fast(query), given.query_targets)
        at = ways if exact else fast
        tail = {name: value for name, value in at.named_parameters() if name.startswith("tail")}
        found = torch.autograd.grad(loss, list(tail.values()))
    return dict(zip((f"loop.{name}" for name in tail), found, strict=True))


def test_the_library_agrees_on_maml() -> None:
    _compare(family(Maml), exact=True)


def test_the_library_agrees_on_fomaml() -> None:
    _compare(family(Fomaml), exact=False)


def _compare(model: Maml, *, exact: bool) -> None:
    ours = model.meta_gradient(model.episode(MAPS, CHANCE).query_loss)
    theirs = by_library(model, MAPS, exact=exact)
    assert set(ours) == {*theirs, "loop.log_rates"}
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, atol=1e-11, rtol=1e-8)
        assert gradient.abs().max() > 1e-7


@pytest.mark.parametrize("kind", [Maml, Anil])
def test_exact_methods_agree_with_central_differences(kind: type[Maml]) -> None:
    model = family(kind)
    gradient = model.meta_gradient(model.episode(MAPS, CHANCE).query_loss)
    random = torch.Generator().manual_seed(3)
    for _ in range(3):
        way = {name: torch.randn(g.shape, generator=random, dtype=g.dtype) for name, g in gradient.items()}
        ends = []
        for sign in (1, -1):
            moved = copy.deepcopy(model)
            with torch.no_grad():
                for name, value in moved.named_parameters():
                    value.add_(way[name], alpha=sign * 1e-5)
            ends.append(moved.episode(MAPS, CHANCE).query_loss.item())
        slope = sum((gradient[name] * way[name]).sum().item() for name in way)
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_fomaml_on_a_linear_model_is_the_gradient_at_the_adapted_weights() -> None:
    """Every gradient written out by hand, softmax regression on ``W' x / |W' x|``."""
    model, given = linear(Fomaml, steps=2), task(4)
    w = model.loop.tail.weight.detach().clone()
    head, bias = torch.zeros(3, 4).double(), torch.zeros(3).double()

    def gradients(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        raw = x @ w.T
        norm = raw.norm(dim=1, keepdim=True)
        f = raw / norm
        error = (torch.softmax(f @ head.T + bias, dim=1) - F.one_hot(y, 3)) / len(y)
        back = error @ head
        raw_back = (back - f * (f * back).sum(dim=1, keepdim=True)) / norm
        return raw_back.T @ x, error.T @ f, error.sum(dim=0)

    for _ in range(2):
        of_w, of_head, of_bias = gradients(given.support, given.support_targets)
        w, head, bias = w - TAIL_RATE * of_w, head - HEAD_RATE * of_head, bias - HEAD_RATE * of_bias
    expected = gradients(given.query, given.query_targets)[0]
    found = model.meta_gradient(model.episode(given, CHANCE).query_loss)
    torch.testing.assert_close(found["loop.tail.weight"], expected, atol=1e-6, rtol=1e-5)


def test_anil_on_a_linear_model_in_closed_form() -> None:
    """One step from zeros gives ``(rate / C) * (class mean - mean)`` as weights, an explicit function of the tail."""
    model, given = linear(Anil, steps=1), task(4)
    w = model.loop.tail.weight.detach().clone().requires_grad_()
    support, query = (F.normalize(x @ w.T, dim=1) for x in (given.support, given.query))
    means = torch.stack([support[given.support_targets == c].mean(dim=0) for c in range(3)])
    logits = query @ (HEAD_RATE / 3 * (means - means.mean(dim=0))).T
    loss = class_mean_loss(logits, given.query_targets)
    (expected,) = torch.autograd.grad(loss, w)
    result = model.episode(given, CHANCE)
    torch.testing.assert_close(result.logits, logits.detach())
    found = model.meta_gradient(result.query_loss)
    torch.testing.assert_close(found["loop.tail.weight"], expected)
    # The only other meta-parameter: how the loss moves with the logarithm of the weights' rate.
    by_rate = ((torch.softmax(logits, 1) - F.one_hot(given.query_targets, 3)) * logits).sum() / len(logits)
    torch.testing.assert_close(found["loop.log_rates"][0], by_rate.detach())


def test_reptile_gives_the_way_back_from_plain_gradient_descent() -> None:
    model, tasks = linear(Reptile, steps=3), [task(4, seed=seed) for seed in (0, 1)]
    start = model.loop.tail.weight.detach()
    moved = []
    for given in tasks:
        plain = model.loop.classifier(3)
        plain.tail = copy.deepcopy(plain.tail)
        optimiser = torch.optim.SGD(
            [
                {"params": plain.tail.parameters(), "lr": TAIL_RATE},
                {"params": plain.head.parameters(), "lr": HEAD_RATE},
            ]
        )
        for x, y in ((given.support, given.support_targets), (given.query, given.query_targets)):
            for _ in range(3):
                optimiser.zero_grad()
                class_mean_loss(plain(x), y).backward()
                optimiser.step()
        moved.append(start - plain.tail.weight.detach())
    results = [model.episode(given, CHANCE) for given in tasks]
    found = model.meta_gradient(torch.stack([result.query_loss for result in results]).mean())
    assert list(found) == ["loop.tail.weight"]  # rates are fixed
    torch.testing.assert_close(
        found["loop.tail.weight"], torch.stack(moved).mean(dim=0), atol=1e-8, rtol=1e-6
    )
    for result, given in zip(
        results, tasks, strict=True
    ):  # the value is the query's loss before training on it
        torch.testing.assert_close(
            result.query_loss.detach(), class_mean_loss(result.logits, given.query_targets)
        )


@pytest.mark.parametrize("kind", FAMILY)
def test_eval_mode_gives_the_answer_of_train_mode_and_changes_nothing(kind: type[Maml]) -> None:
    model = family(kind)
    before = copy.deepcopy(model.state_dict())
    train = model.episode(MAPS, CHANCE)
    with torch.no_grad():
        still = model.eval().episode(MAPS, CHANCE)
    torch.testing.assert_close(train.logits, still.logits)
    torch.testing.assert_close(train.support_loss, still.support_loss)
    torch.testing.assert_close(train.query_loss.detach(), still.query_loss)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert still.support_loss < torch.tensor(3.0).log()  # the inner loop went down from uniform


@pytest.mark.parametrize("kind", FAMILY)
def test_permuting_the_ways_permutes_the_answer(kind: type[Maml]) -> None:
    model, order = family(kind), torch.tensor([2, 0, 1])
    turned = FeatureTask(
        "s",
        "d",
        3,
        MAPS.support,
        order[MAPS.support_targets],
        MAPS.support_groups,
        MAPS.query,
        order[MAPS.query_targets],
    )
    first, second = model.episode(MAPS, CHANCE), model.episode(turned, CHANCE)
    torch.testing.assert_close(first.logits, second.logits[:, order])


@pytest.mark.parametrize("kind", FAMILY)
def test_an_outer_loop_learns(kind: type[Maml]) -> None:
    """Tasks that share one informative direction, hidden in noise: a start that knows it answers better."""
    model = linear(kind, steps=2)

    def draw(seed: int) -> FeatureTask:
        random = torch.Generator().manual_seed(seed)
        targets = torch.arange(2).repeat(6)
        sign = 1 if seed % 2 else -1
        rows = [torch.randn(12, 4, generator=random).double() * 1.5 for _ in range(2)]
        for x in rows:
            x[:, 0] = sign * (2.0 * targets - 1.0) + 0.1 * x[:, 0]
        return FeatureTask("s", "d", 2, rows[0], targets, torch.arange(12), rows[1], targets)

    def judged() -> float:
        with torch.no_grad():
            return sum(model.eval().episode(draw(1000 + i), CHANCE).query_loss.item() for i in range(40)) / 40

    before = judged()
    model.train()
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.02)
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    for step in range(60):
        losses = [model.episode(draw(4 * step + i), CHANCE).query_loss for i in range(4)]
        gradient = model.meta_gradient(torch.stack(losses).mean())
        for name, value in model.named_parameters():
            value.grad = gradient[name] if name in names else None
        optimiser.step()
    assert judged() < before - 0.02


@pytest.mark.parametrize("kind", FAMILY)
def test_saved_as_half_precision_and_loaded(kind: type[Maml], tmp_path: Path) -> None:
    model = kind.of(BACKBONE, steps=2)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.1)
    model.save(tmp_path / "m.safetensors", BACKBONE)
    again = kind.load(tmp_path / "m.safetensors", BACKBONE)
    assert {v.dtype for v in load_file(tmp_path / "m.safetensors").values()} == {torch.float16}
    assert again.loop.start == "conv3"
    assert again.loop.steps == 2
    assert [p.requires_grad for p in again.parameters()] == [p.requires_grad for p in model.parameters()]
    for (name, value), loaded in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        torch.testing.assert_close(value, loaded, atol=1e-3, rtol=1e-3, msg=name)
    untouched = tiny_backbone().network.state_dict().values()
    assert all(
        torch.equal(a, b) for a, b in zip(BACKBONE.network.state_dict().values(), untouched, strict=True)
    )


def _other_method(path: Path) -> None:
    Anil.load(path, BACKBONE)


def _other_backbone(path: Path) -> None:
    Maml.load(path, replace(BACKBONE, sha256="2" * 64))


@pytest.mark.parametrize(
    ("load", "reason"), [(_other_method, "no meta-trained anil"), (_other_backbone, "another backbone")]
)
def test_weights_of_something_else_are_refused(
    load: Callable[[Path], None], reason: str, tmp_path: Path
) -> None:
    Maml.of(BACKBONE).save(tmp_path / "m.safetensors", BACKBONE)
    with pytest.raises(ModelError, match=reason):
        load(tmp_path / "m.safetensors")
