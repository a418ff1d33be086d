"""The rungs of a ladder, and when one is climbed."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# Sections that rungs can differ in; slides, tiles and features are the same on all of them.
_OF_RUNGS = ("head", "training")
_OF_NETWORKS = ("network", "augment", "views", "encoder", "features")

Preset = Literal["fast", "best"]


class RungConfig(BaseModel):
    """One way to train."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="Shown in the report.")
    set: dict[str, Any] = Field(
        default_factory=dict, description="Recipe keys and their values, as `head.aggregate: attention`."
    )
    preset: Preset = Field("fast", description="best: only tried with ladder.preset=best.")

    @model_validator(mode="after")
    def _differs_in_training_alone(self) -> Self:
        sections = (*_OF_RUNGS, *(_OF_NETWORKS if self.set.get("training.input") == "tiles" else ()))
        for key in self.set:
            if key.partition(".")[0] not in sections:
                raise ValueError(
                    f"rung {self.name!r} sets {key}, and rungs can differ in {', '.join(_OF_RUNGS)} alone, with "
                    f"training.input: tiles in {', '.join(_OF_NETWORKS)} too; set it for the whole recipe"
                )
        return self


class LadderConfig(BaseModel):
    """Ways to train, the simplest first; each fold chooses one of them by inner folds of its own.

    The inner folds are cut from the train and validation part of a fold, by group, so that its test part has no say in
    what is chosen, and the score of the run is that of the whole procedure. A rung is climbed where its gain over the
    rung that stands, the mean difference of `evaluation.metric` over the inner folds, exceeds `min_standard_errors`
    standard errors of that mean. One that is not climbed is passed over.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rungs: tuple[RungConfig, ...] = Field(
        (),
        description="For each rung `name`, `set` (recipe keys and their values) and, where it is only tried with "
        "ladder.preset=best, `preset: best`. The first has a name alone, it is the recipe itself; each of the others "
        "is a change of the recipe, not of the rung before. Left out: nothing is chosen.",
    )
    preset: Preset = Field(
        "fast", description="Which rungs are tried: those for `fast`, or all of them (`--presets` of `tilewise train`)."
    )
    inner_folds: int = Field(5, ge=2, le=20, description="Inner folds that a choice is made by.")
    repeats: int = Field(1, ge=1, le=20, description="Cuts of the inner folds, each by another seed.")
    min_standard_errors: float = Field(
        1.0,
        ge=0.0,
        le=10.0,
        description="How many of its standard errors a gain has to exceed. The standard error allows for inner folds "
        "that share slides to learn from (Nadeau and Bengio 2003).",
    )

    @property
    def tried(self) -> tuple[RungConfig, ...]:
        """The rungs of the preset."""
        return tuple(rung for rung in self.rungs if rung.preset == "fast" or self.preset == "best")

    @model_validator(mode="after")
    def _rungs_differ(self) -> Self:
        if self.rungs:
            if len(self.rungs) < 2 or self.rungs[0].set or self.rungs[0].preset == "best":
                raise ValueError(
                    "ladder.rungs needs two rungs or more, and the first has a name alone: it is the recipe itself"
                )
            name, num = Counter(rung.name for rung in self.rungs).most_common(1)[0]
            if num > 1:
                raise ValueError(f"ladder.rungs has {num} rungs named {name!r}; rename one")
        elif self != type(self).model_construct():
            raise ValueError("`ladder` has no effect without ladder.rungs; give rungs, or drop it")
        return self
