"""What slides are scored by, and how scores get their intervals."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from tilewise.metrics import PrimaryMetric


class EvaluationConfig(BaseModel):
    """The metric that choices are made by, and how the intervals are made; these never change a score."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: PrimaryMetric = Field(
        "macro_f1",
        description="The metric that the report leads with, that a sweep compares and chooses by, that folds' models "
        "are weighed by (ensemble) and that epochs are chosen by where training.select_by=metric. All metrics are "
        "computed in any case.",
    )
    level: float = Field(0.95, gt=0.5, lt=1.0, description="Confidence level of every interval.")
    num_resamples: int = Field(
        2000, ge=100, le=100_000, description="Bootstrap resamples, simulated guessers and permutations."
    )
