"""Finished runs in, a comparison of their recipes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import pandas as pd

from tilewise.auditing.table import TableFacts
from tilewise.errors import UsageError
from tilewise.evaluation.comparison import Comparison, ComparisonOptions, compare_recipes
from tilewise.evaluation.sample import Sample
from tilewise.inference.predictions import Predictions
from tilewise.metrics import PrimaryMetric
from tilewise.pipeline.sources import run_names
from tilewise.recipe import parse_recipe
from tilewise.run_folder import RunFolder
from tilewise.store import digest_config
from tilewise.wording import count


@dataclass(frozen=True)
class _ComparedRun:
    """One run.

    Attributes:
        name: as short as tells it from the others.
        recipe: name of its recipe.
        digest: of all that its recipe says, and of the decisions of its audit.
        seed: it was trained with.
        metric: that its recipe chooses by.
        level: of its intervals.
        num_permutations: of the test against guessing.
        classes: in the order of the probabilities.
        tests: its out-of-fold predictions of slides with labels.
        relabelled: slide -> its label in the table, of slides whose label decisions changed.
    """

    name: str
    recipe: str
    digest: str
    seed: int
    metric: PrimaryMetric
    level: float
    num_permutations: int
    classes: tuple[str, ...]
    tests: pd.DataFrame
    relabelled: Mapping[str, str]

    def corrections(self, slides: frozenset[str]) -> dict[str, str]:
        """Slide -> its corrected label, of some slides."""
        labels = dict(zip(self.tests["slide"], self.tests["label"], strict=True))
        return {name: labels[name] for name in sorted(slides & self.relabelled.keys())}

    def with_known_labels(self, slides: frozenset[str]) -> frozenset[str]:
        """Of some slides those whose label in the table is still a class: decisions can do away with one."""
        labels = dict(zip(self.tests["slide"], self.tests["label"], strict=True))
        return frozenset(name for name in slides if self.relabelled.get(name, labels[name]) in self.classes)


def compare_runs(folders: Sequence[RunFolder], *, margin: float, metric: PrimaryMetric | None = None) -> Comparison:
    """Compare the recipes of runs by their out-of-fold predictions of the same slides.

    Runs of one recipe with different seeds are repeats of it, and so are the repeats of a run's folds. Where all runs
    are of one recipe, each stands for itself. Where decisions changed labels, runs are compared on the table's own
    labels, and on the corrected ones beside it.

    Args:
        folders: of two or more finished runs.
        margin: the least difference that matters.
        metric: that recipes are judged by; None takes that of the first run's recipe.

    Raises:
        UsageError: there are fewer than two runs, one is not finished or named twice, or they share no slide, or slides
            have other labels or groups in some of them.
        ArtifactError: a file of a run is missing or damaged.
    """
    if len(folders) < 2:
        raise UsageError("there is one run, so nothing to compare it with; name two or more")
    runs = [_read(folder, name) for folder, name in zip(folders, run_names(folders), strict=True)]
    _check_runs(runs)
    repeats: dict[str, list[_ComparedRun]] = {}
    for run in runs:
        repeats.setdefault(run.digest, []).append(run)
    notes = []
    if len(repeats) == 1:
        notes.append(
            f"All {len(runs)} runs are of one recipe, {runs[0].recipe}, and are compared one by one: what differs "
            "between them is chance, of seeds and of folds."
        )
        repeats = {run.name: [run] for run in runs}
    common = reduce(frozenset.intersection, (frozenset(run.tests["slide"]) for run in runs))
    if not common:
        raise UsageError("the runs have no test slide in common; train both on the same cohort")
    left_out = len(frozenset[str]().union(*(run.tests["slide"] for run in runs)) - common)
    if left_out:
        notes.append(f"{count(left_out, 'slide')} that not every run has tested had no part in the comparison.")
    named = dict(zip(_recipe_names(list(repeats.values())), repeats.values(), strict=True))
    options = ComparisonOptions(metric or runs[0].metric, runs[0].level, margin, runs[0].num_permutations)
    known = runs[0].with_known_labels(common)
    if len(known) < len(common):
        notes.append(
            f"{count(len(common) - len(known), 'slide')} whose label in the cohort's table is no class of the runs "
            "had no part in the comparison on the table's own labels."
        )
    samples = {name: _samples(group, known) for name, group in named.items()}
    corrections, disputed = _corrections(runs, common)
    if disputed:
        notes.append(
            f"Decisions of the runs give {count(len(disputed), 'slide')} different new labels ({disputed[0]} is the "
            "first), so that there is no comparison on corrected labels."
        )
    comparison = compare_recipes(samples, options, notes=(*notes, *_fold_notes(samples)), same_slides=not left_out)
    if disputed or not corrections:
        return comparison
    samples = {name: _samples(group, common, corrections) for name, group in named.items()}
    corrected = replace(compare_recipes(samples, options), notes=(), relabelled=tuple(sorted(corrections)))
    return replace(comparison, corrected=corrected)


def _corrections(runs: Sequence[_ComparedRun], slides: frozenset[str]) -> tuple[dict[str, str], list[str]]:
    """Slide -> its corrected label in any of the runs, and slides that runs correct differently."""
    corrections: dict[str, str] = {}
    disputed = []
    for run in runs:
        for name, label in run.corrections(slides).items():
            if corrections.setdefault(name, label) != label:
                disputed.append(name)
    return corrections, sorted(set(disputed))


def _read(folder: RunFolder, name: str) -> _ComparedRun:
    identity = folder.require_finished()
    predictions = Predictions.read(folder.predictions)
    table = predictions.table
    tests = table[(table["part"] == "test") & table["label"].notna()]
    recipe = parse_recipe(identity["recipe"], str(folder.identity))
    combined = identity.get("ensemble")  # its recipe is that of the first of the runs
    return _ComparedRun(
        name=name,
        recipe=recipe.name if combined is None else str(combined["method"]),
        digest=digest_config([recipe.choices_digest, combined, identity["decisions"]]),
        seed=int(identity["seed"]),
        metric=recipe.evaluation.metric,
        level=recipe.evaluation.level,
        num_permutations=recipe.evaluation.num_resamples,
        classes=predictions.classes,
        tests=tests,
        relabelled=TableFacts.read(folder.slides).relabelled,
    )


def _check_runs(runs: Sequence[_ComparedRun]) -> None:
    for run in runs:
        if run.classes != runs[0].classes:
            raise UsageError(
                f"runs {runs[0].name} and {run.name} tell other classes apart ({', '.join(runs[0].classes)}; "
                f"{', '.join(run.classes)}); train both on the same cohort"
            )
    twice = [key for key, num in Counter((run.digest, run.seed) for run in runs).items() if num > 1]
    if twice:
        same = [run.name for run in runs if (run.digest, run.seed) == twice[0]]
        raise UsageError(
            f"runs {' and '.join(same)} are of the same recipe and seed, so that they differ in nothing; train one of "
            "them with another --seed"
        )


def _recipe_names(groups: Sequence[Sequence[_ComparedRun]]) -> list[str]:
    """The run's name where there is one, else the recipe's, and the first run's where recipes are called alike."""
    names = Counter(group[0].recipe for group in groups)
    return [group[0].name if len(group) == 1 or names[group[0].recipe] > 1 else group[0].recipe for group in groups]


