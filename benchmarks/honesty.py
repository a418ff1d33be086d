"""How often intervals hold what they say they hold, and how often the permutation test accuses noise.

    python benchmarks/honesty.py recipe [COHORTS]     intervals of a cross-validation: what the recipe reaches
    python benchmarks/honesty.py others [COHORTS]     the same in other settings, by which the method was chosen
    python benchmarks/honesty.py repeats [COHORTS]    the same where folds are cut several times (`folds.repeats`)
    python benchmarks/honesty.py models [COHORTS]     intervals of a fixed classifier, beside the percentile bootstrap
    python benchmarks/honesty.py classes [COHORTS]    intervals of the AUROC of single classes, of few groups too
    python benchmarks/honesty.py noise [COHORTS]      permutation test where features say nothing of labels

Default 1000 cohorts a row. Cohorts of `recipe` and `noise` are drawn from Gaussian features: four classes of the sizes
205, 220, 189 and 77 of 691, groups of 1, 2, 3 or 6 slides that share most labels and part of their features; those of
`others` have other classes, groups, features and strengths. Folds, head and scores are the product's: five folds with
a validation part, LDA fitted again to train and validation. What the recipe reaches is the mean score of the folds'
models on new slides, over all cohorts of that size. The classifier that is deployed, the mean of these models, is
measured beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.permutation import permutation_p_value
from tilewise.evaluation.resample import draw_weights, statistics
from tilewise.evaluation.sample import Sample
from tilewise.evaluation.scores import score
from tilewise.evaluation.training_share import training_share
from tilewise.folds import FoldItem, FoldsConfig, make_folds
from tilewise.training.fitted_heads.lda import fit_lda
from tilewise.training.fitted_heads.linear import Linear

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

METRICS = ("macro_f1", "auroc_macro", "balanced_accuracy", "accuracy")
COUNTS = np.array([205, 220, 189, 77])
SHARES = COUNTS / COUNTS.sum()
NUM_SLIDES = (30, 60, 160, 691)
CONFIG = EvaluationConfig(num_resamples=200)
_NUM_REACHED = 120  # cohorts that tell what a recipe reaches


@dataclass(frozen=True)
class Setting:
    """What cohorts are drawn from.

    Attributes:
        name: of the setting.
        strength: root mean square distance of the classes' means from their centre, in standard deviations.
        shares: of the classes.
        num_features: of a slide.
        group_sizes: slides of a group, each as probable.
        group_variance: of the features, that slides of a group share.
        same_label: share of the slides that have the label of their group.
        seed: of the cohorts.
    """

    name: str
    strength: float
    shares: tuple[float, ...] = tuple(SHARES)
    num_features: int = 32
    group_sizes: tuple[int, ...] = (1,) * 75 + (2,) * 15 + (3,) * 6 + (6,) * 4
    group_variance: float = 0.3
    same_label: float = 0.9
    seed: int = 0

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple("abcdefgh"[: len(self.shares)])

    def means(self) -> Floats:
        """Means of the classes around 0: float64 (C, D)."""
        means_CD = np.random.default_rng(self.seed).normal(size=(len(self.shares), self.num_features))
        means_CD -= means_CD.mean(0)
        scaled_CD: Floats = self.strength * means_CD / np.sqrt(np.square(means_CD).sum(1).mean())
        return scaled_CD


WEAK, STRONG, NOISE = Setting("weak", 1.5), Setting("strong", 2.5), Setting("noise", 0.0)
OTHERS = (
    (40, Setting("two classes", 0.6, (0.65, 0.35), 12, (1,), seed=11)),
    (45, Setting("three equal classes", 2.0, (1 / 3,) * 3, 64, (1, 1, 1, 2), seed=13)),
    (100, Setting("three equal classes", 2.0, (1 / 3,) * 3, 64, (1, 1, 1, 2), seed=14)),
    (80, Setting("six classes", 2.2, (0.3, 0.2, 0.2, 0.1, 0.1, 0.1), 20, (1, 1, 2), 0.3, 0.8, 15)),
)


@dataclass(frozen=True, eq=False)
class Design:
    """Labels, groups and folds of a cohort; `validation_FN` is True where a slide is in the validation part.

    `repeats` are further cuts of the same slides.
    """

    setting: Setting
    truth_N: Integers
    group_N: Integers
    fold_N: Integers
    validation_FN: npt.NDArray[np.bool_]
    repeats: tuple[Design, ...] = ()

    @classmethod
    def draw(cls, setting: Setting, num_slides: int, rng: np.random.Generator, num_repeats: int = 1) -> Design:
        """A cohort in which every class has slides of two groups, so that it can be learnt and tested."""
        shares, num_classes = setting.shares, len(setting.shares)
        while True:
            group_N = np.repeat(np.arange(num_slides), rng.choice(setting.group_sizes, num_slides))[:num_slides]
            own_N = rng.choice(num_classes, num_slides, p=shares)
            of_group_N = rng.choice(num_classes, num_slides, p=shares)[group_N]
            truth_N = np.where(rng.random(num_slides) < setting.same_label, of_group_N, own_N)
            if all(len(np.unique(group_N[truth_N == index])) > 1 for index in range(num_classes)):
                break
        items = [FoldItem(f"{i:04d}", setting.classes[truth_N[i]], f"{group_N[i]:04d}") for i in range(num_slides)]
        config = FoldsConfig(repeats=num_repeats)
        folds = make_folds(items, config, seed=int(rng.integers(1 << 31))).folds
        cuts = []
        for start in range(0, len(folds), config.num_folds):
            fold_N, validation_FN = np.zeros(num_slides, np.int64), np.zeros((config.num_folds, num_slides), bool)
            for number, fold in enumerate(folds[start : start + config.num_folds]):
                fold_N[[int(name) for name in fold.test]] = number
                validation_FN[number, [int(name) for name in fold.validation]] = True
            cuts.append(cls(setting, truth_N, group_N, fold_N, validation_FN))
        return replace(cuts[0], repeats=tuple(cuts[1:]))

    def features(self, rng: np.random.Generator) -> Floats:
        """Features of the slides: float64 (N, D)."""
        means_CD, shared = self.setting.means(), self.setting.group_variance
        of_group_ND = rng.normal(size=(self.group_N.max() + 1, means_CD.shape[1]))[self.group_N]
        own_ND = rng.normal(size=of_group_ND.shape)
        noise_ND = np.sqrt(shared) * of_group_ND + np.sqrt(1.0 - shared) * own_ND
        features_ND: Floats = means_CD[self.truth_N] + noise_ND
        return features_ND

    def sample(self, probabilities_NC: Floats, chosen_N: npt.NDArray[Any] | None = None) -> Sample:
        """Predictions of the slides, or of the chosen ones."""
        rows = np.arange(self.truth_N.size) if chosen_N is None else np.flatnonzero(chosen_N)
        group_N = np.unique(self.group_N[rows], return_inverse=True)[1]
        names = tuple(f"{row:04d}" for row in rows)
        predicted_N = probabilities_NC.argmax(1)
        return Sample(
            names, self.setting.classes, self.truth_N[rows], predicted_N, probabilities_NC, self.fold_N[rows], group_N
        )


@cache
def designs(setting: Setting, num_slides: int, num_designs: int, num_repeats: int = 1) -> tuple[Design, ...]:
    """Designs that cohorts of this size share."""
    rng = np.random.default_rng([num_slides, 1, setting.seed])
    return tuple(Design.draw(setting, num_slides, rng, num_repeats) for _ in range(num_designs))


def fit(features_ND: Floats, truth_N: Integers, num_classes: int) -> Linear:
    """The product's LDA with equal priors, for features as they are."""
    mean_D, scale_D = features_ND.mean(0), features_ND.std(0)
    present, labels_N = np.unique(truth_N, return_inverse=True)
    priors_C = np.full(present.size, 1.0 / present.size)
    linear = fit_lda((features_ND - mean_D) / scale_D, labels_N, priors_C).linear.with_absent(present, num_classes)
    coefficients_CD = linear.coefficients_CD / scale_D
    return Linear(coefficients_CD, linear.intercepts_C - coefficients_CD @ mean_D)


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """What a run has: its test parts together, its validation parts, and the models of its folds."""

    sample: Sample
    validation: list[Sample]
    models: list[Linear]

    @classmethod
    def of(cls, design: Design, features_ND: Floats) -> CrossValidation:
        """As `tilewise train` with the default head: validation is predicted before it is learnt from."""
        num_classes = len(design.setting.shares)
        probabilities_NC = np.empty((design.truth_N.size, num_classes))
        validation, models = [], []
        for number, stops_N in enumerate(design.validation_FN):
            tested_N = design.fold_N == number
            model = fit(features_ND[~tested_N], design.truth_N[~tested_N], num_classes)
            probabilities_NC[tested_N] = model.probabilities(features_ND[tested_N])
            models.append(model)
            if stops_N.any():
                learnt_N = ~tested_N & ~stops_N
                first = fit(features_ND[learnt_N], design.truth_N[learnt_N], num_classes)
                part = design.sample(first.probabilities(features_ND[stops_N]), stops_N)
                validation.append(replace(part, fold_N=np.full(part.num_slides, number)))
        return cls(design.sample(probabilities_NC), validation, models)

    @classmethod
    def repeated(cls, design: Design, features_ND: Floats) -> CrossValidation:
        """The same of every cut of the folds, as one run."""
        runs = [cls.of(one, features_ND) for one in (design, *design.repeats)]
        if len(runs) == 1:
            return runs[0]
        samples, first = [run.sample for run in runs], runs[0].sample
        of_rows = {
            name: np.concatenate([getattr(sample, name) for sample in samples])
            for name in ("truth_N", "predicted_N", "probabilities_NC", "group_N")
        }
        num_folds = len(design.validation_FN)
        fold_N = np.concatenate([one.fold_N + num_folds * number for number, one in enumerate(samples)])
        repeat_N = np.repeat(np.arange(len(runs)), first.num_slides)
        sample = Sample(first.slides * len(runs), design.setting.classes, fold_N=fold_N, repeat_N=repeat_N, **of_rows)
        return cls(sample, [], [model for run in runs for model in run.models])


