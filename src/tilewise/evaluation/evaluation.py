"""The noun of this stage: every score of a run, and its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import TypeAdapter, ValidationError

from tilewise.errors import ArtifactError
from tilewise.evaluation.calibration_results import AbstentionPoint, CalibrationScores, SetScores
from tilewise.evaluation.interval import Estimate
from tilewise.evaluation.net_benefit import NetBenefit
from tilewise.evaluation.results import FoldMean, Scores, SlideLoss
from tilewise.evaluation.subgroups import Subgroup
from tilewise.metrics import PrimaryMetric
from tilewise.store import read_json, write_json
from tilewise.wording import count

if TYPE_CHECKING:
    import pandas as pd

_SCHEMA = "tilewise.evaluation"
_VERSION = 1


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Scores of a run; `macro_f1` and its like are those of `out_of_fold`.

    Attributes:
        classes: in the order of the confusion matrices.
        out_of_fold: all test parts together, each slide predicted by the fold that did not know it.
        folds: the test part of each fold.
        fold_mean: metric -> mean and spread over folds. It is another figure than `out_of_fold`, and its spread is no
            standard error: folds share most of their slides.
        metric: the one that choices are made by.
        highest_losses: slides of the test parts and the hold-out with the highest log loss, that first.
        holdout: slides that no fold saw, scored by the classifier that is deployed; None where there are none.
        calibration: how far probabilities can be taken at their word, `out_of_fold` and on the `holdout`.
        sets: coverage and size of prediction sets, likewise.
        abstention: scores out of fold where the least confident slides get no answer, from none to most of them.
        net_benefit: of acting on one of two classes, `out_of_fold` and on the `holdout`, by calibrated
            probabilities; empty where there are more classes.
        original_labels: out of fold on the labels that the cohort's table has, where decisions changed labels; slides
            of classes that were done away with are left out. None where no label was changed.
        by_group: out of fold with one prediction for each group, a patient say: the mean of its slides' probabilities.
            Groups of several labels are left out; None where these are more than one in ten, or no group has several
            slides.
        subgroups: out of fold, of the slides that share a value of a further column of the cohort's table.
    """

    classes: tuple[str, ...]
    out_of_fold: Scores
    folds: tuple[Scores, ...]
    fold_mean: Mapping[str, FoldMean]
    metric: PrimaryMetric = "macro_f1"
    highest_losses: tuple[SlideLoss, ...] = ()
    holdout: Scores | None = None
    calibration: Mapping[str, CalibrationScores] = field(default_factory=dict)
    sets: Mapping[str, SetScores] = field(default_factory=dict)
    abstention: tuple[AbstentionPoint, ...] = ()
    net_benefit: Mapping[str, NetBenefit] = field(default_factory=dict)
    original_labels: Scores | None = None
    by_group: Scores | None = None
    subgroups: tuple[Subgroup, ...] = ()

    def __repr__(self) -> str:
        scores = self.out_of_fold
        commonest = scores.baselines.commonest.estimate(self.metric)
        return (
            f"<Evaluation of {count(scores.num_slides, 'slide')} in {count(len(self.folds), 'fold')}: {self.metric} "
            f"{self.primary}; always the commonest class {format(float(commonest), '.2f')}>"
        )

    @property
    def primary(self) -> Estimate:
        """The metric that choices are made by, out of fold."""
        return self.out_of_fold.estimate(self.metric)

    @property
    def macro_f1(self) -> Estimate:
        """Mean F1 over classes, out of fold."""
        return self.out_of_fold.macro_f1

    @property
    def weighted_f1(self) -> Estimate:
        """Mean F1, each class weighted by its share of the slides, out of fold."""
        return self.out_of_fold.weighted_f1

    @property
    def balanced_accuracy(self) -> Estimate:
        """Mean recall over classes, out of fold."""
        return self.out_of_fold.balanced_accuracy

    @property
    def accuracy(self) -> Estimate:
        """Share of slides that are predicted right, out of fold."""
        return self.out_of_fold.accuracy

    @property
    def auroc_macro(self) -> Estimate:
        """Mean one-against-all AUROC over classes, out of fold."""
        return self.out_of_fold.auroc_macro

    def to_frame(self) -> pd.DataFrame:
        """All scores with their intervals, and what guessing scores, in one table.

        Columns: slides (`out_of_fold`, `holdout`, `fold_0`...), class (None for all of them), metric, value, low, high,
        commonest and random (the score of guessing so, of the metrics over all classes).
        """
        import pandas as pd

        holdout = {} if self.holdout is None else {"holdout": self.holdout}
        folds = {f"fold_{number}": scores for number, scores in enumerate(self.folds)}
        columns = ["slides", "class", "metric", "value", "low", "high", "commonest", "random"]
        rows = [
            {"slides": slides, **row}
            for slides, scores in {"out_of_fold": self.out_of_fold, **holdout, **folds}.items()
            for row in scores.rows()
        ]
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[3:], "float64"))

    def to_json(self) -> dict[str, Any]:
        """What `evaluation.json` holds; `baselines`, `per_class` and `confusion` out of fold also stand at the top."""
        data: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        holdout = data.pop("holdout")
        if not self.net_benefit:
            del data["net_benefit"]
        data |= {key: data["out_of_fold"][key] for key in ("baselines", "per_class", "confusion")}
        return data if holdout is None else data | {"holdout": holdout}

    def write(self, path: Path) -> None:
        """Write `evaluation.json` (atomic; the same scores give the same bytes)."""
        write_json(path, self.to_json(), schema=_SCHEMA, version=_VERSION)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `evaluation.json`.

        Raises:
            ArtifactError: it is missing, damaged, or of another schema.
        """
        data = read_json(path, schema=_SCHEMA, version=_VERSION)
        try:
            evaluation: Self = _ADAPTER.validate_python(data)
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"]))
            raise ArtifactError(
                f"{path} is not a whole evaluation ({where}: {fault['msg']}); run `tilewise evaluate`"
            ) from error
        return evaluation


_ADAPTER: TypeAdapter[Any] = TypeAdapter(Evaluation)
