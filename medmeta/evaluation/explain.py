"""Where in a scan the answer comes from: integrated gradients through the networks and heads that gave it.

What is explained is the adapted model itself: both frozen trunks, the statistics of their maps, and the stack of
heads. The figure followed is the log-probability of the class answered minus that of the runner-up. The path goes
from a scan without structure (each channel of the first map that the heads read, at its mean) to the scan, and begins
at that map: every statistic the heads see is a function of it, so nothing they see is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medmeta.errors import ModelError
from medmeta.evaluation.explanation import Explanation
from medmeta.learners.frozen import FrozenTaskModel
from medmeta.models import feature_space
from medmeta.models.features import FeatureExtractor
from medmeta.models.map_statistics import map_statistics
from medmeta.models.staged import POOLED_STAGES
from medmeta.models.threads import one_thread
from medmeta.progress import Progress, silent
from medmeta.scans.scan import Scan

#: Points on the path from the structureless scan to the scan.
STEPS = 16


def explain(
    model: FrozenTaskModel,
    scan: Scan,
    *,
    towards: str | None = None,
    against: str | None = None,
    steps: int = STEPS,
    progress: Progress = silent,
) -> Explanation:
    """Explain one answer; nothing of the model or its networks changes.

    Args:
        model: the adapted model.
        scan: any scan.
        towards: class whose lead is followed; the most probable one where None.
        against: the class it leads over; the most probable other one where None.
        steps: points on the path; each costs a pass through the networks and back.

    Raises:
        ModelError: no such classes, or one twice.
        CancelledError: ``progress`` asked to stop.

    References:
        Sundararajan M, Taly A, Yan Q. Axiomatic attribution for deep networks. ICML 2017, arXiv:1703.01365.
        Leino K et al. Influence-directed explanations for deep convolutional networks. ITC 2018, arXiv:1802.03788
        (the path in a layer of the network).
    """
    reader = _Reader(model)
    with one_thread():
        maps = [trunk.first_map(scan) for trunk in reader.trunks]
        starts = [value.mean(dim=(2, 3), keepdim=True).expand_as(value) for value in maps]
        with torch.no_grad():
            chances = reader.log_chances(maps)
            a, b = _pair(model.classes, chances, towards, against)
            begun = reader.log_chances(starts)
        summed = [torch.zeros_like(value) for value in maps]
        for step in range(steps):
            progress(step / steps, "Asking where the answer comes from")
            share = (step + 0.5) / steps
            here = [
                (start + share * (value - start)).requires_grad_(True)
                for start, value in zip(starts, maps, strict=True)
            ]
            found = reader.log_chances(here)
            slopes = torch.autograd.grad(found[a] - found[b], here)
            summed = [total + slope / steps for total, slope in zip(summed, slopes, strict=True)]
    progress(1.0, "Answer explained")
    heat = sum(
        _whole((total * (value - start)).sum(dim=1).double().cpu().numpy())
        for total, value, start in zip(summed, maps, starts, strict=True)
    )
    return Explanation(
        model.classes[a],
        model.classes[b],
        np.asarray(heat, dtype=np.float64),
        float(chances[a] - chances[b]),
        float(begun[a] - begun[b]),
    )


def _pair(
    classes: tuple[str, ...], log_chances: Tensor, towards: str | None, against: str | None
) -> tuple[int, int]:
    for name in (towards, against):
        if name is not None and name not in classes:
            raise ModelError(f"the model knows no class {name!r}; it knows: {', '.join(classes)}")
    order = [int(i) for i in torch.argsort(log_chances, descending=True, stable=True)]
    b = None if against is None else classes.index(against)
    a = classes.index(towards) if towards is not None else next(i for i in order if i != b)
    b = b if b is not None else next(i for i in order if i != a)
    if a == b:
        raise ModelError(f"a lead is over another class, but {classes[a]!r} was named twice")
    return a, b


@dataclass(frozen=True, eq=False)
class _Trunk:
    """A frozen network from the first map that the heads read onwards."""

    extractor: FeatureExtractor

    def first_map(self, scan: Scan) -> Tensor:
        """``(2, C, h, w)``, one map a view."""
        network = self.extractor.trunk
        names = network.stage_names[-POOLED_STAGES:]
        after = network.stage_names.index(names[0]) + 1
        with torch.no_grad():
            x = self.extractor.stack(scan).to(self.extractor.device)
            for name in network.stage_names[:after]:
                x = network.run_stage(name, x)
        return x

    def statistics(self, first: Tensor) -> Tensor:
        """`StagedNetwork.statistics` of the scan with this first map, averaged over the views."""
        network = self.extractor.trunk
        names = network.stage_names[-POOLED_STAGES:]
        x, found = first, [*map_statistics(first, _root)]
        for name in names[1:]:
            x = network.run_stage(name, x)
            found = [*map_statistics(x, _root), *found]
        return torch.cat(found, dim=1).mean(dim=0)


class _Reader:
    """From first maps to log-probabilities, as the task model computes them, with a gradient."""

    def __init__(self, model: FrozenTaskModel) -> None:
        self.model = model
        space = model.space
        extractors = [model.extractor] if space is None else [space.twin.original, space.twin.medical]
        self.trunks = [_Trunk(extractor) for extractor in extractors]

    def log_chances(self, maps: Sequence[Tensor]) -> Tensor:
        """``(C,)`` float64."""
        rows = [trunk.statistics(value) for trunk, value in zip(self.trunks, maps, strict=True)]
        features = torch.cat(rows)[None].cpu().to(torch.float64)
        space = self.model.space
        if space is None:
            z = torch.nn.functional.normalize(features[:, : self.model.extractor.size], dim=1)
        else:
            z = feature_space.embed(features, space.twin.blocks, space.centre)
        return torch.log(self.model.stack.probabilities(z)[0])


class _Root(torch.autograd.Function):
    """Square root whose slope stays finite at zero, where a channel does not vary and nothing can be read off it."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        root = x.sqrt()
        ctx.save_for_backward(root)
        return root

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, slope: Tensor) -> Tensor:
        (root,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return slope * torch.where(root > SMALLEST_ROOT, 0.5 / root.clamp(min=SMALLEST_ROOT), 0.0)


#: Roots of variances and covariances below this carry no slope.
SMALLEST_ROOT = 1e-3


def _root(x: Tensor) -> Tensor:
    found: Tensor = _Root.apply(x)  # type: ignore[no-untyped-call]
    return found


def _whole(views: NDArray[np.float64]) -> NDArray[np.float64]:
    """Both views' ``(2, g, g)`` laid over the whole picture, ``(3 g, 3 g)``, with the same sum.

    Views as `features.views` makes them: the whole turned left by a quarter, and its central two thirds mirrored.
    """
    g = views.shape[-1]
    picture = np.kron(np.rot90(views[0], -1), np.full((3, 3), 1 / 9))
    start = g // 2
    picture[start : start + 2 * g, start : start + 2 * g] += np.kron(
        views[1][:, ::-1], np.full((2, 2), 1 / 4)
    )
    return picture
