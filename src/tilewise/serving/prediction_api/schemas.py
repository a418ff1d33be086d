"""The bodies of answers, as the OpenAPI document shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class Body(BaseModel):
    """Base of all bodies."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ErrorBody(Body):
    """What went wrong, and what to do."""

    code: str = Field(description="Which error, for programs: `image-unreadable`, `busy`...")
    message: str = Field(description="What went wrong, for people.")
    next_step: str = Field(description="What to do about it.")


class Status(Body):
    """Whether the service is there."""

    status: Literal["ok", "loading"]


class ServiceBody(Body):
    """What this service is, and where to go on."""

    service: Literal["tilewise"] = "tilewise"
    version: str = Field(description="Of tilewise.")
    model: str = Field(description="Name of the recipe that the classifier was trained by.")
    classes: list[str]
    predict: str = Field(description="POST an image here.")
    predict_batch: str = Field(description="POST several images here.")
    model_card: str = Field(description="Scores, recipe and intended use of the classifier.")
    openapi: str = Field(description="The description of every address.")


class IntervalBody(Body):
    """A score and its confidence interval; null where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


class ScoreBody(Body):
    """One metric."""

    metric: str
    score: IntervalBody
    commonest: float | None = Field(description="What always naming the commonest class scores.")
    random: float | None = Field(description="What guessing at random scores.")


class ClassScoreBody(Body):
    """Scores of one class."""

    support: int = Field(description="Slides of the class that were scored.")
    precision: IntervalBody
    recall: IntervalBody
    f1: IntervalBody


class ScoresBody(Body):
    """Scores on one set of slides."""

    num_slides: int
    num_groups: int
    interval_level: float
    scores: list[ScoreBody]
    per_class: dict[str, ClassScoreBody]


class ModelCard(Body):
    """What the classifier is, how well it does, and what it is for."""

    name: str = Field(description="Of the recipe.")
    classes: list[str]
    recipe: Mapping[str, object] = Field(description="The resolved recipe: every choice of the training.")
    out_of_fold: ScoresBody = Field(
        description="Scores of the recipe: each slide by the fold's model that did not see it."
    )
    holdout: ScoresBody | None = Field(description="Scores of this classifier on slides that no fold saw, if any.")
    warnings: list[str] = Field(description="What to know before believing the scores.")
    intended_use: str
    tilewise_version: str


class MapLink(Body):
    """Where the slide's heat can be fetched."""

    url: str = Field(description="Of the picture, on this service; PNG.")
    expires_seconds: float = Field(description="How long it can be fetched, unless newer maps need its memory.")


class Prediction(Body):
    """What the run says of one image; the same numbers as `tilewise predict` gives."""

    predicted: str = Field(description="The class of the highest score.")
    probabilities: dict[str, Share] = Field(description="The model's scores, of which the highest decides the class.")
    calibrated: dict[str, Share] | None = Field(
        description="Probabilities: of slides with 0.8 for a class about 80 % are of it. Null where the run has none."
    )
    prediction_set: list[str] | None = Field(
        description="Classes that the slide may be of; it holds the right one for 90 % of each class's slides. Null "
        "where the run has none."
    )
    num_tiles: int = Field(ge=1, description="Tiles that were looked at.")
    warnings: list[str] = Field(description="What a person should know before believing the prediction.")
    notes: list[str] = Field(description="How the image's file was read.")
    map: MapLink | None = Field(
        description="Probability of the predicted class, tile by tile. Null where `map` was false, which it is by "
        "default for batches, and where no map can be drawn."
    )


class BatchItem(Body):
    """One image of a batch: a prediction, or the error that it alone would have been answered with."""

    index: int = Field(ge=0, description="Place of the image in the request.")
    status: int = Field(description="Of HTTP, as for the image alone.")
    prediction: Prediction | None
    error: ErrorBody | None


class Batch(Body):
    """The images of a batch, in the request's order."""

    results: list[BatchItem]