@dataclass(frozen=True, eq=False)
class Coverage:
    """Of cohorts of one size and strength; columns are `METRICS`.

    Attributes:
        reached: score of the recipe on new slides, and of the classifier that is deployed, (2, M).
        estimates: mean of the cross-validated scores, (M,).
        covered: share of the cohorts whose interval holds the recipe's score, that of the deployed classifier, and
            whose interval about the models at hand holds the recipe's, (3, M).
        width: mean width of the intervals, (M,).
    """

    reached: Floats
    estimates: Floats
    covered: Floats
    width: Floats


def recipe_coverage(
    setting: Setting, num_slides: int, num_cohorts: int, *, num_designs: int = 60, num_repeats: int = 1
) -> Coverage:
    """Intervals of many cross-validations beside what they are about."""
    rng = np.random.default_rng([num_slides, int(10 * setting.strength), setting.seed])
    estimates, shares, reached = [], [], []
    for number in range(num_cohorts):
        design = designs(setting, num_slides, num_designs, num_repeats)[number % num_designs]
        run = CrossValidation.repeated(design, design.features(rng))
        share = training_share(run.sample, run.validation)
        scores = score(run.sample, CONFIG, seed=(number,), share=share)
        estimates.append([tuple(scores.estimate(name)) for name in METRICS])
        shares.append([scores.interval.training_share[name] for name in METRICS])
        if number < _NUM_REACHED:
            reached.append(_reached(setting, run.models, rng))
    value_RM, low_RM, high_RM = np.moveaxis(np.array(estimates, np.float64), 2, 0)
    recipe_M, deployed_M = np.mean(reached, 0)

    def covered(target_M: Floats, narrowing_RM: Floats | float = 1.0) -> Floats:
        low, high = (_narrowed(value_RM, end_RM, narrowing_RM) for end_RM in (low_RM, high_RM))
        share_M: Floats = ((low <= target_M) & (target_M <= high)).mean(0)
        return share_M

    rows = [covered(recipe_M), covered(deployed_M), covered(recipe_M, 1.0 / np.sqrt(1.0 + np.array(shares)))]
    return Coverage(np.stack([recipe_M, deployed_M]), value_RM.mean(0), np.stack(rows), (high_RM - low_RM).mean(0))


