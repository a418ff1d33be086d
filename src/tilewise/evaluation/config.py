"""How scores get their intervals."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class EvaluationConfig(BaseModel):
    """Options of the intervals. They change how sure a score is said to be, never the score."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: float = Field(0.95, gt=0.5, lt=1.0, description="Confidence level of every interval.")
    num_resamples: int = Field(
        2000, ge=100, le=100_000, description="Bootstrap resamples, simulated guessers and permutations."
    )
