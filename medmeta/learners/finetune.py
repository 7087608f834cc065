"""Baseline: full fine-tuning (as the few-shot baseline of Dhillon et al. 2020, arXiv:1909.02729).

Every stage and a classifier that starts from zeros learn together: cross entropy with classes counted alike,
AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101), each step on one view of the whole support, the two views in
turn, as augmentation is usually drawn anew in every step. Batch normalisation is folded into the convolutions, so
it keeps its pretrained statistics.

Budget: 30 steps of 15 scans through the whole default backbone take about 35 s on one core. Gradients are summed
over a few scans at a time, so memory does not grow with the support.

Left-out groups, which calibrate the frozen heads, would need one training each; the temperature is therefore
fixed beforehand and these probabilities are less well calibrated than the frozen heads'.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from medmeta.learners.frozen import embed, members_of
from medmeta.learners.tuned import TunedTaskModel, make_tuned, own_classifier
from medmeta.models.features import VIEWS, FeatureExtractor
from medmeta.models.functional import TailClassifier
from medmeta.models.heads import balance
from medmeta.models.stack import HeadSetting
from medmeta.models.threads import one_thread
from medmeta.progress import Progress, part, silent
from medmeta.tasks.task import Task

#: Scans in one backward pass.
BUNDLE = 16
#: Told of the network and the steps done, before the first step and after each one.
AfterStep = Callable[[TailClassifier, int], None]
#: AdamW divides a gradient by its size; what is mere rounding (the biases' first gradient) must stay small.
EPSILON = 1e-6


@dataclass(frozen=True, eq=False)
class FineTuner:
    """Trains a copy of the stages from ``start`` on, and a classifier; the same support gives the same model.

    Attributes:
        name: registry name.
        extractor: shared; never changed.
        start: first stage that learns; ``conv1`` is the whole network.
        steps: AdamW steps, each on the whole support.
        trunk_rate, head_rate: learning rates.
        temperature: factor on the scores before the softmax.
        head: head on the frozen features that the classifier starts from; None starts from zeros.
    """

    name: str
    extractor: FeatureExtractor
    start: str
    steps: int
    trunk_rate: float
    head_rate: float
    temperature: float = 1.0
    head: HeadSetting | None = None

    def adapt(
        self, support: Task, *, progress: Progress = silent, after_step: AfterStep | None = None
    ) -> TunedTaskModel:
        """Learn the support's classes.

        Args:
            after_step: looks on, and may stop the training by an error of its own.

        Raises:
            TaskError: all scans come from one group.
            CancelledError: ``progress`` asked to stop.
        """
        members_of(support)
        z = embed(self.extractor.extract(support.scans, progress=part(progress, 0.0, 0.1)))
        maps = self.extractor.maps(support.scans, self.start, progress=part(progress, 0.1, 0.2))
        network = own_classifier(self.extractor, self.start, len(support.classes))
        targets = torch.tensor(support.targets)
        if self.head is not None:
            everyone = torch.ones(1, len(targets), dtype=torch.bool)
            with one_thread():
                fitted = self.head.fit(z, targets, len(support.classes), everyone)
            network.head.load_state_dict({"weight": fitted.weight[0], "bias": fitted.bias[0]})
        self._train(network, maps, targets, part(progress, 0.2, 1.0), after_step)
        progress(1.0, "Adapted")
        return make_tuned(self.name, support, z, self.start, network, self.temperature, self.extractor)

    def _train(
        self,
        network: TailClassifier,
        maps: Tensor,
        targets: Tensor,
        progress: Progress,
        after_step: AfterStep | None,
    ) -> None:
        """``maps (n, V, C, h, w)``, ``targets (n,)``; changes ``network``."""
        device = self.extractor.device
        everyone = torch.ones(1, len(targets), dtype=torch.bool)
        shares = balance(targets, network.head.weight.shape[0], everyone)[0].float().to(device) / len(targets)
        goals = targets.to(device)
        optimiser = torch.optim.AdamW(
            [
                {"params": network.tail.parameters(), "lr": self.trunk_rate},
                {"params": network.head.parameters(), "lr": self.head_rate},
            ],
            eps=EPSILON,
        )
        if after_step is not None:
            after_step(network, 0)
        for step in range(self.steps):
            progress(step / self.steps, f"Fine-tuning: step {step + 1} of {self.steps}")
            optimiser.zero_grad()
            for first in range(0, len(maps), BUNDLE):
                rows = slice(first, first + BUNDLE)
                views = maps[rows, step % VIEWS].to(device).float()
                losses = F.cross_entropy(network(views), goals[rows], reduction="none")
                torch.autograd.backward((losses * shares[rows]).sum())
            optimiser.step()
            if after_step is not None:
                after_step(network, step + 1)
        optimiser.zero_grad()


def finetune(extractor: FeatureExtractor, start: str = "conv1", steps: int = 30) -> FineTuner:
    """Fine-tuning from stage ``start`` on, for ``steps`` steps."""
    return FineTuner("finetune", extractor, start, steps, trunk_rate=1e-4, head_rate=1e-2)
