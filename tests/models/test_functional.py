"""Inner loops against an independent differentiable optimiser, finite differences and closed forms."""

from __future__ import annotations

import copy

import higher
import pytest
import torch
from tiny_network import Tiny
from torch import Tensor, nn
from torch.nn import functional as F

from medmeta.models.functional import LinearHead, TailClassifier, adapt_sgd, balanced_cross_entropy
from medmeta.models.staged import Tail

WAYS, STEPS = 3, 4
RATES = {"tail": 0.05, "head": 0.8}


@pytest.fixture
def network() -> TailClassifier:
    random = torch.Generator().manual_seed(1)
    found = TailClassifier(Tail(Tiny(), "conv2"), 12, WAYS).double()
    # A start other than zeros, so that the tail moves from the first step on.
    found.head.weight.data = torch.randn(WAYS, 12, generator=random, dtype=torch.float64)
    return found


@pytest.fixture
def data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(2)
    x = torch.randn(9, 6, 8, 8, generator=random, dtype=torch.float64)
    return x[:5], torch.tensor([0, 0, 0, 1, 2]), x[5:], torch.tensor([0, 1, 2, 2])


def scalars(network: nn.Module) -> dict[str, Tensor]:
    return {
        name: torch.tensor(RATES[name.split(".")[0]], dtype=torch.float64)
        for name, _ in network.named_parameters()
    }


def reference_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over classes of the mean cross entropy of the class's rows, one row at a time."""
    means = []
    for label in targets.unique():
        rows = logits[targets == label]
        means.append(torch.stack([torch.logsumexp(row, 0) - row[label] for row in rows]).mean())
    return torch.stack(means).mean()


def outer_gradient(
    network: TailClassifier, data: tuple[Tensor, ...], *, create_graph: bool
) -> dict[str, Tensor]:
    support, y, query, goal = data
    start = dict(network.named_parameters())
    adapted = adapt_sgd(network, start, support, y, STEPS, scalars(network), create_graph)
    loss = balanced_cross_entropy(torch.func.functional_call(network, adapted, (query,)), goal)
    return dict(zip(start, torch.autograd.grad(loss, list(start.values())), strict=True))


def higher_gradient(network: TailClassifier, data: tuple[Tensor, ...], *, exact: bool) -> dict[str, Tensor]:
    support, y, query, goal = data
    groups = [
        {"params": list(network.tail.parameters()), "lr": RATES["tail"]},
        {"params": list(network.head.parameters()), "lr": RATES["head"]},
    ]
    optimiser = torch.optim.SGD(groups)
    with higher.innerloop_ctx(network, optimiser, copy_initial_weights=False, track_higher_grads=exact) as (
        fast,
        inner,
    ):
        for _ in range(STEPS):
            inner.step(reference_loss(fast(support), y))
        loss = reference_loss(fast(query), goal)
        over = list(network.parameters()) if exact else list(fast.parameters())
        found = torch.autograd.grad(loss, over)
    return dict(zip(dict(network.named_parameters()), found, strict=True))


@pytest.mark.parametrize("exact", [True, False], ids=["maml", "fomaml"])
def test_the_meta_gradient_equals_the_library_s(
    exact: bool, network: TailClassifier, data: tuple[Tensor, ...]
) -> None:
    ours = outer_gradient(network, data, create_graph=exact)
    theirs = higher_gradient(network, data, exact=exact)
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, theirs[name], atol=1e-10, rtol=1e-8)
        assert gradient.abs().max() > 1e-6


def test_the_exact_gradient_differs_from_the_first_order_one(
    network: TailClassifier, data: tuple[Tensor, ...]
) -> None:
    exact = outer_gradient(network, data, create_graph=True)
    first = outer_gradient(network, data, create_graph=False)
    assert max((exact[name] - first[name]).abs().max().item() for name in exact) > 1e-3


