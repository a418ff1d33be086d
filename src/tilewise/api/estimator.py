"""A classifier of bags of feature vectors, for those who have arrays and no folder of slides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from tilewise.models import FoldModel, HeadConfig
from tilewise.training.config import TrainingConfig
from tilewise.training.data import FeatureData, PartData
from tilewise.training.head import train_head

Bag = npt.NDArray[np.floating[Any]]


class SlideClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classify slides, each given as a bag: the feature vectors of its tiles, float (N, D), with N its own.

    Follows scikit-learn's conventions: `get_params`, `set_params`, `clone`, `score` and cross-validation work. Slides
    for early stopping are drawn from those of `fit`, class by class; to score a model, set slides apart yourself, and
    keep slides of one patient on one side.

    Args:
        head: a `HeadConfig`, such as `recipe.head`; None takes a linear head and the mean over tiles.
        training: a `TrainingConfig`, such as `recipe.training`; None takes the defaults.
        validation_fraction: share of each class's slides that stop training early, from 0 to below 1; with 0 the last
            epoch is kept.
        random_state: seed of initial weights, order of tiles and the choice of validation slides.

    Attributes:
        classes_: the labels of `fit`, sorted; columns of `predict_proba`.
        n_features_in_: length of a feature vector.
        model_: the trained `FoldModel`.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> labels = ["benign", "tumour"] * 10
        >>> bags = [rng.normal(label == "tumour", 0.5, size=(rng.integers(3, 9), 4)) for label in labels]
        >>> clf = tw.SlideClassifier(tw.load_recipe("default").head).fit(bags, labels)
        >>> clf.predict(bags[:2]).tolist()
        ['benign', 'tumour']
        >>> clf.predict_proba(bags).shape
        (20, 2)
    """

    def __init__(
        self,
        head: HeadConfig | None = None,
        training: TrainingConfig | None = None,
        *,
        validation_fraction: float = 0.2,
        random_state: int = 0,
    ) -> None:
        self.head = head
        self.training = training
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def fit(self, bags: Sequence[Bag], labels: Sequence[Any] | npt.NDArray[Any]) -> Self:
        """Train on bags, S arrays (N, D), and their S labels.

        Raises:
            ValueError: bags and labels differ in number, or a label is missing.
            TrainingError: a bag is empty, not finite or of another length, or all labels are the same.
        """
        if len(bags) != len(labels):
            raise ValueError(f"{len(bags)} bags and {len(labels)} labels: give one label for each bag")
        missing_S = np.atleast_1d(pd.isna(np.asarray(labels, dtype=object)))
        if missing_S.any():
            raise ValueError(f"label {int(missing_S.argmax())} is missing; leave that bag out, or give it a label")
        self.classes_, codes_S = np.unique(np.asarray(labels), return_inverse=True)
        features = {str(position): np.asarray(bag, np.float32) for position, bag in enumerate(bags)}
        codes = {str(position): int(code) for position, code in enumerate(codes_S)}
        validation = self._draw_validation(codes_S)
        data = FeatureData(
            tuple(str(name) for name in self.classes_),
            PartData.of({name: bag for name, bag in features.items() if name not in validation}, codes),
            PartData.of({name: bag for name, bag in features.items() if name in validation}, codes),
        )
        head, training = self.head or HeadConfig(), self.training or TrainingConfig()
        self.model_, _ = train_head(data, head, training, seed=self.random_state, name="fit")
        self.n_features_in_ = self.model_.num_features
        return self

    def predict_proba(self, bags: Sequence[Bag]) -> npt.NDArray[np.float64]:
        """Probabilities, float64 (S, C), columns as in `classes_`.

        Raises:
            NotFittedError: `fit` was not called.
            ValueError: a bag is empty, or has vectors of another length than those of `fit`.
        """
        check_is_fitted(self)
        model: FoldModel = self.model_
        arrays = [np.asarray(bag, np.float32) for bag in bags]
        for position, bag in enumerate(arrays):
            if bag.ndim != 2 or not len(bag):
                raise ValueError(f"bag {position} has the shape {bag.shape}; give feature vectors (N, D) with N > 0")
        if not arrays:
            return np.empty((0, len(self.classes_)))
        tile_slide_N = np.repeat(np.arange(len(arrays)), [len(bag) for bag in arrays])
        probabilities_SC, _ = model.predict_slides(np.concatenate(arrays), tile_slide_N, len(arrays))
        return probabilities_SC.astype(np.float64)

    def predict(self, bags: Sequence[Bag]) -> npt.NDArray[Any]:
        """The most probable label of each bag, (S,)."""
        probabilities_SC = self.predict_proba(bags)
        labels: npt.NDArray[Any] = self.classes_[probabilities_SC.argmax(axis=1)]
        return labels

    def _draw_validation(self, codes_S: npt.NDArray[np.integer]) -> set[str]:
        if not 0.0 <= self.validation_fraction < 1.0:
            raise ValueError(f"validation_fraction={self.validation_fraction} is not from 0 to below 1")
        rng = np.random.default_rng(self.random_state)
        drawn: set[str] = set()
        for code in np.unique(codes_S):
            members = rng.permutation(np.flatnonzero(codes_S == code))
            num = min(round(self.validation_fraction * len(members)), len(members) - 1)
            drawn |= {str(position) for position in members[:num]}
        return drawn
