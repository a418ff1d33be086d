"""What tells the label without a look at the tissue, and what else than the label features tell."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tilewise.auditing.cohort import AuditedCohort, AuditedSlide
from tilewise.evaluation.compare import holm
from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.interval import Estimate
from tilewise.evaluation.sample import Sample
from tilewise.evaluation.scores import score
from tilewise.shortcuts.predict import predict_from
from tilewise.shortcuts.traits import Trait, slide_traits
from tilewise.store import read_json, write_json
from tilewise.wording import count

_SCHEMA, _VERSION = "tilewise.shortcuts", 1
_LEVEL = 0.05
_NUM_PERMUTATIONS = 1999
_FEWEST = 5

Integers = npt.NDArray[np.int64]

# What a measure holds of the tissue, so that it may tell the label for a good reason.
_OF_TISSUE = {
    "mask outline": "the outline of a region follows the tissue's own shape, and its area how much of it there is",
    "colour of the glass": "of a slide that tissue fills to its edges it is the colour of the palest tissue",
    "file size": "a compressed file is the larger, the more tissue and the finer detail the slide shows",
}


# What tells whether the score is due to it.
_TESTS = {
    "ink": "train again with `--set audit.ink=drop`, which leaves slides with ink on the tissue out",
    "mask outline": "train again with `--set tiles.strategy=grid`, which cuts tiles from all tissue, the mask aside",
    "slide size": "cut fields of one size from all slides and train again",
    "file size": "save all slides anew in one format and quality, and train again",
    "colour of the glass": "ask whether scanner or laboratory go with the class, and train again with "
    "`--set stain.method=macenko`, which evens out the stain",
}


@dataclass(frozen=True)
class _Target:
    """What is to be predicted: classes of slides in groups 0 .. G - 1."""

    slides: tuple[str, ...]
    classes: tuple[str, ...]
    truth_S: Integers
    groups_S: Integers

    @classmethod
    def of(cls, slides: Sequence[AuditedSlide], names: Sequence[str]) -> Self:
        classes, truth_S = np.unique(np.array(names), return_inverse=True)
        groups_S = np.unique([item.group for item in slides], return_inverse=True)[1]
        return cls(tuple(item.slide_id for item in slides), tuple(classes.tolist()), truth_S, groups_S)

    def score(
        self, name: str, predicted_S: Integers, config: EvaluationConfig, *, seed: int, p_value: float | None = None
    ) -> TraitScore:
        sample = Sample(
            slides=self.slides,
            classes=self.classes,
            truth_N=self.truth_S,
            predicted_N=predicted_S,
            probabilities_NC=np.eye(len(self.classes))[predicted_S],
            fold_N=np.zeros(len(self.slides), np.int64),
            group_N=self.groups_S,
        )
        scores = score(sample, config, seed=(seed, 32))
        guess = scores.baselines.random.macro_f1
        return TraitScore(name, scores.macro_f1, guess.low or 0.0, guess.high or 1.0, p_value)


@dataclass(frozen=True)
class TraitScore:
    """How well something is predicted that should not be.

    Attributes:
        name: of the trait that the label is predicted from, or of the column that features predict.
        macro_f1: out of fold over grouped folds, with its interval.
        guess_low: macro F1 that 97.5 % of random guessers exceed on the same slides.
        guess_high: and that 2.5 % exceed.
        p_value: of the label's shufflings, corrected by Holm for the number of traits; None for what features predict.
        true_probability: of the true class, mean over classes: what the p-value is of; None in runs of former versions.
        shuffled_probability: the same of shuffled labels, their mean.
        is_least: the p-value is the least that so many shufflings can give.
    """

    name: str
    macro_f1: Estimate
    guess_low: float
    guess_high: float
    p_value: float | None = None
    true_probability: float | None = None
    shuffled_probability: float | None = None
    is_least: bool = False

    @property
    def p_words(self) -> str:
        """The p-value as it is written: `p 0.013`, or `p at most 0.002` where no shuffling did as well."""
        return "" if self.p_value is None else f"p {'at most ' if self.is_least else ''}{self.p_value:.3f}"

    @property
    def test(self) -> str:
        """What tells whether a run's score is due to the trait: a command or a decision."""
        if self.name in _TESTS:
            return _TESTS[self.name]
        column = self.name.removeprefix("column ").strip("`")
        return (
            f"train again with `--set folds.kind=leave_one_out --set {shlex.quote(f'folds.column={column}')}`, which "
            "tests slides of values that were not learnt from, if there are few values and each has several classes; "
            "else only other slides can tell"
        )

    @property
    def meaning(self) -> str:
        """What it may mean that the trait tells the label."""
        if of_tissue := _OF_TISSUE.get(self.name):
            return f"That may be the tissue: {of_tissue}. If it is not, part of the run's score is due to it"
        return "Part of the run's score may be due to it"

    @property
    def is_told(self) -> bool:
        """Whether that is more than chance: by p-value, or else by the interval and the range of guessers."""
        if self.p_value is not None:
            return self.p_value <= _LEVEL
        return self.macro_f1.low is not None and self.macro_f1.low > self.guess_high


