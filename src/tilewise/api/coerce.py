"""What callers give to public verbs: types are checked, and what has more than one form is brought into one."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import re
from collections.abc import Callable, Mapping
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from tilewise.compute import num_processors
from tilewise.errors import ArgumentError, UsageError
from tilewise.execution import ExecutorName, chosen_executor, preload_workers
from tilewise.recipe import Recipe, load_recipe
from tilewise.run_folder import RunFolder
from tilewise.store import check_out_place, check_outside_runs

if TYPE_CHECKING:
    from tilewise.auditing.cohort import AuditedCohort
    from tilewise.auditing.config import AuditConfig
    from tilewise.cohort import Cohort, LabelTables
    from tilewise.cohort.slide import Purpose
    from tilewise.pipeline.finished_run import Run
    from tilewise.pipeline.imported_features import ImportedFeatures
    from tilewise.pipeline.shared_stages import Resources, SharedStages

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_PATH = ((str, os.PathLike), "a path")
_NUMBER = ((Integral,), "a whole number")
#: Parameters that mean the same in every verb: the types of each, in words, and the least of numbers.
_EXPECTED: dict[str, tuple[tuple[type, ...], str, int | None]] = {
    **dict.fromkeys(("out", "decisions", "preview"), (*_PATH, None)),
    "seed": (*_NUMBER, 0),
    "workers": (*_NUMBER, 1),
    "top": (*_NUMBER, 1),
    "offline": ((bool,), "True or False", None),
}

_log = logging.getLogger(__name__)


def checked(verb: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Refuse arguments of another type than the verb takes, before any work."""
    signature = inspect.signature(verb)

    @functools.wraps(verb)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            if name in _EXPECTED and not (value is None and signature.parameters[name].default is None):
                _check(f"{verb.__name__}: {name}={value!r}", value, *_EXPECTED[name])
        return verb(*args, **kwargs)

    return call


def to_cohort(cohort: Cohort | Path | str, *purposes: Purpose) -> Cohort:
    """A cohort, discovered as the first of the purposes that it serves: with labels (`train`), or slides alone."""
    from tilewise.auditing.cohort import AuditedCohort
    from tilewise.cohort import Cohort
    from tilewise.cohort.cohort import discover_any

    if isinstance(cohort, Cohort):
        return cohort
    if isinstance(cohort, AuditedCohort):
        raise ArgumentError("cohort: expected the cohort itself, not its audit; that is `audit.origin.cohort`")
    return discover_any(_expect_path(cohort, "cohort", "a Cohort, or the path of a folder or table"), purposes)


def files_of(*cohorts: Cohort) -> list[Path]:
    """The first and the last slide of each, which a node of a cluster that sees the cohort sees."""
    return [slide.path for cohort in cohorts for slide in dict.fromkeys((*cohort.slides[:1], *cohort.slides[-1:]))]


def to_stages(
    cohort: AuditedCohort | Cohort | Path | str,
    *purposes: Purpose,
    audit: AuditConfig | None = None,
    decisions: Path | str | None = None,
    seed: int = 0,
    resources: Resources,
) -> SharedStages:
    """What runs of a cohort share, with its audit where that was made already.

    Args:
        cohort: an audit, or see `to_cohort`.
        purposes: likewise.
        audit: the section of the recipe that an audit must have been made with; None leaves that open.
        decisions: a decisions.csv that a person edited; an audit has its own.
        seed: of everything random.
        resources: how stages are run here.
    """
    from tilewise.auditing.audit_cohort import require_current
    from tilewise.auditing.cohort import AuditedCohort
    from tilewise.pipeline.shared_stages import SharedStages

    if not isinstance(cohort, AuditedCohort):
        return SharedStages(to_cohort(cohort, *purposes), seed, resources, to_path(decisions))
    if decisions is not None:
        raise ArgumentError("decisions: an audit was made with its own; give them to `audit`, or give the cohort here")
    origin = require_current(cohort)
    for name, value in origin.config if audit is not None else ():
        if value != getattr(audit, name):
            raise ArgumentError(
                f"the audit was made with audit.{name}={value}, the recipe has {getattr(audit, name)}; make it by this "
                "recipe: tilewise.audit(cohort, recipe)"
            )
    shared = SharedStages(origin.cohort, seed, resources, origin.decisions)
    shared.add_audit(cohort, origin.config)
    return shared


