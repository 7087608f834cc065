"""Task models of many supports, one after the other; several at a time where the learner can."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from medmeta.learners.base import Learner, TaskModel
from medmeta.progress import Progress, silent
from medmeta.tasks.task import Task

#: Supports adapted to in one pass, and the most scans in all of them: each takes a tenth of a megabyte.
TOGETHER, SCANS = 16, 640


class InTurn:
    """What a learner makes of each support, in order; see `adapt_all` of `MetaLearner`.

    Args:
        learner: one without ``adapt_all`` adapts to one support at a time.
        supports: each learnable.
    """

    def __init__(self, learner: Learner, supports: Sequence[Task]) -> None:
        self._learner = learner
        self._supports = iter(supports)
        self._ready: Iterator[TaskModel] = iter(())
        most = max((len(support.scans) for support in supports), default=1)
        self._together = max(1, min(TOGETHER, SCANS // most))

    def next(self, progress: Progress = silent) -> TaskModel:
        """The next support's model.

        Raises:
            CancelledError: ``progress`` asked to stop.
        """
        adapt_all = getattr(self._learner, "adapt_all", None)
        if adapt_all is None:
            return self._learner.adapt(next(self._supports), progress=progress)
        model = next(self._ready, None)
        if model is None:
            self._ready = iter(adapt_all(list(islice(self._supports, self._together)), progress=progress))
            model = next(self._ready)
        return model