def class_auroc_coverage(
    setting: Setting, num_slides: int, num_cohorts: int, *, num_designs: int = 60
) -> tuple[float, float, float, float]:
    """Of the AUROC of single classes: what is reached, share of intervals that hold it, mean width, share above 0.8."""
    rng = np.random.default_rng([num_slides, int(10 * setting.strength), setting.seed, 2])
    estimates, reached = [], []
    for number in range(num_cohorts):
        design = designs(setting, num_slides, num_designs)[number % num_designs]
        run = CrossValidation.of(design, design.features(rng))
        scores = score(run.sample, CONFIG, seed=(number,), share=training_share(run.sample, run.validation))
        estimates.append([tuple(scores.per_class[name].auroc) for name in setting.classes])
        if number < _NUM_REACHED:
            new, features_ND = _new_slides(setting, rng)
            samples = [new.sample(model.probabilities(features_ND)) for model in run.models]
            reached.append(
                np.mean([statistics(one, np.ones((1, one.num_groups))).by_class["auroc"][0] for one in samples], 0)
            )
    value_RC, low_RC, high_RC = np.moveaxis(np.array(estimates, np.float64), 2, 0)
    target_C, defined_RC = np.mean(reached, 0), ~np.isnan(value_RC)
    covered, width = ((low_RC <= target_C) & (target_C <= high_RC))[defined_RC], (high_RC - low_RC)[defined_RC]
    return float(target_C.mean()), float(covered.mean()), float(width.mean()), float((width > 0.8).mean())


