"""Few-shot accuracies of a learner on the test sets: taken over from ``bench few-shot``, or measured now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medmeta.evaluation.few_shot import run_few_shot
from medmeta.evaluation.few_shot_result import to_json
from medmeta.evaluation.provenance import task_hash
from medmeta.models.backbones import ASSETS
from medmeta.models.features import READING
from medmeta.models.twin import MEDICAL
from medmeta.training import checkpoint
from medmeta.training.claims.ground import Ground

#: Accuracy of each episode, by data set.
Accuracies = dict[str, NDArray[np.float64]]


def weights_of(learner: str, folder: Path = ASSETS) -> str:
    """What tells a learner's shipped weights from others: their hashes, empty for a learner without any."""
    names = [learner, *(MEDICAL.values() if learner == "medmeta" else ())]
    found = []
    for name in names:
        card = folder / f"{name}.json"
        if card.exists():
            found.append(str(json.loads(card.read_text(encoding="utf-8"))["sha256"]))
    return " ".join(found)


def few_shot(ground: Ground, learner: str) -> Accuracies:
    """Accuracies on the first episodes of each test set: all classes, the same episodes for every learner.

    Raises:
        MedMetaError: the learner has no weights, or a test set cannot give the episodes.
    """
    known = _kept(ground, learner)
    if known is not None:
        return known
    sizes = ground.sizes
    result = run_few_shot(
        ground.test,
        [ground.make(learner, ground.extractor)],
        shots=sizes.shots,
        queries=sizes.queries,
        episodes=sizes.episodes,
        seed=ground.seed,
        jobs=ground.jobs,
        progress=ground.progress,
    )
    document = {
        "settings": {
            "shots": [sizes.shots],
            "ways": "all",
            "queries": sizes.queries,
            "seed": ground.seed,
            "backbone_sha256": ground.extractor.backbone.sha256,
            "reading": READING,
            "weights": {learner: weights_of(learner)},
        },
        "results": to_json(result)["results"],
        "data_sets": [{"data": task.name, "sha256": task_hash(task)} for task in ground.test],
    }
    ground.out.mkdir(parents=True, exist_ok=True)
    checkpoint.write_lines(ground.out / f"few_shot_{learner}.json", [document])
    return _read(document, ground, learner)


def _kept(ground: Ground, learner: str) -> Accuracies | None:
    """What a file in ``out`` holds of the same episodes of the same data with the same weights, if one does."""
    for path in sorted(ground.out.glob("*.json")):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        if isinstance(document, dict) and _fits(document, ground, learner):
            found = _read(document, ground, learner)
            enough = all(len(found.get(task.name, ())) == ground.sizes.episodes for task in ground.test)
            if enough:
                return found
    return None


def _fits(document: Mapping[str, Any], ground: Ground, learner: str) -> bool:
    settings, sizes = document.get("settings"), ground.sizes
    if not isinstance(settings, dict) or "results" not in document:
        return False
    hashes = {row["data"]: row["sha256"] for row in document.get("data_sets", [])}
    return (
        sizes.shots in settings.get("shots", [])
        and settings.get("ways") == "all"
        and settings.get("queries") == sizes.queries
        and settings.get("seed") == ground.seed
        and settings.get("backbone_sha256") == ground.extractor.backbone.sha256
        and settings.get("reading") == READING
        and settings.get("weights", {}).get(learner) == weights_of(learner)
        and all(hashes.get(task.name) == task_hash(task) for task in ground.test)
    )


def _read(document: Mapping[str, Any], ground: Ground, learner: str) -> Accuracies:
    names = [task.name for task in ground.test]
    return {
        row["data"]: np.array(row["per_episode"][: ground.sizes.episodes])
        for row in document["results"]
        if row["learner"] == learner and row["shots"] == ground.sizes.shots and row["data"] in names
    }
