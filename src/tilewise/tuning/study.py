"""Trials in Optuna's journal: the one file that knows Optuna.

The sampler of a trial is made for it alone, from the seed and the trial's number, so that its values follow from the
trials before it and from nothing that a killed process had in memory. A trial is its process's for as long as the lock
of its folder is held; a trial whose lock is free but which is not finished belonged to a process that died, and is made
again by whoever comes next.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import filelock
import numpy as np

from tilewise.errors import UsageError
from tilewise.folds import derived_seed
from tilewise.store import room_in
from tilewise.tuning.space import Parameter, Settings, Space
from tilewise.tuning.trial import State, Trial, best_trial

if TYPE_CHECKING:
    import optuna

_log = logging.getLogger(__name__)

JOURNAL = "trials.log"
_NAME = "tilewise"
_NUMBER, _SETTINGS, _SECONDS, _ERROR = "number", "settings", "seconds", "error"
# One-sided, of three folds: a trial that is worse on each of them has p = 1/8.
_P_PRUNED, _FEWEST_FOLDS = 0.13, 3
_FEWEST_TRIALS = 10  # before importances say anything
_LARGEST_SEED = 2**32


def import_optuna() -> Any:
    """Optuna.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise UsageError("tuning needs Optuna, which is not installed here; pip install 'tilewise[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


class Study:
    """The trials of a search, in a journal that several processes may write.

    Args:
        out: folder of the search; trials are made in `trials/` below it.
        space: what is searched.
        seed: of the values that are drawn.

    Raises:
        UsageError: Optuna is not installed.
    """

    def __init__(self, out: Path, space: Space, *, seed: int) -> None:
        self._optuna, self._out, self.space, self._seed = import_optuna(), out, space, seed
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

        path = str(out / JOURNAL)
        with self.locked("claim"), self._quiet():
            lock = JournalFileOpenLock(path)
            _cut_torn_line(out / JOURNAL, lock)
            storage = self._optuna.storages.JournalStorage(JournalFileBackend(path, lock))
            pruner = self._optuna.pruners.WilcoxonPruner(p_threshold=_P_PRUNED, n_startup_steps=_FEWEST_FOLDS)
            self._study: optuna.Study = self._optuna.create_study(
                storage=storage, study_name=_NAME, direction="maximize", load_if_exists=True, pruner=pruner
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the same journal."""
        return partial(Study, seed=self._seed), (self._out, self.space)

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold what one process of a search does at a time; others wait."""
        lock = filelock.FileLock(self._out / f".{name}.lock")
        try:
            lock.acquire()
        except OSError as error:  # some network file systems know no locks
            _log.warning("%s cannot be locked (%s); let no other tilewise write there", self._out, error)
        try:
            with room_in(self._out):
                yield
        finally:
            lock.release()

    def folder(self, number: int) -> Path:
        """Of a trial."""
        return self._out / "trials" / f"{number:04d}"

    def claim(self, num_trials: int) -> OpenTrial | Literal["wait", "done"]:
        """The first trial that nobody has made or is making, with its values.

        Returns:
            A trial; or `wait` where others are still making the last ones, `done` where all are made.
        """
        with self.locked("claim"), self._quiet():
            running = self._running()
            taken = {trial.number for trial in self.trials()} | running
            number = next((number for number in range(num_trials) if number not in taken), None)
            if number is None:
                return "wait" if running & set(range(num_trials)) else "done"
            lock = self._lock(number)
            with contextlib.suppress(OSError):  # no locks here; whoever searches was warned
                lock.acquire(blocking=False)
            seed = derived_seed(self._seed, number) % _LARGEST_SEED
            self._study.sampler = self._optuna.samplers.TPESampler(
                seed=seed, multivariate=True, group=True, constant_liar=True
            )
            trial = self._study.ask()
            trial.set_user_attr(_NUMBER, number)
            settings = self.space.root.draw(_Suggested(trial))
            trial.set_user_attr(_SETTINGS, settings)
            return OpenTrial(self, self._study, trial, number, settings, lock)

    def trials(self) -> tuple[Trial, ...]:
        """All that are made, by number."""
        known = {one.name: one for one in self.space.parameters}
        trials = []
        for trial in self._study.get_trials(deepcopy=False):
            ended = _STATES.get(trial.state.name)
            if ended is None:
                continue
            of, error = trial.user_attrs, trial.user_attrs.get(_ERROR)
            parameters = {name: _value(known.get(name), value) for name, value in trial.params.items()}
            by_fold = {int(fold): float(value) for fold, value in sorted(trial.intermediate_values.items())}
            state: State = "failed" if error else ended
            value = trial.value if state == "finished" else None
            one = Trial(of[_NUMBER], state, value, by_fold, parameters, of[_SETTINGS], of.get(_SECONDS), error)
            trials.append(one)
        return tuple(sorted(trials, key=lambda trial: trial.number))

    def importances(self) -> dict[str, float]:
        """Share of the variation of values that each parameter explains, of those that every trial has (fANOVA).

        Hutter et al., An efficient approach for assessing hyperparameter importance, 2014. Nothing where fewer than ten
        trials are finished, or all came to the same.
        """
        values = [trial.value for trial in self.trials() if trial.value is not None]
        if len(values) < _FEWEST_TRIALS or len(set(values)) < 2:
            return {}
        evaluator = self._optuna.importance.FanovaImportanceEvaluator(seed=self._seed % _LARGEST_SEED)
        with self._quiet():
            importances = self._optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        return {name: float(value) for name, value in importances.items()}

    def remove_models(self) -> None:
        """Remove the models of all trials that are made, but those of the best one."""
        with self.locked("claim"):
            trials = self.trials()
            best = best_trial(trials)
            for trial in trials:
                if trial is not best:
                    shutil.rmtree(self.folder(trial.number), ignore_errors=True)

    def _running(self) -> set[int]:
        """Numbers of trials that a process is making; those of processes that died are given up."""
        numbers = set()
        state = self._optuna.trial.TrialState
        for trial in self._study.get_trials(deepcopy=False, states=(state.RUNNING,)):
            number = trial.user_attrs.get(_NUMBER)
            if number is not None and self._is_locked(number):
                numbers.add(number)
            else:
                self._study.tell(trial.number, state=state.FAIL, skip_if_finished=True)
        return numbers

    def _lock(self, number: int) -> filelock.BaseFileLock:
        folder = self.folder(number)
        folder.mkdir(parents=True, exist_ok=True)
        return filelock.FileLock(folder / ".lock")

    def _is_locked(self, number: int) -> bool:
        lock = self._lock(number)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            return True
        except OSError:
            return False
        lock.release()
        return False

    @contextlib.contextmanager
    def _quiet(self) -> Iterator[None]:
        """Without Optuna's warnings about what it calls experimental."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            yield


class OpenTrial:
    """A trial that this process is making; one of its ends has to be called.

    Attributes:
        number: from 0.
        settings: recipe key -> value.
        folder: for its models.
    """

    def __init__(
        self, study: Study, own: optuna.Study, trial: optuna.Trial, number: int, settings: Settings, lock: Any
    ) -> None:
        self.number, self.settings, self.folder = number, settings, study.folder(number)
        self._study, self._trial, self._lock, self._values = own, trial, lock, list[float]()

    def report(self, fold: int, value: float) -> bool:
        """Note a fold's value; whether the folds so far are so far behind those of the best that it is pruned."""
        self._values.append(value)
        with room_in(self.folder):
            self._trial.report(value, fold)
        return bool(self._trial.should_prune())

    def finish(self, seconds: float) -> None:
        """All folds are made; its value is their mean."""
        self._end("COMPLETE", seconds, value=float(np.mean(self._values)))

    def prune(self, seconds: float) -> None:
        """The other folds are not made."""
        self._end("PRUNED", seconds)

    def fail(self, error: str, seconds: float) -> None:
        """It has no score, and is not tried again."""
        with room_in(self.folder):
            self._trial.set_user_attr(_ERROR, error)
        self._end("PRUNED", seconds)  # Optuna's FAIL would let it try the like again

    def stop(self) -> None:
        """It is made another time."""
        self._end("FAIL", None)

    def _end(self, state: str, seconds: float | None, value: float | None = None) -> None:
        from optuna.trial import TrialState

        with room_in(self.folder):
            self._trial.set_user_attr(_SECONDS, seconds)
            self._study.tell(self._trial, value, state=TrialState[state])
        self._lock.release()


class _Suggested:
    """Draws by Optuna."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def number(self, parameter: Parameter) -> float:
        values: Any = parameter.values
        if parameter.is_whole:
            drawn = self._trial.suggest_int(
                parameter.name, values.low, values.high, log=values.log, step=values.step or 1
            )
            return int(drawn)
        return float(
            self._trial.suggest_float(parameter.name, values.low, values.high, log=values.log, step=values.step)
        )

    def choice(self, name: str, labels: Sequence[str]) -> int:
        return labels.index(self._trial.suggest_categorical(name, labels))


_STATES: dict[str, State] = {"COMPLETE": "finished", "PRUNED": "pruned"}


def _value(parameter: Parameter | None, value: Any) -> Any:
    """A choice of the recipe's kind, where Optuna has its label."""
    if parameter is None or parameter.values.choices is None:
        return value
    return parameter.values.choices[parameter.labels.index(value)]


def _cut_torn_line(path: Path, lock: Any) -> None:
    """Take away the end of a journal whose writer was killed in the middle of a line."""
    if not path.is_file():
        return
    lock.acquire()
    try:
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with path.open("r+b") as stream:
                stream.truncate(whole)
    finally:
        lock.release()
