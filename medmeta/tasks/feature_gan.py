"""More support in feature space: a small conditional GAN that makes features of a class from those of one patient.

A WGAN-GP on frozen features, as in Xian et al. 2018 (arXiv:1712.00981), conditioned as in Antoniou et al. 2017
(arXiv:1711.04340) on another example of the class, so that it serves classes it has never seen. For meta-training
alone: what a person's adaptation learns from is real.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle, islice

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medmeta.errors import TaskError
from medmeta.progress import Progress, silent
from medmeta.tasks.meta_task import FeatureTask

BATCH = 64
CRITIC_STEPS = 5
#: Of WGAN-GP (Gulrajani et al. 2017, arXiv:1704.00028).
PENALTY = 10.0
RATE = 1e-3
BETAS = (0.5, 0.9)
LEAK = 0.2
#: Decay of the slow average of the generator's weights, which is what remains (Yaz et al. 2019, arXiv:1806.04498).
SLOW = 0.99


class FeatureGan(nn.Module):
    """Generator and critic over features of length D, both told the class prototype.

    Args:
        size: D.
        noise: length of the noise vector.
        hidden: width of both networks.
        seed: of the initial weights.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, size: int, *, noise: int = 16, hidden: int = 128, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.noise = noise
        self.generator = _network(size + noise, hidden, size, generator)
        self.critic = _network(2 * size, hidden, 1, generator)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    def forward(self, prototypes: Tensor, generator: torch.Generator) -> Tensor:
        """One generated feature for each prototype.

        Args:
            prototypes: ``(n, D)``, each the mean of a class's features of one group.
            generator: CPU generator of the noise.

        Returns:
            ``(n, D)`` float32.
        """
        made = self.make((prototypes.float() - self.mean) / self.scale, generator)
        return made * self.scale + self.mean

    def make(self, prototypes: Tensor, generator: torch.Generator) -> Tensor:
        """As :meth:`forward`, standardised features in and out."""
        noise = torch.randn(len(prototypes), self.noise, generator=generator).to(prototypes.device)
        made: Tensor = prototypes + self.generator(torch.cat([prototypes, noise], dim=1))
        return made

    def judge(self, features: Tensor, prototypes: Tensor) -> Tensor:
        """The critic's value ``(n,)`` of standardised features beside standardised prototypes; higher is more real."""
        values: Tensor = self.critic(torch.cat([features, prototypes], dim=1))
        return values[:, 0]


def fit_gan(
    features: Tensor,
    targets: Tensor,
    groups: Tensor,
    seed: int,
    steps: int,
    progress: Progress = silent,
) -> FeatureGan:
    """Train a `FeatureGan` on meta-train features.

    The prototype is the mean of a class's features of one group, the real example is of the same class and of
    another group: the generator learns how patients of a class differ, and never to repeat its input.

    Args:
        features: ``(n, D)``.
        targets: ``(n,)`` int64 classes, over all sets together.
        groups: ``(n,)`` int64 codes; equal codes are one patient.
        seed: of weights, batches and noise.
        steps: generator steps; each has five of the critic.
        progress: told after every step.

    Returns:
        the GAN in eval mode, its parameters frozen.

    Raises:
        TaskError: shapes differ, features are not finite, or a class has a single group.
    """
    n = len(features)
    if features.ndim != 2 or targets.shape != (n,) or groups.shape != (n,) or n == 0:
        raise TaskError(
            f"a feature GAN needs (n, D) features with n targets and groups, found {tuple(features.shape)}, "
            f"{tuple(targets.shape)} and {tuple(groups.shape)}"
        )
    if not bool(features.isfinite().all()):
        raise TaskError("a feature GAN needs finite features, found infinite ones or no numbers")
    features = features.detach().float()
    gan = FeatureGan(features.shape[1], seed=seed).to(features.device)
    gan.mean.copy_(features.mean(dim=0))
    gan.scale.copy_(_spread(features, targets))
    pairs = _Pairs((features - gan.mean) / gan.scale, targets, groups)
    random = torch.Generator().manual_seed(seed)
    critic = torch.optim.Adam(gan.critic.parameters(), lr=RATE, betas=BETAS)
    maker = torch.optim.Adam(gan.generator.parameters(), lr=RATE, betas=BETAS)
    slow = [p.detach().clone() for p in gan.generator.parameters()]
    for step in range(steps):
        for _ in range(CRITIC_STEPS):
            real, prototypes = pairs.draw(random)
            with torch.no_grad():
                made = gan.make(prototypes, random)
            loss = (gan.judge(made, prototypes) - gan.judge(real, prototypes)).mean()
            critic.zero_grad()
            torch.autograd.backward(loss + PENALTY * _steepness(gan, real, made, prototypes, random))
            critic.step()
        _, prototypes = pairs.draw(random)
        maker.zero_grad()
        torch.autograd.backward(-gan.judge(gan.make(prototypes, random), prototypes).mean())
        maker.step()
        with torch.no_grad():
            for kept, now in zip(slow, gan.generator.parameters(), strict=True):
                kept.lerp_(now, 1.0 - min(SLOW, step / (step + 10.0)))
        progress((step + 1) / steps, f"Feature GAN: step {step + 1} of {steps}")
    with torch.no_grad():
        for kept, now in zip(slow, gan.generator.parameters(), strict=True):
            now.copy_(kept)
    return gan.eval().requires_grad_(False)