def _narrowed(value_RM: Floats, end_RM: Floats, narrowing_RM: Floats | float) -> Floats:
    """The end of an interval whose standard error is so much smaller.

    Intervals are symmetrical in the logit, where half-lengths beyond 2 grow with the logarithm.
    """
    inside = (value_RM > 0.0) & (value_RM < 1.0)
    centre, end = (
        np.log(np.clip(x, 1e-12, 1.0 - 1e-12) / (1.0 - np.clip(x, 1e-12, 1.0 - 1e-12))) for x in (value_RM, end_RM)
    )
    reach = np.abs(end - centre)
    reach = np.where(reach > 2.0, 2.0 * np.exp(reach / 2.0 - 1.0), reach) * narrowing_RM
    reach = np.where(reach > 2.0, 2.0 + 2.0 * np.log(np.maximum(reach, 2.0) / 2.0), reach)
    return np.where(inside, 1.0 / (1.0 + np.exp(-(centre + np.sign(end - centre) * reach))), end_RM)


def _reached(setting: Setting, models: list[Linear], rng: np.random.Generator) -> Floats:
    """Mean score of the models on new slides, and that of their mean: (2, M)."""
    new, features_ND = _new_slides(setting, rng)
    of_models = [model.probabilities(features_ND) for model in models]
    rows = []
    for probabilities_NC in (*of_models, np.mean(of_models, 0)):
        whole = statistics(new.sample(probabilities_NC), np.ones((1, new.truth_N.size))).whole
        rows.append([whole[name][0] for name in METRICS])
    return np.stack([np.mean(rows[:-1], 0), rows[-1]])


def _new_slides(setting: Setting, rng: np.random.Generator) -> tuple[Design, Floats]:
    """About 1,000 slides of groups of their own, and their features."""
    truth_N = np.repeat(np.arange(len(setting.shares)), np.rint(1000 * np.array(setting.shares)).astype(int))
    alone_N = np.arange(truth_N.size)
    new = Design(setting, truth_N, alone_N, np.zeros_like(truth_N), np.zeros((1, truth_N.size), bool))
    return new, new.features(rng)


