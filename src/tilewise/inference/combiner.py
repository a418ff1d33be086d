"""What makes one prediction of several runs': weights, or a small model of their probabilities; plain numbers on disk.

How they are fitted stands in `ensemble/`; here is only what a deployed classifier needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

from tilewise.errors import ArtifactError, UsageError

Floats = npt.NDArray[np.float64]

# Below this a probability says "surely not": without it one tile's certainty would outweigh all others.
_LEAST = 1e-3


class Combiner(Protocol):
    """Runs' probabilities in, one probability per class out."""

    kind: ClassVar[str]

    def apply(self, probabilities_RNC: Floats) -> Floats:
        """Probabilities, float64 (N, C), each row summing to 1.

        Args:
            probabilities_RNC: of R runs, N slides and C classes, without nan.
        """

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which `load_combiner` makes the same combiner."""


@dataclass(frozen=True)
class WeightedMean:
    """The weighted mean of the runs' probabilities.

    Attributes:
        weights: of the runs, summing to 1; 0 leaves a run out.
    """

    weights: tuple[float, ...]
    kind: ClassVar[str] = "weighted-mean"

    def apply(self, probabilities_RNC: Floats) -> Floats:
        """See `Combiner`."""
        weights_R = np.array(self.weights, dtype=np.float64)
        # Run after run, so that a slide's result does not depend on how many others there are.
        mean_NC: Floats = np.sum(weights_R[:, None, None] * probabilities_RNC, axis=0)
        return mean_NC

    def to_json(self) -> dict[str, Any]:
        """See `Combiner`."""
        return {"kind": self.kind, "weights": list(self.weights)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The combiner of plain data."""
        return cls(tuple(float(weight) for weight in data["weights"]))


