"""`CnnMetaModel`: the meta-model over a frozen convolutional trunk whose deep stages bend to the task.

Path of one task: features of the untouched trunk -> descriptor -> generated FiLM coefficients -> at most eight
AdamW steps on them -> features of the bent trunk -> `MetaModel`. Head and core are differentiated exactly, the
deep steps by the corrected first-order gradient. Untrained and without a step it is the closed-form anchor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from medmeta.errors import ModelError
from medmeta.models import gradient_correction as correction
from medmeta.models import weights
from medmeta.models.backbones import Backbone, load_backbone
from medmeta.models.deep_core import Core, Space
from medmeta.models.deep_film import DeepFilm
from medmeta.models.episodic import EpisodeResult, EpisodicModel
from medmeta.models.hypernetwork import Hypernetwork
from medmeta.models.meta_model import Parts
from medmeta.models.model_config import HEAD, MetaConfig, parse_config
from medmeta.models.stack import Stack
from medmeta.models.staged import Film, StagedNetwork
from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.tasks.meta_task import FeatureTask

FORMAT = "medmeta deep meta-model 1"
#: Largest absolute value of a generated coefficient.
COEFFICIENT_BOUND = 1.0


@dataclass(frozen=True, eq=False)
class Adapted:
    """A task's FiLM coefficients ``(P,)`` and the stack of heads on the features they give."""

    vector: Tensor
    stack: Stack