@dataclass(frozen=True)
class Shortcuts:
    """What a classifier of this cohort might lean on instead of the tissue.

    Attributes:
        traits: what the label was predicted from, one after the other.
        columns: what mean features predict, of the table's columns.
        num_slides: that were looked at.
    """

    traits: tuple[TraitScore, ...]
    columns: tuple[TraitScore, ...]
    num_slides: int

    def warnings(self) -> tuple[str, ...]:
        """A sentence for each trait that tells the label."""
        told_columns = {one.name for one in self.columns if one.is_told}
        return tuple(_warning(one, told_columns) for one in self.findings)

    @property
    def findings(self) -> tuple[TraitScore, ...]:
        """The traits that tell the label."""
        return tuple(one for one in self.traits if one.is_told)

    def write(self, path: Path) -> None:
        """Write the file."""
        write_json(path, asdict(self), schema=_SCHEMA, version=_VERSION)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        data = read_json(path, schema=_SCHEMA, version=_VERSION)
        return cls(_scores(data["traits"]), _scores(data["columns"]), int(data["num_slides"]))


def find_shortcuts(
    cohort: AuditedCohort,
    slide_ids: Sequence[str],
    config: EvaluationConfig,
    *,
    vectors: Mapping[str, npt.NDArray[np.float32]] | None = None,
    seed: int,
) -> Shortcuts:
    """Predict labels from everything but tissue, and the table's columns from features.

    Each trait is given to a linear discriminant in grouped folds of its own; see `predict_from`. Such tests of what a
    classifier could use instead of the subject follow Geirhos et al. (Shortcut learning in deep neural networks, 2020).

    Args:
        cohort: whose audit measured the slides.
        slide_ids: labelled slides of it that a run scores.
        config: of scores and intervals.
        vectors: slide -> mean of its tiles' features; None where a network was trained on pixels.
        seed: of folds, shufflings and resamples.
    """
    chosen = set(slide_ids)
    slides = [item for item in cohort.slides if item.slide_id in chosen]
    label = _Target.of(slides, [str(item.slide.label) for item in slides])
    traits = slide_traits(cohort, slides)
    predictions = [
        predict_from(trait.columns_SK, label.truth_S, label.groups_S, num_permutations=_NUM_PERMUTATIONS, seed=seed)
        for trait in traits
    ]
    p_values = holm({trait.name: one.p_value for trait, one in zip(traits, predictions, strict=True)})
    rows = tuple(
        replace(
            label.score(trait.name, one.predicted_S, config, seed=seed, p_value=p_values[trait.name]),
            true_probability=one.true_probability,
            shuffled_probability=one.shuffled_probability,
            is_least=one.is_least,
        )
        for trait, one in zip(traits, predictions, strict=True)
    )
    columns = () if vectors is None else _columns_told(traits, slides, vectors, config, seed)
    return Shortcuts(rows, tuple(columns), len(slides))


