"""The memory of past tasks: read by descriptor, never by the set that wrote it, frozen outside training."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medmeta.models.memory import SLOW, TaskMemory

D, P = 4, 3


def vector(length: int, seed: int) -> Tensor:
    return torch.tensor(np.random.default_rng((length, seed)).normal(size=length))


def empty(*, opened: bool = True, slots: int = 5) -> TaskMemory:
    """A memory in train mode; ``opened`` lets every scale through."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        memory = TaskMemory(D, P, slots=slots, sources=4, hidden=6)
        if opened:
            nn.init.constant_(memory.gates, 0.7)
            nn.init.normal_(memory.recent.weight)
    return memory.train()


def filled(*writes: tuple[str, int], opened: bool = True, slots: int = 5) -> TaskMemory:
    memory = empty(opened=opened, slots=slots)
    for source, seed in writes:
        memory.write(vector(D, seed), vector(P, seed), source)
    return memory


def test_nothing_written_reads_as_nothing() -> None:
    assert empty().read(vector(D, 0), "a").tolist() == [0.0] * P


def test_closed_gates_read_as_nothing() -> None:
    memory = filled(("a", 1), ("b", 2), ("c", 3), opened=False)
    assert memory.read(vector(D, 0), "new").tolist() == [0.0] * P


def test_a_read_is_attention_plus_recent_plus_slow() -> None:
    memory = filled(("a", 1), ("b", 2), ("a", 3))
    query = vector(D, 0)
    keys = np.stack([vector(D, s).numpy() for s in (1, 2, 3)])
    values = np.stack([vector(P, s).numpy() for s in (1, 2, 3)])
    match = keys @ (memory.query.weight.detach().numpy() @ query.numpy()) / D**0.5
    share = np.exp(match) / np.exp(match).sum()
    slow = (values[0] + SLOW * (values[2] - values[0]) + values[1]) / 2
    sequence = torch.tensor(np.hstack([keys, values]))[:, None]
    recent = memory.recent(memory.lstm(sequence)[0][-1, 0]).detach().numpy()
    expected = np.tanh(0.7) * (share @ values + slow) + recent
    np.testing.assert_allclose(memory.read(query, "new").detach(), expected, atol=1e-12)


@pytest.mark.parametrize("reader", ["a", "a+b", "b+a"])
@pytest.mark.parametrize("slots", [3, 8])  # with three, old tasks are written over
def test_no_set_reads_what_it_wrote(reader: str, slots: int) -> None:
    order = ["a", "c", "b", "a", "c", "a"]
    one = filled(*((source, i) for i, source in enumerate(order)), slots=slots)
    own = set(reader.split("+"))
    two = filled(*((source, i + 50 * (source in own)) for i, source in enumerate(order)), slots=slots)
    query = vector(D, 9)
    assert torch.equal(one.read(query, reader), two.read(query, reader))
    assert (one.read(query, "c") - two.read(query, "c")).abs().max() > 1e-3
    assert one.read(query, reader).abs().max() > 1e-3


def test_more_sets_than_slow_averages_still_read_nothing_of_their_own() -> None:
    order = [*"abcdefg", "f", "g", "a"]
    for reader in "adfg":
        one = filled(*((source, i) for i, source in enumerate(order)), slots=20)
        two = filled(*((source, i + 50 * (source == reader)) for i, source in enumerate(order)), slots=20)
        assert torch.equal(one.read(vector(D, 9), reader), two.read(vector(D, 9), reader))


def test_a_set_alone_reads_nothing() -> None:
    memory = filled(("a", 1), ("a", 2))
    assert memory.read(vector(D, 0), "a").tolist() == memory.read(vector(D, 0), "a+b").tolist() == [0.0] * P


def test_the_oldest_is_written_over() -> None:
    memory = filled(*((str(i), i) for i in range(4)), slots=3)
    np.testing.assert_array_equal(memory.values, np.stack([vector(P, s) for s in (3, 1, 2)]))
    assert int(memory.written) == 4


def test_it_is_frozen_in_eval_mode_and_mixed_tasks_write_nothing() -> None:
    memory = filled(("a", 1))
    before = copy.deepcopy(memory.state_dict())
    memory.write(vector(D, 2), vector(P, 2), "b+c")
    memory.eval().write(vector(D, 2), vector(P, 2), "b")
    memory.read(vector(D, 0), "b")
    assert all(torch.equal(before[name], value) for name, value in memory.state_dict().items())


def test_a_restart_restores_what_is_read() -> None:
    memory, again = filled(("a", 1), ("b", 2), ("c", 3)), empty()
    again.load_state_dict(memory.state_dict())
    assert torch.equal(again.read(vector(D, 0), "b"), memory.read(vector(D, 0), "b"))
    memory.write(vector(D, 4), vector(P, 4), "d")
    again.write(vector(D, 4), vector(P, 4), "d")
    assert torch.equal(again.read(vector(D, 0), "b"), memory.read(vector(D, 0), "b"))


def test_the_gradient_of_a_batch_survives_a_write_between_two_of_its_tasks() -> None:
    memory, query = filled(("a", 1), ("b", 2)), vector(D, 0).requires_grad_()
    alone = torch.autograd.grad(memory.read(query, "new").sum(), query)[0]
    first = memory.read(query, "new")
    memory.write(query, first, "new")
    second = memory.read(query, "other")
    together = torch.autograd.grad(first.sum() + second.sum(), query)[0]
    by_second = torch.autograd.grad(memory.read(query, "other").sum(), query)[0]
    np.testing.assert_allclose(together, alone + by_second, atol=1e-12)
    assert not memory.keys.requires_grad
    assert not memory.slow.requires_grad