class CnnMetaModel(EpisodicModel):
    """Meta-learned deep FiLM below a meta-learned head.

    A row of a task is one scan: the flattened map that the first dynamic stage takes (of one view or of several,
    whose features are averaged), or its features where no stage is dynamic. The trunk is no part of
    ``parameters()`` nor of ``state_dict()``; ``to`` moves it along.

    Args:
        config: what is dynamic and how far.
        backbone: the trunk; shared, its values never changed.
        space: of the core.
        seed: of every random start.

    Raises:
        ModelError: the backbone is not the config's, or ``rank`` exceeds a stage's channels.
    """

    kappa: Tensor

    def __init__(self, config: MetaConfig, backbone: Backbone, space: Space, seed: int) -> None:
        super().__init__()
        chosen, inner = config.meta_model, config.inner_loop
        if backbone.card.name != chosen.backbone:
            raise ModelError(
                f"the config stands on {chosen.backbone}, found the backbone {backbone.card.name}"
            )
        self.config, self.card, self.sha256 = config, backbone.card, backbone.sha256
        self._frozen = (backbone.network,)  # in a tuple, so that it does not become a module of this one
        names = tuple(name for name in self.trunk.stage_names if name in chosen.dynamic_stages)
        self.film = DeepFilm(
            {name: self.trunk.stage_channels[name] for name in names},
            chosen.rank,
            bound=chosen.film_bound,
            seed=seed,
        )
        self.core = Core(
            space.blocks,
            space.centre,
            space.basis,
            space.variances,
            parts=Parts(
                generation=HEAD in chosen.dynamic_layers,
                memory=chosen.memory > 0,
                steps=inner.max_steps,
                stack=True,
                text=chosen.text,
            ),
            dropout=chosen.dropout,
            slots=max(chosen.memory, 1),
            anchor_l2=inner.anchor_l2,
            seed=seed,
        )
        log_rate = torch.tensor(inner.lr, dtype=torch.float64).log()
        nn.init.constant_(self.core.log_rates, float(log_rate))
        if not names:
            return
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = Hypernetwork(
                self.core.descriptor.mix.out_features,
                self.film.size,
                len(names),
                bound=COEFFICIENT_BOUND,
            )
        self.log_rates = nn.Parameter(log_rate.repeat(len(names)))
        self.register_buffer("kappa", torch.ones(len(names), dtype=torch.float64))
        self.map_shape = self._map_shape()

    @classmethod
    def from_config(
        cls,
        config: MetaConfig,
        backbone: Backbone | None = None,
        seed: int | None = None,
        space: Space | None = None,
    ) -> Self:
        """An untrained model.

        Args:
            backbone: the config's, already loaded; else it is loaded.
            seed: in place of the config's.
            space: of the core; by default one block as long as a feature vector, about which nothing is known.

        Raises:
            ModelError: as the constructor, or the backbone cannot be loaded.
        """
        chosen = config.meta_model
        seed = chosen.seed if seed is None else seed
        if backbone is None:
            backbone = load_backbone(chosen.backbone, pretrained=chosen.pretrained, seed=chosen.seed)
        space = space or Space.unknown((backbone.card.features,), seed)
        return cls(config, backbone, space, seed)

    @property
    def trunk(self) -> StagedNetwork:
        """The frozen network."""
        return self._frozen[0]

    @property
    def start(self) -> str | None:
        """The stage whose input map a row is; None where rows are features."""
        return self.film.names[0] if self.film.names else None

    @property
    def inner_steps(self) -> int:
        return self.core.inner_steps

    @inner_steps.setter
    def inner_steps(self, steps: int) -> None:
        self.core.inner_steps = steps

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self.trunk._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call, no-any-return]

    @torch.no_grad()
    def _map_shape(self) -> tuple[int, ...]:
        like = next(self.trunk.parameters())
        blank = torch.zeros(1, 3, self.card.side, self.card.side, device=like.device, dtype=like.dtype)
        return tuple(self.trunk.run(blank, stop=self.start).shape[1:])

    @torch.no_grad()
    def _below(self, rows: Tensor) -> Tensor:
        """What no coefficient changes: rows ``(n, V * C*h*w)`` to the first dynamic stage's output ``(n, V, ...)``."""
        if self.start is None:
            return rows
        like = next(self.trunk.parameters())
        maps = rows.to(like.device, like.dtype).reshape(-1, *self.map_shape)
        staged = self.trunk.run_stage(self.start, maps)
        views = rows[0].numel() // math.prod(self.map_shape) if len(rows) else 1
        return staged.reshape(len(rows), views, *staged.shape[1:])

    def _embedded(self, below: Tensor, film: Mapping[str, Film]) -> Tensor:
        """From :meth:`_below` on: ``(n, D)`` embedded features, averaged over views."""
        if self.start is not None:
            flat = below.flatten(0, 1)
            gain, offset = (value.to(flat) for value in film[self.start])
            x = flat * (1.0 + gain)[:, None, None] + offset[:, None, None]
            later = self.trunk.stage_names[self.trunk.position(self.start) + 1 :]
            if later:
                rest = {name: (g.to(flat), o.to(flat)) for name, (g, o) in film.items()}
                features = self.trunk.run(x, start=later[0], film=rest)
            else:
                features = x.mean(dim=(2, 3))
            below = features.reshape(*below.shape[:2], -1).mean(dim=1).to(self.core.centre.device)
        return self.core.embed(below)

    def _bent(self, task: FeatureTask, support: Tensor, query: Tensor, vector: Tensor) -> FeatureTask:
        """The task in the space of a vector's features, from :meth:`_below`'s maps."""
        film = self.film(vector)
        return replace(task, support=self._embedded(support, film), query=self._embedded(query, film))

    def _begin(
        self, task: FeatureTask, below: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor] | None]:
        """Generated coefficients, their rates, and the inner loss (None where no left-out scan can be judged)."""
        zero = self.film(torch.zeros(self.film.size, dtype=torch.float64, device=self.core.centre.device))
        with torch.no_grad():
            plain = self._embedded(below, zero)
        base = replace(task, support=plain, query=plain[:0], query_targets=task.query_targets[:0])
        batch = self.core.prepare([base])
        descriptors = self.core.describe(batch, [generator])
        start = self.core.begin(batch, descriptors)
        generated = self.head(descriptors[0])
        sizes = torch.tensor(self.film.group_sizes, device=self.log_rates.device)
        rates = torch.repeat_interleave((self.log_rates + generated.log_rates).exp(), sizes)
        judged = int(batch.goals.judged.sum())
        if not judged:
            return generated.start, rates, None
        core, temperature = start.vector.detach(), self.core.log_temperature[1].detach().exp()

        def loss(vector: Tensor) -> Tensor:
            z = self._embedded(below, self.film(vector))
            found = self.core.prepare([replace(base, support=z, query=z[:0])])
            scores, _ = self.core.fit(core, found)
            return found.goals.losses(temperature * scores)[0] / judged

        return generated.start, rates, loss

    def _run(self, start: Tensor, rates: Tensor, loss: Callable[[Tensor], Tensor]) -> correction.Trajectory:
        return correction.run(start, loss, rates, steps=self.inner_steps, decay=self.core.anchor_l2)

    def trust(self) -> Tensor:
        """``kappa`` of each coefficient, ``(P,)``."""
        sizes = torch.tensor(self.film.group_sizes, device=self.kappa.device)
        return torch.repeat_interleave(self.kappa, sizes)

    def episode(self, task: FeatureTask, generator: torch.Generator) -> EpisodeResult:
        """Adapt and answer; see `EpisodicModel.episode`.

        The query loss carries the corrected first-order gradient of the deep steps (`gradient_correction.replay`),
        so `meta_gradient` finds it like any other. They are first-order in what else the inner loss depends on,
        the core's start and temperature.
        """
        support, query = self._below(task.support), self._below(task.query)
        if self.start is None:
            seen = replace(task, support=self.core.embed(support), query=self.core.embed(query))
            return self.core.episode(seen, generator)
        vector, rates, loss = self._begin(task, support, generator)
        if loss is not None:
            vector = correction.replay(vector, rates, self._run(vector, rates, loss), self.trust())
        return self.core.episode(self._bent(task, support, query, vector), generator)

    def measure(self, task: FeatureTask) -> correction.Measured:
        """A task's exact meta-gradient of the coefficients' start, beside what the correction has to work with.

        The model must be in eval mode and the task fit to leave scans out.
        """
        generator = torch.Generator().manual_seed(0)  # nothing is drawn in eval mode
        support, query = self._below(task.support), self._below(task.query)
        start, rates, loss = self._begin(task, support, generator)
        assert loss is not None
        assert not self.training

        def query_loss(vector: Tensor) -> Tensor:
            return self.core.episode(self._bent(task, support, query, vector), generator).query_loss

        trajectory = self._run(start, rates, loss)
        with torch.enable_grad():
            end = trajectory.end.clone().requires_grad_()
            (at_end,) = torch.autograd.grad(query_loss(end), end)
        steps, decay = self.inner_steps, self.core.anchor_l2
        exact = correction.exact(start, loss, query_loss, rates, steps=steps, decay=decay)
        return correction.Measured(trajectory, at_end, exact)

    def fit_correction(self, measured: Sequence[correction.Measured]) -> None:
        """Set ``kappa`` from what :meth:`measure` found on a few meta-train tasks."""
        self.kappa = correction.fit_kappa(measured, self.film.group_sizes).to(self.kappa)

    @torch.no_grad()
    def adapt(self, task: FeatureTask) -> Adapted:
        """Coefficients and heads for a task; nothing of the model changes.

        Args:
            task: its query is not looked at. Where a row holds several views, coefficients adapt on the first, as in
                meta-training, and heads are fitted on the average.
        """
        empty = task.query_targets[:0]
        vector = torch.zeros(0, dtype=torch.float64)
        below = self._below(task.support)
        if self.start is None:
            z = self.core.embed(below)
        else:
            first = below[:, :1]
            vector, rates, loss = self._begin(task, first, torch.Generator().manual_seed(0))
            if loss is not None:
                vector = self._run(vector, rates, loss).end
            z = self._embedded(below, self.film(vector))
        return Adapted(vector, self.core.adapt(replace(task, support=z, query=z[:0], query_targets=empty)))

    def save(self, path: Path, card: Mapping[str, Any] | None = None) -> None:
        """Write everything but the trunk as safetensors, and the card, which names the trunk."""
        about = {
            **(card or {}),
            "format": FORMAT,
            "config": self.config.to_dict(),
            "blocks": list(self.core.blocks),
            "backbone": self.card.name,
            "backbone_sha256": self.sha256,
            "intended_use": RESEARCH_USE_ONLY,
        }
        weights.write(path, self.state_dict(), about)

    @classmethod
    def load(cls, path: Path, backbone: Backbone | None = None) -> Self:
        """Read what :meth:`save` wrote, in eval mode; the backbone the card names is loaded unless given.

        Raises:
            ModelError: missing or altered, of another format, or meta-trained on another backbone.
        """
        tensors, card = weights.read(path)
        if card.get("format") != FORMAT:
            raise ModelError(f"{path.name} holds no deep meta-model of this version; meta-train it again")
        try:
            space = Space(
                tuple(int(size) for size in card["blocks"]),
                *(tensors[f"core.{name}"] for name in ("centre", "basis", "variances")),
            )
            model = cls.from_config(parse_config(card["config"]), backbone, space=space)
            model.load_state_dict(tensors)
        except ModelError as error:
            raise ModelError(f"{path.name}: {error}") from error
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"{path.name} holds an incomplete model; meta-train it again") from error
        if card.get("backbone_sha256") != model.sha256:
            raise ModelError(f"{path.name} was meta-trained on another backbone; meta-train it again")
        return model.eval()
