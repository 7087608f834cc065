"""Work spread over processes."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
import torch

from medmeta.errors import MedMetaError, TaskError
from medmeta.evaluation import processes
from medmeta.evaluation.processes import spread


def test_results_come_in_order_whatever_the_processes() -> None:
    for jobs in (1, 2, 3):
        assert list(spread(lambda n: n * n, range(7), jobs)) == [n * n for n in range(7)]


def test_an_error_of_the_work_comes_through() -> None:
    def fail(n: int) -> int:
        raise TaskError(f"number {n}")

    with pytest.raises(MedMetaError, match="number 0"):
        list(spread(fail, [0, 1], 2))


def test_no_process_is_forked_while_a_thread_is_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = iter([9, 8, 7, 7])
    threads = SimpleNamespace(iterdir=lambda: iter(range(next(seen))))
    waited: list[float] = []
    monkeypatch.setattr(processes, "_THREADS", threads)
    monkeypatch.setattr(processes.time, "sleep", waited.append)
    processes._let_threads_end()
    assert next(seen, None) is None
    assert len(waited) == 3


def test_processes_forked_right_after_threads_that_multiplied_all_end() -> None:
    square = torch.randn(16, 64, dtype=torch.float64)

    def multiply(n: int) -> float:
        return float((square @ square.T).trace()) + n

    for _ in range(20):
        threads = [threading.Thread(target=multiply, args=(0,)) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(list(spread(multiply, [1, 2], 2))) == 2
