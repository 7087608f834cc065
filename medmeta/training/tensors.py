"""`FeatureBank`: the features of whole data sets, from which a `MetaTask` becomes a `FeatureTask`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from medmeta.errors import ModelError, TaskError
from medmeta.models import weights
from medmeta.models.descriptor import agreed
from medmeta.models.features import READING
from medmeta.progress import Progress, part, silent
from medmeta.scans.scan import Scan
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.tasks.meta_task import FeatureTask, MetaTask


class TextEncoder(Protocol):
    """Anything that turns n texts into ``(n, T)`` float vectors."""

    def __call__(self, texts: Sequence[str], /) -> Tensor: ...


class Extractor(Protocol):
    """Anything that turns n scans into ``(n, D)`` features: a `FeatureExtractor`."""

    def extract(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class SetFeatures:
    """One data set as tensors.

    Attributes:
        labelled: the set.
        features: ``(n, D)`` float.
        codes: ``(n,)`` int64; equal codes are one group.
        texts: ``(T,)`` embedding of each described class, by name.
    """

    labelled: LabelledSet
    features: Tensor
    codes: Tensor
    texts: Mapping[str, Tensor]


class FeatureBank:
    """Features of data sets by name.

    Args:
        sets: the data sets, of different names.
        features: ``(n, D)`` float tensor of each, by name.
        encode: embeds class descriptions; without it no task has text.

    Raises:
        TaskError: two sets share a name, a set's features are missing or too few, or features differ in length.
    """

    def __init__(
        self,
        sets: Sequence[LabelledSet],
        features: Mapping[str, Tensor],
        encode: TextEncoder | None = None,
    ) -> None:
        self._sets: dict[str, SetFeatures] = {}
        for labelled in sets:
            name, found = labelled.name, features.get(labelled.name)
            if name in self._sets:
                raise TaskError(f"two data sets are called {name}; give each a name of its own")
            if found is None or found.ndim != 2 or len(found) != len(labelled.items):
                shape = "none" if found is None else str(tuple(found.shape))
                raise TaskError(f"{name}: expected features of {len(labelled.items)} items, found {shape}")
            number = {group: code for code, group in enumerate(dict.fromkeys(labelled.groups))}
            codes = torch.tensor([number[group] for group in labelled.groups], dtype=torch.int64)
            self._sets[name] = SetFeatures(labelled, found, codes, _describe(labelled, encode))
        sizes = {name: held.features.shape[1] for name, held in self._sets.items()}
        if len(set(sizes.values())) > 1:
            raise TaskError(
                f"all data sets need features of one length, found {sizes}; train texts and scans apart"
            )

    def rows(self, names: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """All rows of sets: features ``(n, D)``, classes and groups ``(n,)`` int64, none shared between sets."""
        features, targets, groups = [], [], []
        classes = people = 0
        for held in (self._sets[name] for name in names):
            features.append(held.features)
            targets.append(torch.as_tensor(held.labelled.targets.copy()) + classes)
            groups.append(held.codes + people)
            classes, people = classes + len(held.labelled.classes), people + int(held.codes.max()) + 1
        return torch.cat(features), torch.cat(targets), torch.cat(groups)

    def task(self, drawn: MetaTask) -> FeatureTask:
        """The tensors of one draw.

        Modality and body part are named only where every support scan names the same; queries have no say. The
        text is the mean over the classes that have a description, in the data set's order, so that permuting
        the ways changes nothing.

        Raises:
            TaskError: the draw is of an unknown set, or a group has items in both support and query.
        """
        if drawn.source not in self._sets:
            raise TaskError(f"no features of {drawn.source}; there are: {', '.join(self._sets)}")
        held = self._sets[drawn.source]
        support, query = torch.tensor(drawn.support), torch.tensor(drawn.query, dtype=torch.int64)
        codes = held.codes[support]
        if torch.isin(held.codes[query], codes).any():
            raise TaskError(f"{drawn.source}: a patient has scans in both support and query of a task")
        texts = [
            held.texts[name] for name in held.labelled.classes if name in drawn.classes and name in held.texts
        ]
        return FeatureTask(
            source=drawn.source,
            domain=drawn.domain,
            ways=len(drawn.classes),
            support=held.features[support],
            support_targets=torch.tensor(drawn.support_targets, dtype=torch.int64),
            support_groups=codes,
            query=held.features[query],
            query_targets=torch.tensor(drawn.query_targets, dtype=torch.int64),
            modality=_tag(held.labelled, drawn.support, "Modality"),
            body_part=_tag(held.labelled, drawn.support, "BodyPartExamined"),
            text=torch.stack(texts).mean(dim=0) if texts else None,
        )


def _describe(labelled: LabelledSet, encode: TextEncoder | None) -> dict[str, Tensor]:
    names = [name for name in labelled.classes if labelled.descriptions.get(name)]
    if encode is None or not names:
        return {}
    return dict(zip(names, encode([labelled.descriptions[name] for name in names]), strict=True))


def _tag(labelled: LabelledSet, positions: Sequence[int], keyword: str) -> str | None:
    """The tag's value where every one of these items names the same."""
    items = [labelled.items[position] for position in positions]
    tags = [item.tags.get(keyword) if isinstance(item, Scan) else None for item in items]
    return agreed([str(value) if value else None for value in tags])


def extract_features(
    sets: Sequence[LabelledSet],
    extractor: Extractor,
    made_with: str,
    folder: Path,
    *,
    encode: TextEncoder | None = None,
    progress: Progress = silent,
) -> dict[str, Tensor]:
    """Features of every set, ``(n, D)`` float32, kept in ``folder`` so that they are computed once.

    Args:
        extractor: for sets of scans.
        made_with: what decides the features besides the items, for example the backbone's SHA-256.
        folder: cache; a file is named after a hash of the items, never after the set.
        encode: for sets of texts.

    Raises:
        TaskError: a set of texts, and no ``encode``.
        CancelledError: ``progress`` asked to stop.
    """
    found = {}
    for number, labelled in enumerate(sets):
        path = folder / f"{_fingerprint(labelled, made_with)}.safetensors"
        try:
            found[labelled.name] = weights.read(path)[0]["features"]
        except (ModelError, KeyError):  # absent, or cut short by a kill: computed again
            step = part(progress, number / len(sets), (number + 1) / len(sets))
            found[labelled.name] = _compute(labelled, extractor, encode, step)
            card = {"format": "medmeta features 1", "set": labelled.name, "made_with": made_with}
            weights.write(path, {"features": found[labelled.name]}, card)
    progress(1.0, "Looked at all scans")
    return found


def _compute(
    labelled: LabelledSet, extractor: Extractor, encode: TextEncoder | None, progress: Progress
) -> Tensor:
    scans = [item for item in labelled.items if isinstance(item, Scan)]
    if len(scans) == len(labelled.items):
        return extractor.extract(scans, progress=progress)
    if encode is None:
        raise TaskError(f"{labelled.name} holds texts; name a text encoder in the configuration")
    return encode([str(item) for item in labelled.items])


def _fingerprint(labelled: LabelledSet, made_with: str) -> str:
    digest = hashlib.sha256(f"{made_with} {READING}".encode())
    for item in labelled.items:
        key = (
            f"{item.id}{item.monochrome1}{item.padding or ''}"
            if isinstance(item, Scan)
            else hashlib.sha256(item.encode()).hexdigest()
        )
        digest.update(key.encode())
    return digest.hexdigest()[:32]
