"""What a few-shot run found, kept episode by episode: an interrupted run goes on, a longer one adds to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from medmeta.errors import MedMetaError
from medmeta.tasks.task import Task


@dataclass(frozen=True)
class Answer:
    """One learner on one episode.

    Attributes:
        right: which query scans it predicted right, in the order of the episode.
        seconds_adapt, seconds_predict: what that took.
    """

    right: tuple[bool, ...]
    seconds_adapt: float
    seconds_predict: float


@dataclass(frozen=True)
class Kept:
    """A folder of answers, one file a data set and learner, one line an episode.

    Attributes:
        folder: made when something is kept.
        settings: what decides an answer besides scans, learner and episode: shots, seed, the backbone.
        weights: what tells each learner's weights from others, by its name; absent for a learner without any.
    """

    folder: Path
    settings: Mapping[str, object]
    weights: Mapping[str, str] = field(default_factory=dict)

    def read(self, task: Task, learner: str) -> dict[int, Answer]:
        """Answers by episode; a line that was cut short is left out."""
        try:
            lines = self._path(task, learner).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise MedMetaError(
                f"{self.folder.name} cannot be read; name another folder to keep answers"
            ) from error
        found = {}
        for line in lines:
            try:
                row = json.loads(line)
                right = tuple(mark == "1" for mark in row["right"])
                found[int(row["episode"])] = Answer(
                    right, float(row["seconds_adapt"]), float(row["seconds_predict"])
                )
            except (ValueError, LookupError, TypeError):
                continue
        return found

    def add(self, task: Task, learner: str, answers: Mapping[int, Answer]) -> None:
        """Keep more answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._path(task, learner).open("a", encoding="utf-8") as file:
            for episode, answer in answers.items():
                marks = "".join("1" if hit else "0" for hit in answer.right)
                file.write("\n" + json.dumps({"episode": episode, **asdict(answer), "right": marks}))

    def _path(self, task: Task, learner: str) -> Path:
        """Named after a hash, never after the data set, of all that decides an answer."""
        digest = hashlib.sha256()
        about = [learner, self.weights.get(learner, ""), dict(self.settings), list(task.classes)]
        digest.update(json.dumps(about, sort_keys=True).encode())
        for scan, label, group in zip(task.scans, task.labels, task.groups, strict=True):
            seen = [scan.id, scan.monochrome1, *(scan.padding or ())]  # what decides a scan's features
            digest.update(json.dumps([*seen, label, group]).encode())
        return self.folder / f"{digest.hexdigest()[:32]}.jsonl"
