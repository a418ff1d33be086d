"""The noun of this stage: every score of a run, and its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tilewise.errors import ArtifactError
from tilewise.evaluation.scores import Scores
from tilewise.metrics import PrimaryMetric
from tilewise.store import read_json, write_json

_SCHEMA = "tilewise.evaluation"
_VERSION = 1


@dataclass(frozen=True)
class Evaluation:
    """Scores of a run.

    Attributes:
        classes: in the order of the confusion matrices.
        out_of_fold: all test parts together, each slide predicted by the fold that did not know it.
        folds: the test part of each fold.
        fold_mean: metric -> mean, std (sample; None for one fold) and num_folds where it is defined. It is another
            figure than `out_of_fold`, and its spread is no standard error: folds share most of their slides.
        holdout: slides that no fold saw, scored by the classifier that is deployed; None where there are none.
        metric: the one that choices are made by.
        highest_losses: slides of the test parts and the hold-out with the highest log loss, that first; see
            `highest_losses`.
    """

    classes: tuple[str, ...]
    out_of_fold: Scores
    folds: tuple[Scores, ...]
    fold_mean: dict[str, dict[str, Any]]
    holdout: Scores | None
    metric: PrimaryMetric = "macro_f1"
    highest_losses: tuple[dict[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data; `per_class`, `confusion` and `baselines` of the out-of-fold scores also stand at the top."""
        top = {key: self.out_of_fold[key] for key in ("baselines", "per_class", "confusion")}
        plain = {
            "classes": list(self.classes),
            "out_of_fold": self.out_of_fold,
            "folds": list(self.folds),
            "fold_mean": self.fold_mean,
            "metric": self.metric,
            "highest_losses": list(self.highest_losses),
            **top,
        }
        return plain if self.holdout is None else plain | {"holdout": self.holdout}

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
            return cls(
                classes=tuple(data["classes"]),
                out_of_fold=dict(data["out_of_fold"]),
                folds=tuple(dict(scores) for scores in data["folds"]),
                fold_mean=dict(data["fold_mean"]),
                holdout=dict(data["holdout"]) if data.get("holdout") else None,
                metric=data.get("metric", "macro_f1"),
                highest_losses=tuple(data.get("highest_losses", ())),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path} is not a whole evaluation ({error!r}); run `tilewise evaluate`") from error
