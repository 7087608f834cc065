"""Meta-training throughput in feature space, beside per-task loops written with public libraries on the same tasks.

python -m benchmarks.meta_throughput --data meta-train/pbc_blood.zip meta-train/med_nist.zip [--rounds 8] [--batch 32]

The task and its features are the shipped meta-model's, with the inner loop and the stack that it does without: eight
Adam steps on the left-out loss of ridge above both trunks' features, then the outer gradient through all of them.
`Loop` writes them once more as one would with a library at hand: features transformed, ridge refitted without each
patient (all refits in one call of torch), one task after the other, `higher` or `torchopt` as the differentiable
optimiser. `higher` has no AdamW, so the pull towards the start is off on all sides. The gradients are compared, in
double precision, before anything is timed. One core each, rounds alternate the sides. A figure is tasks a second of
loss and outer gradient; looking at scans is no part of it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import higher
import torch
import torchopt
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.machine import describe
from medmeta.learners.medmeta import SHIPPED
from medmeta.learners.registry import load_extractor
from medmeta.models.meta_model import MetaModel
from medmeta.models.meta_model_file import read_meta_model
from medmeta.models.twin import TwinExtractor
from medmeta.tasks.builder import TaskDistributionBuilder
from medmeta.tasks.meta_task import FeatureTask
from medmeta.tasks.sources import open_set
from medmeta.training.claims.ground import scans_of, shortened
from medmeta.training.tensors import FeatureBank

Gradient = dict[str, Tensor]
#: Meta-parameters that every side differentiates; `torchopt` takes no learned rates.
COMPARED = ("start", "log_metric", "log_temperature", "log_trust")
#: Of the libraries, which add it to a step's root where we add its square inside: theirs counts at first order, ours
#: at second, so a smaller one than our 1e-8 brings the steps together.
LIBRARY_EPSILON = 1e-10
#: Scans of a class that tasks are drawn from.
PER_CLASS = 40


class Loop(nn.Module):
    """One task of the meta-model, in feature vectors and plain torch; ``change`` is what its inner loop moves."""

    def __init__(self, model: MetaModel, task: FeatureTask) -> None:
        super().__init__()
        self.change = nn.Parameter(torch.zeros_like(model.start))
        self._model = (model,)  # in a tuple: its parameters are not this module's
        self.task = task
        groups = task.support_groups
        kept = groups[None, :] != torch.unique(groups)[:, None]
        self.kept = torch.cat([torch.ones_like(kept[:1]), kept]).to(torch.float64)
        self.fold = 1 + torch.searchsorted(torch.unique(groups), groups)

    def forward(self, change: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the query, and left-out loss of the support, both at the temperature of the head.

        Args:
            change: in place of the module's own; zeros stand for the head at the start.
        """
        (model,), task = self._model, self.task
        moved = self.change if change is None else change
        number = 1 if change is None else 0
        share = model.log_metric.exp() * model.variances / model.variances.mean()
        strength, blocks, gains = torch.split(model.start + moved, [1, len(model.blocks), len(share)])
        gains = (gains - 0.5 * torch.log1p(share)).exp()
        weights = torch.softmax(2.0 * blocks, dim=0).sqrt() * len(blocks) ** 0.5
        scale = torch.repeat_interleave(weights, torch.tensor(model.blocks))

        def transformed(rows: Tensor) -> Tensor:
            scaled = rows.to(torch.float64) * scale
            return scaled + (scaled @ model.basis * (gains - 1.0)) @ model.basis.T

        z, ways = transformed(task.support), task.ways
        hot = F.one_hot(task.support_targets, ways).to(torch.float64)
        weight = len(z) / (ways * hot.sum(dim=0))[task.support_targets]
        root = (weight * self.kept).sqrt()[:, :, None]
        system = root * (z @ z.T + 1.0) * root.mT + strength.exp() * torch.eye(len(z), dtype=torch.float64)
        alpha = root * torch.linalg.solve(system, root * (hot - 1.0 / ways))
        left_out = ((z @ z.T + 1.0)[:, :, None] * alpha[self.fold]).sum(dim=1)
        temperature = model.log_temperature[number].exp()
        loss = F.cross_entropy(temperature * left_out, task.support_targets)
        scores = (transformed(task.query) @ z.T + 1.0) @ alpha[0]
        return torch.log_softmax(temperature * scores, dim=1), loss

    def outer_loss(self, adapted: Callable[[], tuple[Tensor, Tensor]]) -> Tensor:
        """The query's loss of the two heads that share the answer by their left-out losses."""
        (model,), n = self._model, len(self.task.support)
        first, second = self.forward(torch.zeros_like(self.change)), adapted()
        losses = n * torch.stack([first[1], second[1]])
        shares = torch.log_softmax(-losses * model.log_trust.exp(), dim=0)
        mixed = torch.logsumexp(torch.stack([first[0], second[0]]) + shares[:, None, None], dim=0)
        return F.nll_loss(mixed, self.task.query_targets)


