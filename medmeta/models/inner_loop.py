"""The meta-learned state that the MAML family shares: a tail to start from and a rate for each tensor."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medmeta.errors import ModelError
from medmeta.models import weights
from medmeta.models.backbones import Backbone
from medmeta.models.functional import TailClassifier, adapt_sgd
from medmeta.models.staged import Tail
from medmeta.notice import RESEARCH_USE_ONLY

FORMAT = "medmeta inner loop 1"
HEAD = "head."
#: Rates before meta-training, of the tail and of the classifier on unit-length features.
TAIL_RATE = 0.01
HEAD_RATE = 4.0


class InnerLoop(nn.Module):
    """A few gradient steps from a meta-learned start; below the tail the backbone stays frozen.

    The meta-parameters are the tail's weights (batch normalisation folded in) and ``log_rates (T,)``: the
    logarithm of each adapted tensor's rate over its first value, so that shrinking it returns to that value.
    The classifier starts from zeros and is no meta-parameter (see :class:`TailClassifier`).

    Args:
        tail: from the maps to ``(n, size)`` features; owned and changed by meta-training.
        map_shape: ``(C, h, w)`` of a map.
        size: D, length of a feature vector.
        steps: inner steps.
        head_only: adapt the classifier alone.
        learn_rates: whether ``log_rates`` are meta-trained.
    """

    base_rates: Tensor

    def __init__(
        self,
        tail: nn.Module,
        map_shape: tuple[int, ...],
        size: int,
        *,
        steps: int = 5,
        head_only: bool = False,
        learn_rates: bool = True,
    ) -> None:
        super().__init__()
        self.tail = tail.requires_grad_(True)
        self.map_shape = map_shape
        self.size = size
        self.steps = steps
        self.head_only = head_only
        names = list(dict(self.classifier(1).named_parameters()))
        self.adapted_names = tuple(name for name in names if name.startswith(HEAD) or not head_only)
        base = [HEAD_RATE if name.startswith(HEAD) else TAIL_RATE for name in self.adapted_names]
        self.register_buffer("base_rates", torch.tensor(base), persistent=False)
        self.log_rates = nn.Parameter(torch.zeros(len(base)), requires_grad=learn_rates)

    @classmethod
    def of(cls, backbone: Backbone, start: str | None = None, **options: Any) -> InnerLoop:
        """The loop over a copy of the backbone's stages from ``start`` (default: the last one) on.

        ``options`` as in the constructor.

        Raises:
            ModelError: the backbone has no such stage.
        """
        network, side = backbone.network, backbone.card.side
        start = start or network.stage_names[-1]
        with torch.no_grad():
            blank = torch.zeros(1, 3, side, side, device=next(network.parameters()).device)
            shape = tuple(network.run(blank, stop=start).shape[1:])
        tail = copy.deepcopy(Tail(network, start))
        return cls(tail, shape, backbone.card.features, **options).to(blank.device)

    @property
    def start(self) -> str:
        """The stage whose input maps it takes."""
        return str(self.tail.start)

    def rows(self, flat: Tensor) -> Tensor:
        """Flattened maps ``(n, C*h*w)`` of any float type to ``(n, C, h, w)`` of the tail's."""
        return flat.to(self.log_rates.dtype).reshape(-1, *self.map_shape)

    def rates(self) -> dict[str, Tensor]:
        """Scalar inner rate of each tensor that adapts."""
        return dict(zip(self.adapted_names, self.base_rates * self.log_rates.exp(), strict=True))

    def classifier(self, ways: int) -> TailClassifier:
        """The start of a task of ``ways`` classes; its tail is this module's, not a copy."""
        like = next(self.tail.parameters())
        return TailClassifier(self.tail, self.size, ways).to(like.device, like.dtype)

    def adapt(
        self, classifier: TailClassifier, maps: Tensor, targets: Tensor, *, create_graph: bool
    ) -> dict[str, Tensor]:
        """Adapted tensors by their name in ``classifier``; what is not named stays the classifier's own.

        Args:
            classifier: from :meth:`classifier`.
            maps: ``(n, C, h, w)`` support.
            targets: ``(n,)`` int64.
            create_graph: see :func:`adapt_sgd`.
        """
        start = dict(classifier.named_parameters())
        rates = self.rates()
        if not self.head_only:
            return adapt_sgd(classifier, start, maps, targets, self.steps, rates, create_graph)
        # The tail stands still, so its features are computed once.
        head = dict(classifier.head.named_parameters())
        lrs = {name: rates[HEAD + name] for name in head}
        features = classifier.features(maps)
        found = adapt_sgd(classifier.head, head, features, targets, self.steps, lrs, create_graph)
        return {HEAD + name: value for name, value in found.items()}

    def save(self, path: Path, backbone: Backbone, card: Mapping[str, Any]) -> None:
        """Write the meta-parameters as float16 safetensors, and beside them the card with what loading needs."""
        weights.write(
            path,
            {name: value.half() for name, value in self.state_dict().items()},
            {
                **card,
                "format": FORMAT,
                "start": self.start,
                "map_shape": list(self.map_shape),
                "steps": self.steps,
                "head_only": self.head_only,
                "learn_rates": self.log_rates.requires_grad,
                "backbone": backbone.card.name,
                "backbone_sha256": backbone.sha256,
                "intended_use": RESEARCH_USE_ONLY,
            },
        )

    @classmethod
    def load(cls, path: Path, backbone: Backbone, method: str) -> InnerLoop:
        """Read what :meth:`save` wrote under a card whose ``method`` is this one.

        Raises:
            ModelError: missing or altered, of another format, method or backbone.
        """
        tensors, card = weights.read(path)
        if card.get("format") != FORMAT or card.get("method") != method:
            raise ModelError(f"{path.name} holds no meta-trained {method}; meta-train it again")
        if card.get("backbone_sha256") != backbone.sha256:
            raise ModelError(f"{path.name} was meta-trained on another backbone; meta-train it again")
        try:
            options = {key: card[key] for key in ("steps", "head_only", "learn_rates")}
            loop = cls.of(backbone, str(card["start"]), **options)
            loop.load_state_dict(tensors)
        except (KeyError, RuntimeError) as error:
            raise ModelError(f"{path.name} holds an incomplete model; meta-train it again") from error
        return loop