def noise_p_values(
    num_slides: int, num_cohorts: int, metric: str, *, cross_validated: bool, num_designs: int = 60
) -> Floats:
    """P-values of the permutation test on cohorts without signal: float64 (R,)."""
    setting = NOISE
    rng = np.random.default_rng([num_slides, int(cross_validated)])
    values = []
    for number in range(num_cohorts):
        design = designs(setting, num_slides, num_designs)[number % num_designs]
        if cross_validated:
            sample = CrossValidation.of(design, design.features(rng)).sample
        else:
            model = fit(design.features(rng), design.truth_N, len(setting.shares))
            sample = design.sample(model.probabilities(design.features(rng)))
            sample = replace(sample, fold_N=np.zeros_like(sample.fold_N))
        values.append(permutation_p_value(sample, metric, num_permutations=200, seed=number))
    return np.array(values)


def print_recipe(num_cohorts: int, num_repeats: int = 1) -> None:
    """A row for each size, strength and metric."""
    rows = [(num_slides, setting) for num_slides in NUM_SLIDES for setting in (WEAK, STRONG)]
    print_rows(rows, num_cohorts, num_repeats)


def print_rows(rows: Sequence[tuple[int, Setting]], num_cohorts: int, num_repeats: int = 1) -> None:
    """A row for each of these and metric."""
    print("| slides | signal | metric | recipe reaches | deployed reaches | mean estimate | recipe held ", end="")
    print("| deployed held | recipe held by intervals about the models | mean width |")
    print("|" + " --- |" * 10)
    for num_slides, setting in rows:
        coverage = recipe_coverage(setting, num_slides, num_cohorts, num_repeats=num_repeats)
        for column, metric in enumerate(METRICS):
            scores = (*coverage.reached[:, column], coverage.estimates[column])
            cells = [*(f"{x:.3f}" for x in scores), *(f"{100 * x:.1f} %" for x in coverage.covered[:, column])]
            cells.append(f"{coverage.width[column]:.3f}")
            print(f"| {num_slides} | {setting.name} | {metric} | " + " | ".join(cells) + " |", flush=True)


def print_classes(num_cohorts: int) -> None:
    """A row for each size and strength, of three classes that are not equally common."""
    print("| slides | groups, about | strength | recipe reaches | held | mean width | longer than 0.8 |")
    print("|" + " --- |" * 7)
    for num_slides in (15, 22, 38, 75, 200):
        for strength in (0.9, 1.5, 2.3):
            setting = Setting("three classes", strength, (0.5, 0.3, 0.2), 16, (1, 1, 1, 2), seed=5)
            reached, covered, width, too_long = class_auroc_coverage(setting, num_slides, num_cohorts)
            cells = [f"{num_slides}", f"{round(num_slides / 1.25)}", f"{strength}", f"{reached:.3f}"]
            cells += [f"{100 * covered:.1f} %", f"{width:.3f}", f"{100 * too_long:.1f} %"]
            print("| " + " | ".join(cells) + " |", flush=True)


def print_noise(num_cohorts: int) -> None:
    """How often the test finds skill at 5 % where there is none."""
    print("| slides | predictions | " + " | ".join(METRICS[:2]) + " |")
    print("|" + " --- |" * 4)
    for num_slides in NUM_SLIDES[1:3]:
        for name, cross_validated in (("cross-validated", True), ("of a classifier from elsewhere", False)):
            values = [
                noise_p_values(num_slides, num_cohorts, metric, cross_validated=cross_validated)
                for metric in METRICS[:2]
            ]
            cells = [f"{100 * (value <= 0.05).mean():.1f} %" for value in values]
            print(f"| {num_slides} | {name} | " + " | ".join(cells) + " |", flush=True)