def to_seconds(text: float | str, name: str) -> float:
    """Seconds of a number, or of `90s`, `20m` or `1.5h`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(text).strip())
    if match is None:
        raise ArgumentError(f"{name}={text!r}: give seconds, or a time such as 90s, 20m or 1.5h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def to_features(source: object, labels: LabelTables | Path | str | None) -> ImportedFeatures | None:
    """Features to train on, where `source` is a folder of them: labels are given, or it is no cohort of slides."""
    from tilewise.cohort import LabelTables
    from tilewise.interchange.folder import is_feature_folder
    from tilewise.pipeline.imported_features import ImportedFeatures

    if labels is not None and not isinstance(labels, LabelTables):
        labels = LabelTables(_expect_path(labels, "labels", "LabelTables, or the path of a table"))
    if not isinstance(source, str | os.PathLike):
        if labels is not None:
            raise ArgumentError("labels: they go with the path of a folder of features; a cohort has its own")
        return None
    if labels is None and not is_feature_folder(Path(source)):
        return None
    return ImportedFeatures.read(Path(source), labels, purpose="train")


def start_workers(workers: int | None, executor: ExecutorName | None) -> None:
    """Let what a training needs be imported for its worker processes while this process imports it."""
    if workers != 1 and num_processors() > 1 and chosen_executor(executor) == "local":
        preload_workers("tilewise.pipeline.train")


def require_local(executor: ExecutorName | None) -> None:
    """What is estimated is timed on this machine.

    Raises:
        UsageError: the work would run on a cluster.
    """
    if chosen_executor(executor) == "ray":
        raise UsageError("work is estimated on this machine, and no cluster is known; choose the executor `local`")


def feature_stages(
    features: ImportedFeatures, seed: int, resources: Resources, decisions: Path | str | None
) -> SharedStages:
    """Stages of runs that start from features, which nobody audits."""
    from tilewise.pipeline.feature_stages import FeatureStages

    if decisions is not None:
        raise ArgumentError("decisions: features have no pixels and are not audited; correct their table of labels")
    return FeatureStages(features.cohort, seed, resources, features=features)


def to_folder(run: Run | RunFolder | Path | str) -> RunFolder:
    """The folder of a run."""
    from tilewise.pipeline.finished_run import Run

    if isinstance(run, Run | RunFolder):
        return run.folder if isinstance(run, Run) else run
    return RunFolder(_expect_path(run, "run", "a Run, or the path of its folder"))


def to_recipe(recipe: Recipe | Mapping[str, Any] | Path | str) -> Recipe:
    """A recipe, loaded by name or path, or from its keys."""
    return recipe if isinstance(recipe, Recipe) else load_recipe(recipe)


def trainable(recipe: Recipe, *, offline: bool) -> Recipe:
    """The recipe, or what stands in for it where weights are not on this machine and must not be fetched."""
    from tilewise.pipeline.offline import offline_recipe

    if not offline:
        return recipe
    recipe, notes = offline_recipe(recipe)
    for note in notes:
        _log.warning("%s", note)  # before the long work
    return recipe


def to_path(path: Path | str | None) -> Path | None:
    """A path, where one is given."""
    return None if path is None else Path(path)


def _check(argument: str, value: Any, types: tuple[type, ...], expected: str, least: int | None) -> None:
    is_right = isinstance(value, types)
    if least is not None:  # True is no number here
        is_right = is_right and not isinstance(value, bool) and value >= least
        expected = f"{expected} from {least}"
    if not is_right:
        raise ArgumentError(f"{argument}: expected {expected}")


def _expect_path(value: object, name: str, expected: str) -> Path:
    if not isinstance(value, str | os.PathLike):
        raise ArgumentError(f"{name}: expected {expected}, not {_name_type(value)}")
    return Path(value)


def _name_type(value: object) -> str:
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def check_run_place(out: Path, *cohorts: Cohort) -> None:
    """Refuse a folder for results that would lie in a cohort, in another run, or hold other things."""
    from tilewise.cohort.inputs import inputs_of

    check_out_place(out, contents="run", inputs=inputs_of(*cohorts))
    check_outside_runs(out)
