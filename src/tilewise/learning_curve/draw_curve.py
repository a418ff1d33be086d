"""A run trained again with fewer slides, several times each."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewise.errors import UsageError
from tilewise.evaluation.resample import draw_weights, statistics
from tilewise.evaluation.sample import Sample
from tilewise.execution import task
from tilewise.folds import Fold, Folds
from tilewise.inference.predictions import Predictions
from tilewise.learning_curve.extrapolate import Extrapolation, extrapolate
from tilewise.learning_curve.subsample import num_learnt, with_fewer
from tilewise.metrics import METRIC_NAMES
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.pipeline.train import train
from tilewise.recipe import load_recipe
from tilewise.reporting.learning_curve import SCHEMA, VERSION, write_curve_page
from tilewise.reporting.text import number, signed
from tilewise.run_folder import RunFolder
from tilewise.store import write_json

_log = logging.getLogger(__name__)

_FILE = "curve.json"
_BEYOND = (1.0, 1.5, 2.0, 4.0)
_RESAMPLES = 63  # stream of random numbers

SHARES = (0.25, 0.4, 0.6, 0.8)
NUM_DRAWS = 3


@dataclass(frozen=True)
class CurvePoint:
    """One training: slides it learnt from in each fold, and its score on the run's own test slides."""

    num_slides: float
    score: float


@dataclass(frozen=True)
class LearningCurve:
    """The score of a run's recipe against the number of slides.

    Attributes:
        out: its folder.
        metric: that is drawn.
        points: of all trainings, the run itself last.
        law: what the fitted law says of the numbers that were tried.
        expected: at the run's number of slides and beyond.
        num_test_slides: that every point is the score of.
        level: of confidence.
        run: name of the run.
    """

    out: Path
    metric: str
    points: tuple[CurvePoint, ...]
    law: tuple[CurvePoint, ...]
    expected: Extrapolation
    num_test_slides: int
    level: float
    run: str = ""

    @property
    def page(self) -> Path:
        """The curve to look at."""
        return self.out / "curve.html"

    @property
    def data(self) -> Path:
        """The same for programs; a copy of it is the run's `learning_curve.json`."""
        return self.out / _FILE

    def sentence(self) -> str:
        """Whether more slides would help."""
        name, (own, *_) = METRIC_NAMES[self.metric], self.expected.sizes
        twice = self.expected.sizes.index(2.0 * own)
        gain, score = self.expected.gains[twice], self.expected.scores[twice]
        promise = f"With twice the slides to learn from ({2 * own:.0f} for {own:.0f}), {name} {score} is expected"
        change, low, high = (signed(end, 2) for end in gain)
        promise += f", {change} ({low} to {high}) over the {number(self.expected.scores[0].value)} that the same line"
        promise += f" gives for {own:.0f}; the run itself scored {number(self.points[-1].score)}."
        if gain.low is not None and gain.low > 0.0:
            return f"More slides would help. {promise}"
        return f"Whether more slides would help cannot be told from these. {promise}"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "run": self.run,
            "metric": self.metric,
            "sentence": self.sentence(),
            "points": [asdict(point) for point in self.points],
            "law": [asdict(point) for point in self.law],
            "expected": asdict(self.expected),
            "num_test_slides": self.num_test_slides,
            "level": self.level,
        }


def draw_curve(
    run: RunFolder, out: Path, shared: SharedStages, *, shares: Sequence[float] = SHARES, num_draws: int = NUM_DRAWS
) -> LearningCurve:
    """Train a run's recipe with fewer slides and write `curve.json` and `curve.html`.

    The same call goes on where a stopped one ended.

    Audit, masks, tiles and features are those of the run, from the cache. Test parts stay whole and are the same for
    all points, so that points differ by the slides that were learnt from alone.

    Args:
        run: a finished run.
        out: folder of the curve, with a run for each point in `points/`.
        shared: cohort, seed and decisions of the run.
        shares: of the run's slides, each above 0 and below 1.
        num_draws: trainings at each share, with other slides.

    Raises:
        UsageError: the run is of other slides by now, or the shares leave too little.
    """
    recipe, folds = load_recipe(run.recipe), Folds.read(run.folds)
    if not shares or not all(0.0 < share < 1.0 for share in shares):
        raise UsageError("shares: give numbers above 0 and below 1, such as 0.25 and 0.5")
    jobs = [(share, draw) for share in sorted(shares) for draw in range(num_draws)]
    # A class keeps two groups in each part, so that of few groups small shares may leave the same slides.
    trainings: dict[tuple[Fold, ...], tuple[float, int, Folds]] = {}
    for share, draw in jobs:
        fewer = with_fewer(folds, share, seed=draw)
        trainings.setdefault(fewer.folds, (share, draw, fewer))
    if len(trainings) < len(jobs):
        _log.warning(
            "%d of %d trainings would learn from the slides of another, as every class keeps two groups in each part: "
            "left out; larger --share values would be trainings of their own",
            len(jobs) - len(trainings),
            len(jobs),
        )
    sizes, tables = [], []
    with task("trainings", len(trainings)) as bar:
        for share, draw, fewer in trainings.values():
            folder = RunFolder(out / "points" / f"{share:g}-{draw}")
            train(recipe, folder.root, replace(shared, folds=fewer), with_gallery=False)  # the run has it
            sizes.append(num_learnt(fewer))
            tables.append(Predictions.read(folder.predictions))
            bar.advance()
    sizes.append(num_learnt(folds))
    tables.append(Predictions.read(run.predictions))
    samples = [Sample.of(one.out_of_fold.table, one.classes) for one in tables]
    if any(one.slides != samples[-1].slides for one in samples):
        raise UsageError(f"{run.root} scores other slides than its recipe does now; train it again")
    config, metric = recipe.evaluation, recipe.evaluation.metric
    scores_RK = _scores(samples, metric, config.num_resamples, shared.seed)
    own = num_learnt(folds)
    tried_K, num_units = np.array(sizes), samples[-1].num_groups
    expected, fitted = (
        extrapolate(tried_K, scores_RK, wanted_M, num_units=num_units, level=config.level)
        for wanted_M in (own * np.array(_BEYOND), np.unique(tried_K))
    )
    law = tuple(CurvePoint(size, float(score)) for size, score in zip(fitted.sizes, fitted.scores, strict=True))
    points = tuple(CurvePoint(size, float(score)) for size, score in zip(sizes, scores_RK[0], strict=True))
    name = run.root.resolve().name
    curve = LearningCurve(out, metric, points, law, expected, samples[-1].num_slides, config.level, name)
    write_json(curve.data, curve.to_json(), schema=SCHEMA, version=VERSION)
    write_curve_page(curve.page, curve.to_json())
    return curve


def _scores(samples: Sequence[Sample], metric: str, num_resamples: int, seed: int) -> npt.NDArray[np.float64]:
    """Each training's score of all test slides, and of resamples of their groups: float64 (1 + R, K)."""
    num_groups = samples[-1].num_groups
    weights_RG = draw_weights(num_groups, num_resamples, np.random.default_rng((seed, _RESAMPLES)))
    weights_RG = np.vstack([np.ones((1, num_groups), weights_RG.dtype), weights_RG])
    return np.stack([np.nan_to_num(statistics(one, weights_RG).whole[metric]) for one in samples], axis=1)
