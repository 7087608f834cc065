"""When to stop: the score on a left-out data set has not risen for some epochs."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class EarlyStopping:
    """What is known of the scores so far; a new one with every score seen.

    Attributes:
        patience: epochs without a better score after which to stop.
        best: highest score so far, None before the first.
        best_epoch: the epoch that reached it first.
        epoch: the last epoch seen.
    """

    patience: int
    best: float | None = None
    best_epoch: int = 0
    epoch: int = 0

    def seen(self, epoch: int, score: float) -> EarlyStopping:
        """Take in the score of an epoch; an equal score does not count as better."""
        if self.best is None or score > self.best:
            return replace(self, best=score, best_epoch=epoch, epoch=epoch)
        return replace(self, epoch=epoch)

    @property
    def improved(self) -> bool:
        """The last epoch seen is the best."""
        return self.best is not None and self.epoch == self.best_epoch

    @property
    def exhausted(self) -> bool:
        """Time to stop."""
        return self.best is not None and self.epoch - self.best_epoch >= self.patience
