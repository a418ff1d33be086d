"""How the models of a run's folds are put together."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class EnsembleConfig(BaseModel):
    """Which folds' models the deployed classifier is made of, and how much each counts.

    Everything follows from each model's predictions of its own `validation` part, which it has not learnt from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    members: Literal["all", "best"] = Field(
        "all",
        description="all: every fold's model. best: the num_members with the highest score on validation, "
        "by evaluation.metric.",
    )
    num_members: int | None = Field(None, ge=1, le=1000, description="How many models are kept (members best).")
    weights: Literal["equal", "validation_score", "fitted"] = Field(
        "equal",
        description="equal: each model counts the same. validation_score: by its score on validation, by "
        "evaluation.metric. fitted: by its log score on validation, as far as models differ by more than chance "
        "(pseudo-BMA, Yao et al. 2018).",
    )

    @model_validator(mode="after")
    def _members_agree(self) -> Self:
        if self.members == "best" and self.num_members is None:
            raise ValueError("ensemble.members=best needs ensemble.num_members: how many models to keep")
        if self.members == "all" and self.num_members is not None:
            raise ValueError("ensemble.num_members has no effect with ensemble.members=all; set best or drop it")
        return self

    @property
    def uses_validation(self) -> bool:
        """Whether the choice follows from predictions."""
        return self != type(self)()
