"""The models of a finished run's folds."""

from __future__ import annotations

from tilewise.inference.classifier import Member
from tilewise.ladder.choice import read_choices
from tilewise.models import FoldModel
from tilewise.models.networks import NetworkModel
from tilewise.recipe import Recipe
from tilewise.run_folder import RunFolder


def load_fold_model(folder: RunFolder, recipe: Recipe, fold: int) -> Member:
    """The model of a fold, of the kind that its ladder chose where the recipe has one.

    Raises:
        ArtifactError: a file of it is missing or damaged.
    """
    kind = recipe.training.input
    if recipe.ladder.rungs:
        (choice,) = read_choices([folder.fold(fold)])
        kind = recipe.rungs()[choice.chosen].training.input
    members: dict[str, type[Member]] = {"tiles": NetworkModel, "features": FoldModel}
    return members[kind].load(folder.fold(fold))