@torch.no_grad()
def augment_support(
    task: FeatureTask, gan: FeatureGan, per_class: int, generator: torch.Generator
) -> FeatureTask:
    """Add ``per_class`` generated features to each class of a meta-training task's support.

    A generated row belongs to the group whose rows it was made from (the groups of a class take turns), so leaving
    that group out leaves the row out as well.

    Args:
        task: with a query.
        gan: trained by `fit_gan`.
        per_class: rows to add to each class, at least 1.
        generator: CPU generator of the noise.

    Returns:
        the task with a longer support, marked ``synthetic``; the query is as it was.

    Raises:
        TaskError: the task has no query (a person's adaptation), or a class has no support.
    """
    if not len(task.query):
        raise TaskError(
            f"{task.source}: has no query, as while adapting for a person; support is generated in meta-training only"
        )
    if per_class < 1:
        raise TaskError(f"at least 1 generated row a class was expected, found {per_class}")
    prototypes, groups = [], []
    for way in range(task.ways):
        rows = task.support[task.support_targets == way]
        codes = task.support_groups[task.support_targets == way]
        if not len(rows):
            raise TaskError(f"{task.source}: class {way} has no support to generate from")
        for code in islice(cycle(sorted(set(codes.tolist()))), per_class):
            prototypes.append(rows[codes == code].mean(dim=0))
            groups.append(code)
    made = gan(torch.stack(prototypes), generator).to(task.support.dtype)
    targets = torch.arange(task.ways, device=task.support.device).repeat_interleave(per_class)
    return replace(
        task,
        support=torch.cat([task.support, made]),
        support_targets=torch.cat([task.support_targets, targets]),
        support_groups=torch.cat([task.support_groups, task.support_groups.new_tensor(groups)]),
        synthetic=True,
    )


class _Pairs:
    """Draws (real features, prototypes) of one class each and of two groups; every class is equally likely."""

    def __init__(self, features: Tensor, targets: Tensor, groups: Tensor) -> None:
        self._features = features
        self._groups: list[list[Tensor]] = []
        means = []
        for target in sorted(set(targets.tolist())):
            of_class = (targets == target).nonzero().flatten()
            codes = groups[of_class]
            members = [of_class[codes == code] for code in sorted(set(codes.tolist()))]
            if len(members) < 2:
                raise TaskError(f"a feature GAN needs 2 groups (patients) a class; class {target} has one")
            self._groups.append(members)
            means += [features[rows].mean(dim=0) for rows in members]
        self._means = torch.stack(means)
        counts = torch.tensor([len(members) for members in self._groups])
        self._counts, self._starts = counts, counts.cumsum(0) - counts
        flat = [rows for members in self._groups for rows in members]
        self._sizes = torch.tensor([len(rows) for rows in flat])
        self._rows = torch.cat(flat)
        self._firsts = self._sizes.cumsum(0) - self._sizes

    def draw(self, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """``(BATCH, D)`` each."""

        def below(limits: Tensor) -> Tensor:
            return (torch.rand(BATCH, generator=random, dtype=torch.float64) * limits).long()

        classes = below(torch.tensor(len(self._counts)))
        counts = self._counts[classes]
        one = below(counts)
        two = (one + 1 + below(counts - 1)) % counts  # any other group
        real = self._starts[classes] + one
        rows = self._rows[self._firsts[real] + below(self._sizes[real])]
        return self._features[rows], self._means[self._starts[classes] + two]


def _spread(features: Tensor, targets: Tensor) -> Tensor:
    """``(D,)`` deviation within a class: what is to be generated, so it should be of size one to both networks."""
    centred = features.clone()
    for target in sorted(set(targets.tolist())):
        centred[targets == target] -= features[targets == target].mean(dim=0)
    least = 1e-3 * features.std(dim=0, correction=0).clamp(min=1e-3)
    return torch.maximum(centred.square().mean(dim=0).sqrt(), least)


def _steepness(
    gan: FeatureGan, real: Tensor, made: Tensor, prototypes: Tensor, random: torch.Generator
) -> Tensor:
    """Squared distance from 1 of the critic's slope, between real and made features."""
    share = torch.rand(len(real), 1, generator=random).to(real.device)
    between = torch.lerp(made, real, share).requires_grad_()
    (slope,) = torch.autograd.grad(gan.judge(between, prototypes).sum(), between, create_graph=True)
    return F.mse_loss(slope.norm(dim=1), torch.ones(len(real), device=real.device))


def _network(inputs: int, hidden: int, outputs: int, generator: torch.Generator) -> nn.Sequential:
    """Two hidden layers; weights drawn from ``generator`` and not from torch's global state."""
    layers: list[nn.Module] = []
    for taken, given in ((inputs, hidden), (hidden, hidden), (hidden, outputs)):
        linear = nn.Linear(taken, given, device="meta").to_empty(device="cpu")  # without a global draw
        nn.init.kaiming_normal_(linear.weight, a=LEAK, generator=generator)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.LeakyReLU(LEAK)]
    return nn.Sequential(*layers[:-1])
