"""The folds of a recipe that is only tried: fold by fold, their test parts left alone, and nothing else of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

import pandas as pd

from tilewise.errors import UsageError
from tilewise.folds import FoldItem, Folds
from tilewise.inference.classifier import Member
from tilewise.pipeline.prepared_slides import prepare_slides
from tilewise.pipeline.run_outputs import predict_part
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.pipeline.slide_inputs import SlideInputs, train_with_unlabelled
from tilewise.pipeline.train import fold_request
from tilewise.recipe import Recipe
from tilewise.run_folder import RunFolder


@dataclass(frozen=True)
class TrialFolds:
    """Slides and folds of a trial, ready to be trained on.

    Attributes:
        recipe: of the trial.
        folder: where models lie, as in a run's.
        shared: seed, folds and machine.
        folds: those of all trials.
        inputs: slides as the recipe's models take them.
        unlabelled: slides without a label that may take part.
    """

    recipe: Recipe
    folder: RunFolder
    shared: SharedStages
    folds: Folds
    inputs: SlideInputs[Any]
    unlabelled: tuple[FoldItem, ...]

    @classmethod
    def prepare(cls, recipe: Recipe, folder: RunFolder, shared: SharedStages) -> Self:
        """Cut, encode or decode what the recipe asks for.

        Args:
            recipe: of the trial.
            folder: of the trial.
            shared: with the folds of all trials.

        Raises:
            UsageError: slides of the folds have no tile, or cannot be read, with this recipe: a trial that passes over
                slides cannot be compared with others.
            FoldsError: the recipe has tiles of slides that are in no fold.
        """
        assert shared.folds is not None
        prepared = prepare_slides(shared.audit(recipe.audit), recipe, folder, shared)
        folds = prepared.folds
        lost = sorted({item.slide_id for item in shared.folds.items} - {item.slide_id for item in folds.items})
        if lost:
            raise UsageError(
                f"{lost[0]}, and {len(lost) - 1} other slides of the folds, cannot be used with these settings; a "
                "trial must have the slides of all others"
            )
        return cls(recipe, folder, shared, folds, prepared.inputs, prepared.unlabelled)

    def train(self, number: int) -> Member:
        """The model of a fold; one that is there already is left as it is.

        Raises:
            TrainingError: training could not go on.
        """
        out = self.folder.fold(number)
        self.shared.copy_fold(self.recipe, number, out=out)
        request = fold_request(self.recipe, number, self.folds, self.unlabelled, self.shared)
        return train_with_unlabelled(self.inputs, request, out=out)

    def predict(self, model: Member, number: int, part: Literal["validation", "holdout"]) -> pd.DataFrame:
        """Predictions of a part by the model of a fold."""
        return predict_part(model, number, part, self.folds, self.inputs).table
