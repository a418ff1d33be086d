"""Several recipes, each trained once or with several seeds, compared pair by pair."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from tilewise.evaluation.compare import MARGIN, holm, paired_difference
from tilewise.evaluation.difference import MetricDifference, PairedDifference
from tilewise.evaluation.permutation import permutation_p_value
from tilewise.evaluation.resample import METRICS, statistics
from tilewise.evaluation.sample import Sample
from tilewise.metrics import METRIC_NAMES, PrimaryMetric
from tilewise.wording import count

NEVER_ALONE = (
    "A score on corrected labels never stands alone: relabelling slides that a model gets confidently wrong raises it, "
    "even if every new label is wrong."
)


@dataclass(frozen=True)
class ComparedRecipe:
    """One recipe of a comparison.

    Attributes:
        name: of the recipe, or of its run where there is one of it.
        runs: names of its runs, one for each seed.
        scores: metric -> score of each run on the slides that are compared; None where it is not defined.
        guessing_p_value: that predictions which know nothing of the labels score as well as the worst of the runs
            (`permutation.py`); None where the metric is not defined.
    """

    name: str
    runs: tuple[str, ...]
    scores: Mapping[str, tuple[float | None, ...]]
    guessing_p_value: float | None


@dataclass(frozen=True)
class RecipePair:
    """Two recipes of a comparison.

    Attributes:
        a: name of the first.
        b: name of the second.
        paired: how much better the first scores.
        adjusted: metric -> p-value, adjusted for the number of pairs (Holm 1979).
    """

    a: str
    b: str
    paired: PairedDifference
    adjusted: Mapping[str, float | None]

    def is_clear(self, metric: str) -> bool:
        """Whether the two are told apart."""
        p_value = self.adjusted[metric]
        return p_value is not None and p_value < 1.0 - self.paired.level

    def sentence(self, metric: str) -> str:
        """What the pair comes to, in plain words."""
        one, name = self.paired.metrics[metric], METRIC_NAMES[metric]
        value, low, high = one.difference
        if value is None or low is None or high is None:
            return f"{self.a} and {self.b} cannot be compared: {name} is not defined on these slides."
        slides = count(self.paired.num_slides, "slide")
        figures = f"{_signed(value)} {name}, {_signed(low)} to {_signed(high)}"
        if self.is_clear(metric):
            better, worse = (self.a, self.b) if value > 0 else (self.b, self.a)
            figures = figures if value > 0 else f"{_signed(-value)} {name}, {_signed(-high)} to {_signed(-low)}"
            return f"{better} is better than {worse} ({figures}; {slides}, p = {_p(self.adjusted[metric])})."
        if one.spread is not None and one.spread.variance == 0.0:
            return f"{self.a} and {self.b} cannot be told apart: they score alike on each of {slides}."
        if one.p_value is not None and one.p_value < 1.0 - self.paired.level:
            figures += ", of several pairs"
        return f"{self.a} and {self.b} cannot be told apart with {slides} ({figures}); {_needed(one)}."

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        data = self.paired.to_json()
        for name, row in data["metrics"].items():
            row["p_value_holm"] = self.adjusted[name]
        return {"a": self.a, "b": self.b, **data}


@dataclass(frozen=True)
class ComparisonOptions:
    """How recipes are compared.

    Attributes:
        metric: that they are judged by; all are compared.
        level: of the intervals.
        margin: the least difference that matters.
        num_permutations: of the test against guessing.
    """

    metric: PrimaryMetric
    level: float = 0.95
    margin: float = MARGIN
    num_permutations: int = 2000


@dataclass(frozen=True)
class Comparison:
    """Recipes and all their pairs.

    Attributes:
        recipes: in the order they were named.
        pairs: every two of them.
        metric: that they are judged by.
        notes: what limits the comparison, a sentence each.
        corrected: the same on labels that decisions corrected, where they did; this one is on the table's own then.
        relabelled: slides whose label is another one than in the table; of `corrected` alone.
    """

    recipes: tuple[ComparedRecipe, ...]
    pairs: tuple[RecipePair, ...]
    metric: PrimaryMetric
    notes: tuple[str, ...] = ()
    corrected: Comparison | None = None
    relabelled: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Comparison of {count(len(self.recipes), 'recipe')}: {self.sentences()[0]}>"

    def sentences(self) -> list[str]:
        """What the comparison says, the answer first."""
        return [*self.answers(), *self.notes]

    def answers(self) -> list[str]:
        """A sentence for each pair, and where decisions changed labels another one for the corrected labels."""
        own = [pair.sentence(self.metric) for pair in self.pairs]
        if self.corrected is None:
            return own
        changed = f"{count(len(self.corrected.relabelled), 'slide')} relabelled"
        return [
            *(f"On the table's own labels, {sentence}" for sentence in own),
            *(f"On the corrected labels ({changed}), {sentence}" for sentence in self.corrected.answers()),
            NEVER_ALONE,
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "sentences": self.sentences(),
            "metric": self.metric,
            "recipes": [asdict(recipe) for recipe in self.recipes],
            "pairs": [pair.to_json() for pair in self.pairs],
            "notes": list(self.notes),
            "relabelled": list(self.relabelled),
            "corrected": None if self.corrected is None else self.corrected.to_json(),
        }


def compare_recipes(
    samples: Mapping[str, Mapping[str, Sample]],
    options: ComparisonOptions,
    *,
    notes: tuple[str, ...] = (),
    same_slides: bool = True,
) -> Comparison:
    """Compare every two recipes.

    Args:
        samples: recipe -> run -> its predictions, all of the same slides.
        options: how.
        notes: on how the runs were made.
        same_slides: whether no run has slides beyond these.
    """
    recipes = tuple(_recipe(name, runs, options) for name, runs in samples.items())
    names = list(combinations(samples, 2))
    paired = [
        paired_difference(
            list(samples[a].values()), list(samples[b].values()), level=options.level, margin=options.margin
        )
        for a, b in names
    ]
    adjusted: list[dict[str, float | None]] = [dict.fromkeys(METRICS) for _ in paired]
    for name in METRICS:
        p_values = {index: one.metrics[name].p_value for index, one in enumerate(paired)}
        for index, value in holm({key: value for key, value in p_values.items() if value is not None}).items():
            adjusted[index][name] = value
    pairs = tuple(RecipePair(a, b, one, more) for (a, b), one, more in zip(names, paired, adjusted, strict=True))
    return Comparison(
        recipes, pairs, options.metric, (*notes, *_notes(recipes, pairs, options, same_slides=same_slides))
    )


def _recipe(name: str, runs: Mapping[str, Sample], options: ComparisonOptions) -> ComparedRecipe:
    p_values = [
        permutation_p_value(sample, options.metric, num_permutations=options.num_permutations, seed=0)
        for sample in runs.values()
    ]
    worst = None if np.isnan(p_values).any() else max(p_values)
    return ComparedRecipe(name, tuple(runs), _scores(runs), worst)


def _scores(runs: Mapping[str, Sample]) -> dict[str, tuple[float | None, ...]]:
    whole = [statistics(sample, np.ones((1, sample.num_groups))).whole for sample in runs.values()]
    return {name: tuple(None if np.isnan(one[name][0]) else float(one[name][0]) for one in whole) for name in METRICS}


def _notes(
    recipes: Sequence[ComparedRecipe], pairs: Sequence[RecipePair], options: ComparisonOptions, *, same_slides: bool
) -> Iterator[str]:
    metric = options.metric
    for recipe in recipes:
        if recipe.guessing_p_value is not None and recipe.guessing_p_value >= 1.0 - options.level:
            yield f"{recipe.name} is not told from guessing (p = {recipe.guessing_p_value:.2f})."
    spreads = [spread for pair in pairs if (spread := pair.paired.metrics[metric].spread) is not None]
    shares = [spread.training_share for spread in spreads]
    unknown = [share for share in shares if share is None]
    largest = max((share for share in shares if share is not None), default=0.0)
    if unknown:
        yield (
            "How much another seed would change cannot be told from one run of one fold each, and is not in the "
            "interval: train each recipe with a second `--seed` and name all runs."
        )
    elif any(min(pair.paired.num_runs) == 1 for pair in pairs):
        yield (
            "With one run of a recipe, chance of training is told from its folds alone: train with further `--seed`s "
            f"and name all runs, and smaller differences can be told{_of_training(largest)}."
        )
    if not all(pair.paired.same_folds for pair in pairs):
        step = (
            "the same seed gives the same folds, and a sharper comparison."
            if same_slides
            else "the runs do not have the same slides, and other slides are cut into other folds whatever the seed."
        )
        yield (
            "The recipes were not trained on the same folds, so they are paired slide by slide and not fold by fold: "
            f"{step}"
        )
    if len(pairs) > 1:
        yield f"{len(pairs)} pairs: p-values are adjusted for their number (Holm), intervals are not."


def _of_training(share: float) -> str:
    return f", as {share:.0%} of the variance is the training's" if share >= 0.1 else ""


def _needed(one: MetricDifference) -> str:
    margin = f"{one.margin:g}"
    power, needed, detectable = one.power(one.margin), one.slides_needed(one.margin), one.detectable
    if power is None or needed is None or detectable is None:
        return f"nothing says how many slides would tell a difference of {margin}"
    if power >= 0.8:
        return f"a difference of {margin} would have been told with a power of {power:.0%}"
    return (
        f"about {_rounded(needed)} would be needed to tell a difference of {margin}, and these tell one of "
        f"{detectable:.2f} (power 80 %)"
    )


def _rounded(number: int) -> int:
    """Two digits say how well it is known."""
    digits = max(0, len(str(number)) - 2)
    return int(math.ceil(number / 10**digits) * 10**digits)


def _p(value: float | None) -> str:
    return "not defined" if value is None else "below 0.001" if value < 0.001 else f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")
