"""Architecture search over what is dynamic: which layers are generated, at what rank, adapted for how many steps."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medmeta.errors import CancelledError, MedMetaError, ModelError
from medmeta.models.episodic import EpisodicModel
from medmeta.progress import Progress, silent
from medmeta.training.outer import seed_of

if TYPE_CHECKING:
    import optuna

Config = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """One of several JSON values, for example lists of layer names."""

    options: tuple[Any, ...]


@dataclass(frozen=True)
class Range:
    """A number in ``[low, high]``, whole where both ends are; ``log`` searches its logarithm."""

    low: float
    high: float
    log: bool = False


Space = Mapping[str, Choice | Range]


@dataclass(frozen=True)
class Trial:
    """One configuration and its score, None where it failed for ``reason``."""

    number: int
    config: Config
    score: float | None
    reason: str = ""


@dataclass(frozen=True)
class SearchResult:
    """All trials in order, and the configuration with the highest score, the earliest of equals."""

    trials: tuple[Trial, ...]
    best: Config


def search(
    build: Callable[[Config], EpisodicModel],
    evaluate: Callable[[EpisodicModel], float],
    space: Space,
    *,
    trials: int,
    seed: int = 0,
    storage: Path | None = None,
    progress: Progress = silent,
) -> SearchResult:
    """Search with the tree-structured Parzen estimator of ``optuna`` (Bergstra et al. 2011; Akiba et al. 2019,
    arXiv:1907.10902).

    Each trial's sampler is seeded with ``seed`` and the number of trials before it, so the same seed and scores give
    the same trials, also where a search goes on from ``storage``.

    Args:
        build: makes a model of a configuration; a refusal (a `MedMetaError`) fails that trial alone.
        evaluate: score of a model, higher is better; it may train it first.
        space: what is searched, by name of the configuration's entry.
        trials: how many in all, those in ``storage`` included.
        seed: of the search.
        storage: journal file; a search that was stopped goes on from it. It serves one search at a time.
        progress: told after every trial.

    Raises:
        ModelError: ``optuna`` is not installed, ``storage`` holds a search of another space, or no trial had a score.
        CancelledError: ``progress`` asked to stop; finished trials stay in ``storage``.
    """
    optuna = _optuna()
    with _quiet(optuna):
        journal = None if storage is None else _journal(optuna, storage)
        name = f"medmeta {seed} {_written(space)}"
        if storage is not None and name not in (optuna.get_all_study_names(journal) or [name]):
            raise ModelError(f"{storage.name} holds a search of another space or seed; name another file")
        study = optuna.create_study(
            study_name=name, direction="maximize", storage=journal, load_if_exists=True
        )
        for trial in study.get_trials():  # cut off by a kill: left "running", it would sway the sampler
            if not trial.state.is_finished():
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        for number in range(len(_finished(study)), trials):
            study.sampler = optuna.samplers.TPESampler(seed=seed_of(seed, number) % 2**32)
            trial = study.ask()
            config = {name: _suggest(trial, name, values) for name, values in space.items()}
            try:
                score = float(evaluate(build(config)))
                reason = "" if math.isfinite(score) else f"its score was {score}"
            except CancelledError:
                raise
            except MedMetaError as error:
                score, reason = math.nan, str(error)
            trial.set_user_attr("config", config)
            trial.set_user_attr("reason", reason)
            if reason:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, score)
            progress((number + 1) / trials, f"Tried {number + 1} of {trials} configurations")
        return _result(study)


def _result(study: optuna.Study) -> SearchResult:
    rows = tuple(
        Trial(number, trial.user_attrs["config"], trial.value, trial.user_attrs["reason"])
        for number, trial in enumerate(_finished(study))
    )
    scored = [(row.score, -row.number, row.config) for row in rows if row.score is not None]
    if not scored:
        why = rows[0].reason if rows else "none was asked for"
        raise ModelError(f"no configuration could be scored: {why}")
    return SearchResult(rows, max(scored, key=lambda row: row[:2])[2])


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    # A trial that was cut off has neither score nor reason, and does not count.
    return [t for t in study.get_trials() if t.value is not None or t.user_attrs.get("reason")]


def _suggest(trial: optuna.Trial, name: str, values: Choice | Range) -> Any:
    if isinstance(values, Choice):  # optuna knows no lists: their JSON stands for them
        return json.loads(str(trial.suggest_categorical(name, [json.dumps(o) for o in values.options])))
    if isinstance(values.low, int) and isinstance(values.high, int):
        return trial.suggest_int(name, values.low, values.high, log=values.log)
    return trial.suggest_float(name, values.low, values.high, log=values.log)


def _written(space: Space) -> str:
    return ", ".join(f"{name}: {values}" for name, values in sorted(space.items()))


def _journal(optuna: Any, path: Path) -> Any:
    from optuna.storages.journal import JournalFileBackend

    path.parent.mkdir(parents=True, exist_ok=True)
    return optuna.storages.JournalStorage(JournalFileBackend(str(path)))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ModelError(
            'architecture search needs the package optuna; install it with: pip install "medmeta[search]"'
        ) from error
    return optuna


@contextlib.contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Trials are told through ``progress``; optuna's own lines on standard error are held back meanwhile."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