@dataclass(frozen=True)
class Logistic:
    """Softmax regression on the logarithms of the runs' probabilities.

    Attributes:
        classes: class indices that it was fitted to; the others keep the runs' plain mean, and these share the rest.
        coefficients_KF: one row per fitted class; features are run by run, class by class.
        intercepts_K: likewise.
    """

    classes: tuple[int, ...]
    coefficients_KF: Floats
    intercepts_K: Floats
    kind: ClassVar[str] = "logistic"

    def apply(self, probabilities_RNC: Floats) -> Floats:
        """See `Combiner`."""
        # One product for each slide: a slide's result does not depend on the slides beside it.
        features_NF = log_features(probabilities_RNC)
        logits_NK = np.einsum("nf,kf->nk", features_NF, self.coefficients_KF) + self.intercepts_K
        return _spread(softmax(logits_NK), self.classes, probabilities_RNC)

    def to_json(self) -> dict[str, Any]:
        """See `Combiner`."""
        return {
            "kind": self.kind,
            "classes": list(self.classes),
            "coefficients": self.coefficients_KF.tolist(),
            "intercepts": self.intercepts_K.tolist(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The combiner of plain data."""
        return cls(
            tuple(int(index) for index in data["classes"]),
            np.array(data["coefficients"], dtype=np.float64),
            np.array(data["intercepts"], dtype=np.float64),
        )


@dataclass(frozen=True)
class Boosted:
    """Gradient-boosted trees that correct the runs' plain mean; without a tree they are that mean.

    Attributes:
        classes: class indices that it was fitted to; the others keep the runs' plain mean, and these share the rest.
        models: LightGBM's own text of each model: one for all classes, or one for each class against the others.
        one_vs_rest: which of the two.
    """

    classes: tuple[int, ...]
    models: tuple[str, ...]
    one_vs_rest: bool
    kind: ClassVar[str] = "boosted"

    def apply(self, probabilities_RNC: Floats) -> Floats:
        """See `Combiner`.

        Raises:
            UsageError: LightGBM is not installed.
        """
        features_NF = log_features(probabilities_RNC)
        start_NK = boosting_start(probabilities_RNC, self.classes, one_vs_rest=self.one_vs_rest)
        raw = [model.predict(features_NF, raw_score=True, num_threads=1) for model in self._boosters]
        added_NK = np.stack(raw, axis=1) if self.one_vs_rest else np.asarray(raw[0]).reshape(start_NK.shape)
        scores_NK = start_NK + added_NK
        if not self.one_vs_rest:
            return _spread(softmax(scores_NK), self.classes, probabilities_RNC)
        each_NK = 1.0 / (1.0 + np.exp(-scores_NK))
        return _spread(each_NK / each_NK.sum(axis=1, keepdims=True), self.classes, probabilities_RNC)

    def to_json(self) -> dict[str, Any]:
        """See `Combiner`."""
        return {
            "kind": self.kind,
            "classes": list(self.classes),
            "one_vs_rest": self.one_vs_rest,
            "models": list(self.models),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The combiner of plain data."""
        classes = tuple(int(index) for index in data["classes"])
        models, one_vs_rest = tuple(str(model) for model in data["models"]), bool(data["one_vs_rest"])
        if len(models) != (len(classes) if one_vs_rest else 1):
            raise ValueError(f"{len(models)} models for {len(classes)} classes")
        return cls(classes, models, one_vs_rest)

    @cached_property
    def _boosters(self) -> list[Any]:
        lightgbm = import_lightgbm()
        try:
            return [lightgbm.Booster(model_str=text) for text in self.models]
        except lightgbm.basic.LightGBMError as error:
            raise ArtifactError(f"the combiner's trees are damaged ({error}); run `tilewise ensemble` again") from error


def load_combiner(data: Mapping[str, Any], *, num_runs: int, num_classes: int) -> Combiner:
    """The combiner of plain data, checked against what it will be given.

    Raises:
        ArtifactError: it is unknown, not whole, or of other runs or classes.
    """
    kinds = {one.kind: one for one in (WeightedMean, Logistic, Boosted)}
    try:
        combiner: Combiner = kinds[data["kind"]].from_json(data)
        # A table of one column would fit any number of features.
        if isinstance(combiner, Logistic) and combiner.coefficients_KF.shape[1] != num_runs * num_classes:
            raise _of_others()
        tried_NC = combiner.apply(np.full((num_runs, 2, num_classes), 1.0 / num_classes))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ArtifactError(f"the combiner is damaged ({error!r}); run `tilewise ensemble` again") from error
    if tried_NC.shape != (2, num_classes) or not np.isfinite(tried_NC).all():
        raise _of_others()
    return combiner


def _of_others() -> ArtifactError:
    return ArtifactError("the combiner is of other runs or classes; run `tilewise ensemble` again")


def import_lightgbm() -> Any:
    """LightGBM.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise UsageError(
            "combining by boosted trees needs LightGBM, which is not installed here; pip install 'tilewise[ensemble]', "
            "or combine with --method weighted"
        ) from error
    return lightgbm


def log_features(probabilities_RNC: Floats) -> Floats:
    """What stacked models learn from: logarithms of the probabilities, float64 (N, R * C), run by run."""
    num_runs, num_slides, num_classes = probabilities_RNC.shape
    logs_NRC = np.log(np.maximum(probabilities_RNC, _LEAST)).transpose(1, 0, 2)
    return np.ascontiguousarray(logs_NRC).reshape(num_slides, num_runs * num_classes)


def boosting_start(probabilities_RNC: Floats, classes: tuple[int, ...], *, one_vs_rest: bool) -> Floats:
    """What the trees start from, float64 (N, K): the plain mean as logits."""
    mean_NK = np.clip(probabilities_RNC.mean(axis=0)[:, list(classes)], _LEAST, 1.0 - _LEAST)
    start_NK: Floats = np.log(mean_NK)
    return start_NK - np.log1p(-mean_NK) if one_vs_rest else start_NK


def softmax(logits_NK: Floats) -> Floats:
    """Probabilities of logits, each row summing to 1."""
    odds_NK = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    probabilities_NK: Floats = odds_NK / odds_NK.sum(axis=1, keepdims=True)
    return probabilities_NK


def _spread(fitted_NK: Floats, classes: tuple[int, ...], probabilities_RNC: Floats) -> Floats:
    """Probabilities of all classes: the fitted ones share what the plain mean leaves them."""
    all_NC: Floats = probabilities_RNC.mean(axis=0)
    others = np.setdiff1d(np.arange(all_NC.shape[1]), classes)
    all_NC[:, list(classes)] = fitted_NK * (1.0 - all_NC[:, others].sum(axis=1, keepdims=True))
    return all_NC