def _columns_told(
    traits: Sequence[Trait],
    slides: Sequence[AuditedSlide],
    vectors: Mapping[str, npt.NDArray[np.float32]],
    config: EvaluationConfig,
    seed: int,
) -> Iterator[TraitScore]:
    """Columns of few values, as far as each value has enough slides, from the slides' mean features."""
    from tilewise.training.fitted_heads.inner_folds import inner_folds  # not for those who read results alone

    for trait in traits:
        if trait.levels_S is None:
            continue
        num_of = Counter(trait.levels_S)
        own = [(item, name) for item, name in zip(slides, trait.levels_S, strict=True) if num_of[name] >= _FEWEST]
        if len({name for _, name in own}) < 2:
            continue
        column = _Target.of([item for item, _ in own], [name for _, name in own])
        vectors_SD = np.stack([vectors[name] for name in column.slides]).astype(np.float64)
        predicted_S = np.full(len(own), -1)
        for train, test in inner_folds(column.truth_S, [str(group) for group in column.groups_S], seed=seed):
            predicted_S[test] = _lda(vectors_SD[train], column.truth_S[train], vectors_SD[test])
        if (predicted_S >= 0).all():  # a value that only one group has cannot be told from that group
            yield column.score(trait.name, predicted_S, config, seed=seed)


def _lda(train_SD: npt.NDArray[np.float64], levels_S: Integers, test_SD: npt.NDArray[np.float64]) -> Integers:
    from tilewise.training.fitted_heads.lda import fit_lda

    present, codes_S = np.unique(levels_S, return_inverse=True)
    spread_D = train_SD.std(axis=0)
    varies_D = spread_D > 1e-9
    mean_D, spread_D = train_SD.mean(axis=0)[varies_D], spread_D[varies_D]
    fit = fit_lda((train_SD[:, varies_D] - mean_D) / spread_D, codes_S, np.full(len(present), 1.0 / len(present)))
    levels: Integers = present[fit.linear.logits((test_SD[:, varies_D] - mean_D) / spread_D).argmax(axis=1)]
    return levels


def _warning(trait: TraitScore, told_columns: set[str]) -> str:
    of_tissue = _OF_TISSUE.get(trait.name)
    start = "The label can be told" if of_tissue else "The label can be told without a look at the tissue,"
    also = " The features tell it, too." if trait.name in told_columns else ""
    figures = f"macro F1 {trait.macro_f1}, where random guessing scores {trait.guess_low:.2f} to {trait.guess_high:.2f}"
    if trait.macro_f1.low is None or trait.macro_f1.low <= trait.guess_high:
        value = trait.macro_f1.value
        is_above = value is not None and value > trait.guess_high
        words = "lie above guessing, but their interval reaches into it" if is_above else "alone do not settle it"
        figures = f"{_tested(trait)}. The predicted classes {words} ({figures})"
    return f"{start} from the {trait.name} alone: {figures}.{also} {trait.meaning}. To test it, {trait.test}."


def _tested(trait: TraitScore) -> str:
    """The statistic that the p-value is of, in words."""
    if trait.true_probability is None or trait.shuffled_probability is None:
        return f"the true class is more probable than with shuffled labels ({trait.p_words})"
    return (
        f"it gives the true class a probability of {trait.true_probability:.3f}, and shuffled labels one of "
        f"{trait.shuffled_probability:.3f} ({trait.p_words})"
    )


def _scores(rows: Sequence[Mapping[str, Any]]) -> tuple[TraitScore, ...]:
    return tuple(TraitScore(**{**row, "macro_f1": Estimate(**row["macro_f1"])}) for row in rows)


def describe_shortcuts(shortcuts: Shortcuts) -> str:
    """What the section of a report begins with."""
    telling = [one.name for one in shortcuts.traits if one.is_told]
    if not shortcuts.traits:
        return "Slides do not differ in ink, mask, size, file, glass or any column of the table."
    if not telling:
        return f"None of {count(len(shortcuts.traits), 'thing')} besides the tissue tells the label better than chance."
    names = " and ".join(filter(None, (", ".join(telling[:-1]), telling[-1])))
    return f"Besides the tissue, {names} {'tells' if len(telling) == 1 else 'tell'} the label."