def by_higher(model: MetaModel, task: FeatureTask) -> Gradient:
    loop, rate = Loop(model, task), model.log_rates.mean().exp()
    optimiser = torch.optim.Adam(loop.parameters(), lr=1.0, eps=LIBRARY_EPSILON)
    with higher.innerloop_ctx(loop, optimiser, override={"lr": [rate]}) as (inner, steps):
        for _ in range(model.parts.steps):
            steps.step(inner()[1])
        return gradient(model, loop.outer_loss(inner))


def by_torchopt(model: MetaModel, task: FeatureTask) -> Gradient:
    loop = Loop(model, task)
    rate = model.log_rates.detach().mean().exp().item()
    optimiser = torchopt.MetaAdam(loop, lr=rate, eps=LIBRARY_EPSILON)
    for _ in range(model.parts.steps):
        optimiser.step(loop()[1])
    return gradient(model, loop.outer_loss(loop))


def gradient(model: MetaModel, loss: Tensor) -> Gradient:
    values = [getattr(model, name) for name in COMPARED]
    return dict(zip(COMPARED, torch.autograd.grad(loss, values), strict=True))


def ours(model: MetaModel, tasks: Sequence[FeatureTask]) -> Gradient:
    """Summed over the tasks."""
    generators = [torch.Generator().manual_seed(i) for i in range(len(tasks))]
    losses = [found.query_loss for found in model.episodes(tasks, generators)]
    return model.meta_gradient(torch.stack(losses).sum())


def compare(model: MetaModel, tasks: Sequence[FeatureTask]) -> None:
    """Raises `AssertionError` where the sides' gradients differ by more than what they add to a step's divisor."""
    exact = [replace(task, support=task.support.double(), query=task.query.double()) for task in tasks]
    expected = ours(model, exact)
    for by in (by_higher, by_torchopt):
        found = [by(model, task) for task in exact]
        for key in COMPARED:
            total = torch.stack([each[key] for each in found]).sum(dim=0)
            room = 2e-3 * float(expected[key].abs().max())
            torch.testing.assert_close(total, expected[key], rtol=0, atol=room, msg=f"{by.__name__}: {key}")


def tasks_of(data: Sequence[Path], model: MetaModel, count: int) -> list[FeatureTask]:
    """Five ways, five shots, ten queries a class, embedded."""
    sets = [shortened(found, PER_CLASS) for path in data for found in open_set(path)]
    twin = TwinExtractor.beside(load_extractor("cpu"))
    rows = {each.name: model.embed(twin.extract(scans_of(each))).float() for each in sets}
    space = {"num_classes": [5], "shots": [5]}
    source = TaskDistributionBuilder(sets, space, count, queries=10, seed=0, tasks_per_batch=count)
    bank = FeatureBank(sets, rows)
    return [bank.task(drawn) for drawn in source.generate_batch()]


def comparable(model: MetaModel) -> MetaModel:
    """The shipped model, changed in place to what all sides can run."""
    model.parts = replace(model.parts, steps=8, stack=True)
    model.anchor_l2 = 0.0
    with torch.no_grad():
        model.log_rates.fill_(float(model.log_rates.mean()))  # one rate, as torchopt knows
        # Where a model is sure, inner gradients are so small that a step's epsilon decides.
        model.log_temperature.zero_()
    return model


def rate_of(work: Callable[[], object], count: int) -> float:
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32, help="tasks that ours takes side by side")
    parser.add_argument("--few", type=int, default=4, help="tasks of the batch that a loop is timed on")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(describe(seed=0))
    model = comparable(read_meta_model(SHIPPED)[0])
    tasks = tasks_of(options.data, model, options.batch)
    few = tasks[: options.few]
    compare(model, few)
    print(f"outer gradients of {', '.join(COMPARED)} agree with both libraries' on {len(few)} tasks")
    sides: dict[str, Callable[[], float]] = {
        "ours": lambda: rate_of(lambda: ours(model, tasks), len(tasks)),
        "ours, one task a time": lambda: rate_of(lambda: [ours(model, [task]) for task in few], len(few)),
        "higher": lambda: rate_of(lambda: [by_higher(model, task) for task in few], len(few)),
        "torchopt": lambda: rate_of(lambda: [by_torchopt(model, task) for task in few], len(few)),
    }
    rows: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(options.rounds + 1):
        for name, timed in sides.items():
            value = timed()
            if number:  # the first round warms up
                rows[name].append(value)
    for name, values in rows.items():
        ratios = [a / b for a, b in zip(rows["ours"], values, strict=True)]
        print(
            f"{name:24}{statistics.median(values):8.1f} tasks/s   ours is {statistics.median(ratios):6.2f} times "
            f"as quick ({min(ratios):.2f}-{max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
