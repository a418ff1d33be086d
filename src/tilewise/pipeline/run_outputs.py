"""The predictions of a run: of the parts of its folds, and of its hold-out."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from tilewise.errors import SlideError
from tilewise.evaluation.evaluate_predictions import OUTSIDE
from tilewise.evaluation.sample import REPEAT
from tilewise.folds import Folds
from tilewise.inference.classifier import ClassifierBundle, Member
from tilewise.inference.network import SlideProbabilities
from tilewise.inference.predictions import Predictions
from tilewise.pipeline.slide_inputs import SlideInputs
from tilewise.run_folder import RunFolder
from tilewise.store import digest_config, digest_file


def predict_parts(models: tuple[Member, ...], folds: Folds, inputs: SlideInputs[Any]) -> Predictions:
    """`validation` and `test` of every fold by its own model; of repeated folds with a column `repeat`."""
    tables = []
    for number, (model, fold) in enumerate(zip(models, folds.folds, strict=True)):
        parts: tuple[Literal["validation", "test"], ...] = ("validation", "test")
        tables += [predict_part(model, number, part, folds, inputs) for part in parts if fold.part(part)]
    return Predictions.join(tables)


def predict_part(
    model: Member, number: int, part: Literal["validation", "test", "holdout"], folds: Folds, inputs: SlideInputs[Any]
) -> Predictions:
    """A part of a fold, or the hold-out, by the fold's own model."""
    names = folds.holdout if part == "holdout" else folds.folds[number].part(part)
    prediction = inputs.of(number).predict((model,), names)
    probabilities_SC = prediction.probabilities_MSC[0]
    first = model.origin.get("validation")  # by a fit that did not learn from it, see `HeadConfig.refit`
    if part == "validation" and first:
        probabilities_SC = np.array([first[name] for name in prediction.slide_ids])
    return _table(folds, prediction, probabilities_SC, number, part)


def predict_holdout(classifier: ClassifierBundle, folds: Folds, inputs: SlideInputs[Any]) -> list[Predictions]:
    """The hold-out, where there is one, by the classifier that is deployed."""
    if not folds.holdout:
        return []
    prediction = inputs.predict(classifier.members, folds.holdout)
    return [_table(folds, prediction, classifier.weigh(prediction.probabilities_MSC), OUTSIDE, "holdout")]


def predictions_digest(folder: RunFolder, models: tuple[Member, ...], classifier: ClassifierBundle) -> str:
    """Digest of what the predictions were made from: the fold file, the models and the encoder."""
    inputs = [model.origin["inputs"] for model in models]
    return digest_config([digest_file(folder.folds), inputs, list(classifier.weights), dict(classifier.encoder)])


def _table(
    folds: Folds, prediction: SlideProbabilities, probabilities_SC: npt.NDArray[np.float64], fold: int, part: str
) -> Predictions:
    if prediction.failures:  # it was read before
        failure = prediction.failures[0]
        raise SlideError(f"{failure.item}: {failure.message}; it was read before, see what became of it and run again")
    items = {item.slide_id: item for item in folds.items}
    rows = pd.DataFrame(
        {
            "slide": list(prediction.slide_ids),
            "label": [items[name].label for name in prediction.slide_ids],
            "group": [items[name].group for name in prediction.slide_ids],
            "fold": np.int32(fold),
            "part": part,
        }
    )
    if folds.num_repeats > 1:
        rows[REPEAT] = np.int32(OUTSIDE if fold == OUTSIDE else fold // folds.folds_per_repeat)
    return Predictions.of(rows, probabilities_SC, prediction.num_tiles_S, folds.classes)
