"""Whether slides without a label take part in training, and how sure a model must be of their class."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class PseudoConfig(BaseModel):
    """What becomes of the cohort's slides without a label. An option that would have no effect is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["none", "confident"] = Field(
        "none",
        description="none: they take no part. confident: in each fold, those that the fold's model is sure of join "
        "its train part with the class it says, and the model is trained again.",
    )
    threshold: float = Field(
        0.9,
        ge=0.5,
        le=1.0,
        description="A slide joins when the probability of its likeliest class is at least this.",
    )
    calibrated: bool = Field(
        True,
        description="The threshold is on calibrated probabilities: a temperature and a bias of each class are fitted "
        "to what the model says of the fold's validation part. Models of few slides are less sure than they are right, "
        "and class weights give rare classes too much. false: as the model says them.",
    )
    most_per_class: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Slides that may join each class in all, the surest first. Left out: as many as there are.",
    )
    balance: bool = Field(
        False,
        description="Slides join a class only until it has as many as the commonest labelled class of the train part.",
    )
    rounds: int = Field(
        1, ge=1, le=5, description="How many times slides join and the model is trained again; ends when none joins."
    )

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> Self:
        if self.method == "none":
            for name in ("threshold", "calibrated", "most_per_class", "balance", "rounds"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(
                        f"pseudo.{name} has no effect with pseudo.method=none; set pseudo.method=confident or drop it"
                    )
        return self