def test_the_meta_gradient_equals_central_differences(
    network: TailClassifier, data: tuple[Tensor, ...]
) -> None:
    support, y, query, goal = data
    gradient = outer_gradient(network, data, create_graph=True)

    def after(start: dict[str, Tensor]) -> float:
        fresh = copy.deepcopy(network)
        fresh.load_state_dict(start)
        optimiser = torch.optim.SGD(
            [{"params": p, "lr": RATES[name.split(".")[0]]} for name, p in fresh.named_parameters()]
        )
        for _ in range(STEPS):
            optimiser.zero_grad()
            reference_loss(fresh(support), y).backward()
            optimiser.step()
        return reference_loss(fresh(query), goal).item()

    random = torch.Generator().manual_seed(3)
    for _ in range(4):
        way = {name: torch.randn(g.shape, generator=random, dtype=g.dtype) for name, g in gradient.items()}
        ends = [
            after(
                {name: value.detach() + sign * 1e-5 * way[name] for name, value in network.named_parameters()}
            )
            for sign in (1, -1)
        ]
        slope = sum((gradient[name] * way[name]).sum().item() for name in way)
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_one_step_of_a_linear_model_by_hand() -> None:
    """Zeros give uniform probabilities: the first step is ``rate * mean_c (y - 1/C) x`` in each class's row."""
    x = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]])
    head = LinearHead(2, 2)
    rates = {"weight": torch.tensor(0.5), "bias": torch.tensor(0.1)}
    moved = adapt_sgd(head, dict(head.named_parameters()), x, torch.tensor([0, 0, 1]), 1, rates, False)
    # Class means (2, 0) and (0, 2), each half the loss; y - p is +-1/2.
    expected = 0.5 * 0.5 * 0.5 * torch.tensor([[2.0, -2.0], [-2.0, 2.0]])
    torch.testing.assert_close(moved["weight"], expected)
    torch.testing.assert_close(moved["bias"], torch.zeros(2))
    assert torch.equal(head.weight, torch.zeros(2, 2))


def test_a_start_shared_by_all_classes_is_the_start_from_zeros(
    network: TailClassifier, data: tuple[Tensor, ...]
) -> None:
    support, y, query, _ = data
    answers = []
    for shared in (0.0, 1.7):
        start = {name: value.detach().clone() for name, value in network.named_parameters()}
        start["head.weight"] = torch.full((WAYS, 12), shared, dtype=torch.float64)
        adapted = adapt_sgd(network, start, support, y, STEPS, scalars(network), False)
        answers.append(torch.softmax(torch.func.functional_call(network, adapted, (query,)), dim=1))
    torch.testing.assert_close(*answers)
    assert (answers[0] - 1 / WAYS).abs().max() > 1e-3


def test_classes_count_alike(data: tuple[Tensor, ...]) -> None:
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    targets = data[1]  # class 3 does not occur
    torch.testing.assert_close(balanced_cross_entropy(logits, targets), reference_loss(logits, targets))


def test_adapting_works_where_nothing_is_recorded(network: TailClassifier, data: tuple[Tensor, ...]) -> None:
    before = copy.deepcopy(network.state_dict())
    start = dict(network.named_parameters())
    recorded = adapt_sgd(network, start, *data[:2], STEPS, scalars(network), True)
    with torch.no_grad():
        silent = adapt_sgd(network, start, *data[:2], STEPS, scalars(network), False)
    for name, value in silent.items():
        assert not value.requires_grad
        torch.testing.assert_close(value, recorded[name].detach())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_scores_average_features_over_views(network: TailClassifier, data: tuple[Tensor, ...]) -> None:
    with torch.no_grad():
        views = data[0][:4]
        features = torch.stack([network.tail(view[None])[0] for view in views]).mean(dim=0)
        expected = network.head.weight @ (features / features.norm()) + network.head.bias
        torch.testing.assert_close(network.scores(views), expected)
        alone = network.features(views[:1])
        torch.testing.assert_close(
            F.linear(alone, network.head.weight, network.head.bias), network(views[:1])
        )