def _samples(
    runs: Iterable[_ComparedRun], slides: frozenset[str], labels: Mapping[str, str] | None = None
) -> dict[str, Sample]:
    """Predictions of some slides, run by run, and repeat by repeat of one whose folds were cut several times.

    Args:
        runs: of one recipe.
        slides: that are compared.
        labels: other labels of some slides than the runs have; None takes those of the cohort's table.
    """
    samples = {}
    for run in runs:
        rows = run.tests[run.tests["slide"].isin(slides)]
        own = rows["slide"].map(run.relabelled if labels is None else labels)
        repeats = Sample.of(rows.assign(label=own.fillna(rows["label"])), run.classes).repeats
        for number, repeat in enumerate(repeats, start=1):
            samples[run.name if len(repeats) == 1 else f"{run.name}, repeat {number}"] = repeat
    return samples


def _fold_notes(samples: Mapping[str, Mapping[str, Sample]]) -> list[str]:
    """Recipes that learn from other shares of the slides are not compared as equals."""
    num_folds = {name: {len(set(one.fold_N.tolist())) for one in runs.values()} for name, runs in samples.items()}
    if len({number for numbers in num_folds.values() for number in numbers}) == 1:
        return []
    listed = ", ".join(f"{name}: {'/'.join(map(str, sorted(numbers)))}" for name, numbers in num_folds.items())
    return [f"The runs have different numbers of folds ({listed}): more folds leave more slides to learn from."]
