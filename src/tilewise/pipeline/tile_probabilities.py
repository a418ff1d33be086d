"""What models say of the tiles of slides that they did not learn from, for the pictures of a run's report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tilewise.explain.values import tile_probabilities
from tilewise.inference.classifier import Member
from tilewise.inference.predictions import Predictions
from tilewise.models import FoldModel
from tilewise.pipeline.ladder_inputs import LadderInputs
from tilewise.pipeline.slide_inputs import FeatureInputs, SlideInputs
from tilewise.reporting.choose import shown_slides
from tilewise.reporting.heat import write_tile_probabilities
from tilewise.run_folder import RunFolder


def save_tile_probabilities(
    folder: RunFolder,
    predictions: Predictions,
    models: Sequence[Member],
    weights: Sequence[float],
    inputs: SlideInputs[Any],
) -> None:
    """Write the probabilities of the tiles of the slides that the report shows; nothing where networks take pixels.

    Args:
        folder: of the run.
        predictions: of its slides.
        models: of the folds, in order; each slide of a test part gets those of the fold that tested it, or their mean
            where folds were cut several times.
        weights: of the folds' models in the classifier that is deployed, which predicts the hold-out.
        inputs: of all folds.
    """
    features = inputs.features if isinstance(inputs, LadderInputs) else inputs
    folder.tile_probabilities.unlink(missing_ok=True)  # of another recipe that was stopped here
    if not isinstance(features, FeatureInputs):
        return
    classes, tables = predictions.classes, []
    folds_of = predictions.out_of_fold.table.groupby("slide")["fold"].unique()
    for result in shown_slides(predictions.per_slide.table, classes):
        tested_by = [] if result.fold is None else [int(number) for number in folds_of[result.slide]]
        share_of = dict.fromkeys(tested_by, 1.0 / len(tested_by)) if tested_by else dict(enumerate(weights))
        numbers = [number for number, share in share_of.items() if share]
        heads = [model for model in (models[number] for number in numbers) if isinstance(model, FoldModel)]
        if len(heads) < len(numbers):
            continue  # a ladder's network
        bags = [features.of(number).bags[0][result.slide] for number in numbers]
        shares = [share_of[number] for number in numbers]
        boxes = pd.DataFrame(bags[0].boxes, columns=["x", "y", "width", "height"])
        boxes.insert(0, "slide", result.slide)
        probabilities_TC = tile_probabilities(heads, shares, bags).astype(np.float32)
        probabilities = pd.DataFrame(probabilities_TC, columns=[f"p_{name}" for name in classes])
        tables.append(pd.concat([boxes, probabilities], axis="columns"))
    if tables:
        write_tile_probabilities(folder.tile_probabilities, pd.concat(tables, ignore_index=True))