@dataclass(frozen=True)
class Population:
    """A classifier of given skill on a cohort of given shape; groups share a label mostly, and a shift."""

    name: str
    num_slides: int
    shares: tuple[float, ...]
    skill: float
    num_groups: int = 0

    def draw(self, rng: np.random.Generator, copies: int = 1) -> Sample:
        """One cohort, or several as one."""
        num_slides, num_classes = self.num_slides * copies, len(self.shares)
        num_groups = (self.num_groups or self.num_slides) * copies
        group = np.arange(num_slides) * num_groups // num_slides
        truth = rng.choice(num_classes, num_slides, p=self.shares)
        shift = 0.0
        if self.num_groups:
            together = rng.random(num_slides) < 0.8
            truth = np.where(together, rng.choice(num_classes, num_groups, p=self.shares)[group], truth)
            shift = rng.normal(scale=0.7, size=(num_groups, num_classes))[group]
        logits = rng.normal(size=(num_slides, num_classes)) + shift + self.skill * np.eye(num_classes)[truth]
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        names = tuple(map(str, range(num_slides)))
        classes = tuple(map(str, range(num_classes)))
        fold = np.zeros(num_slides, np.int64)
        return Sample(names, classes, truth, probabilities.argmax(1), probabilities, fold, group)


POPULATIONS = (
    Population("15 slides, 3 classes, good", 15, (1 / 3,) * 3, 2.0),
    Population("45 slides, 3 classes, good", 45, (1 / 3,) * 3, 2.0),
    Population("45 slides, 3 classes, near perfect", 45, (1 / 3,) * 3, 5.0),
    Population("32 slides, 4 uneven classes, weak", 32, tuple(SHARES), 0.6),
    Population("160 slides, 4 uneven classes, weak", 160, tuple(SHARES), 0.6),
    Population("691 slides, 4 uneven classes, weak", 691, tuple(SHARES), 0.6),
    Population("48 slides of 4 groups, 3 classes, good", 48, (1 / 3,) * 3, 2.0, 4),
    Population("48 slides of 8 groups, 3 classes, good", 48, (1 / 3,) * 3, 2.0, 8),
    Population("200 slides of 40 groups, 4 uneven classes, weak", 200, tuple(SHARES), 0.6, 40),
)


def models_coverage(population: Population, repetitions: int) -> dict[str, list[float]]:
    """Per method and metric: coverage and mean width, in turns."""
    rng = np.random.default_rng(0)
    crowd = population.draw(rng, copies=max(1, 100_000 // population.num_slides))
    truth = {name: value[0] for name, value in statistics(crowd, np.ones((1, crowd.num_groups))).whole.items()}
    covered = {method: np.zeros((repetitions, len(METRICS))) for method in ("tilewise", "percentile")}
    width = {method: np.zeros((repetitions, len(METRICS))) for method in covered}
    for repetition in range(repetitions):
        sample = population.draw(rng)
        scores = score(sample, CONFIG, seed=(repetition,))
        resampled = statistics(sample, draw_weights(sample.num_groups, CONFIG.num_resamples, rng)).whole
        for column, name in enumerate(METRICS):
            ours = (scores.estimate(name).low, scores.estimate(name).high)
            ends = {"tilewise": ours, "percentile": np.nanquantile(resampled[name], [0.025, 0.975])}
            for method, (low, high) in ends.items():
                covered[method][repetition, column] = low <= truth[name] <= high
                width[method][repetition, column] = high - low
    return {
        method: np.stack([covered[method].mean(0), width[method].mean(0)], 1).ravel().tolist() for method in covered
    }


def print_models(num_cohorts: int) -> None:
    """A row for each population and kind of interval: coverage, and mean width in brackets."""
    print("| setting | interval | " + " | ".join(METRICS) + " |")
    print("|" + " --- |" * (2 + len(METRICS)))
    for population in POPULATIONS:
        for method, row in models_coverage(population, num_cohorts).items():
            cells = [f"{100 * row[at]:.1f} % ({row[at + 1]:.3f})" for at in range(0, len(row), 2)]
            print(f"| {population.name} | {method} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    prints = {
        "recipe": print_recipe,
        "others": partial(print_rows, OTHERS),
        "repeats": partial(print_recipe, num_repeats=3),
        "classes": print_classes,
        "models": print_models,
        "noise": print_noise,
    }
    prints[sys.argv[1]](int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
