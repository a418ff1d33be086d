"""What a combined run is made of: the file its report is written from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tilewise.ensemble.methods import Method
from tilewise.errors import ArtifactError
from tilewise.store import read_json, write_json

_SCHEMA = "tilewise.ensemble"
_VERSION = 1
RECORD_NAME = "ensemble.json"


@dataclass(frozen=True)
class EnsembleRecord:
    """How several runs were made one, and what came of it.

    Attributes:
        method: how.
        words: the same in words.
        runs: names, in the order of everything below.
        recipes: names of the runs' recipes.
        class_weighting: of what was fitted to a loss: `none`, `sqrt` or `inverse`.
        weights: of the deployed combiner, None for one that has none (stacking).
        fold_weights: of each fold's combiner, likewise.
        validation_scores: of each run on its validation parts, by the metric of the evaluation.
        best_run: position of the run that validation calls the best.
        differences: part (`test`, and `holdout` where there is one) -> the combination less each run on it, as
            `paired_difference` gives it.
        scored_holdout: whether the deployed combiner has a score of its own.
        warnings: what a reader must know of the runs, a sentence each.
    """

    method: Method
    words: str
    runs: tuple[str, ...]
    recipes: tuple[str, ...]
    class_weighting: str
    weights: tuple[float, ...] | None
    fold_weights: tuple[tuple[float, ...], ...] | None
    validation_scores: tuple[float, ...]
    best_run: int
    differences: dict[str, list[dict[str, Any]]]
    scored_holdout: bool
    warnings: tuple[str, ...] = ()

    def write(self, path: Path) -> None:
        """Write `ensemble.json`."""
        write_json(path, asdict(self), schema=_SCHEMA, version=_VERSION)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `ensemble.json`.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        data = read_json(path, schema=_SCHEMA, version=_VERSION)
        try:
            values = {name: data[name] for name in cls.__dataclass_fields__}
            for name in ("runs", "recipes", "validation_scores", "warnings"):
                values[name] = tuple(values[name])
            if values["weights"] is not None:
                values["weights"] = tuple(values["weights"])
                values["fold_weights"] = tuple(tuple(row) for row in values["fold_weights"])
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path} is damaged ({error!r}); run `tilewise ensemble` again") from error

    def sentences(self) -> list[str]:
        """What a reader must know first: what was combined, by what, with which weights, and fitted on what."""
        runs = ", ".join(self.runs)
        sentences = [f"Combined of {len(self.runs)} runs ({runs}) by `{self.method}`: {self.words}."]
        if self.weights is not None and self.method != "average":
            weights = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(self.runs, self.weights, strict=True))
            sentences.append(f"Weights of the classifier that is deployed: {weights}.")
        fitted = (
            "Nothing was fitted; every run counts the same."
            if self.method == "average"
            else "Everything was fitted on the validation parts alone: each fold's combiner on that fold's, the "
            "deployed one on all of them together."
        )
        sentences.append(fitted)
        if not self.scored_holdout and self.method != "average":
            sentences.append(
                "No slide lies outside all folds, so the deployed combiner has no score of its own; the score below is "
                "of the folds' combiners. `folds.holdout_fraction` sets slides apart for it."
            )
        return sentences
