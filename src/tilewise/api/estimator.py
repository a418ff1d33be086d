"""A classifier of bags of feature vectors, for those who have arrays and no folder of slides."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d

from tilewise.errors import ArgumentError
from tilewise.models import FoldModel, HeadConfig
from tilewise.training.data import FeatureData, PartData
from tilewise.training.head import train_head
from tilewise.training_config.check import check_head
from tilewise.training_config.training import TrainingConfig

Bag = npt.NDArray[np.floating[Any]]


class SlideClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classify slides, each given as a bag: the feature vectors of its tiles, float (N, D), with N its own.

    Follows scikit-learn's conventions: `get_params`, `set_params`, `clone`, `score`, cross-validation and grid search
    work, and its checks of estimators pass where each row of a table is a bag of one tile. Slides for early stopping
    are drawn from those of `fit`, class by class; to score a model, set slides apart yourself, and keep slides of one
    patient on one side: `cross_val_score(clf, bags, labels, groups=groups, cv=StratifiedGroupKFold())`. Heads of kind
    lda and logistic learn from all slides, and stop nowhere early.

    Args:
        head: a `HeadConfig`, such as `recipe.head`; None takes a linear head and the mean over tiles.
        training: a `TrainingConfig` with `input=features`, such as `recipe.training`; None takes the defaults.
        validation_fraction: share of each class's slides that stop training early, from 0 to below 1; with 0 the last
            epoch is kept.
        random_state: seed, from 0, of initial weights, order of tiles and the choice of validation slides.

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

    def fit(
        self,
        bags: Sequence[Bag],
        labels: Sequence[Any] | npt.NDArray[Any],
        groups: Sequence[Any] | npt.NDArray[Any] | None = None,
    ) -> Self:
        """Train on bags, S arrays (N, D), and their S labels.

        Args:
            bags: of the slides.
            labels: likewise.
            groups: likewise, such as patients. Heads of kind lda and logistic make inner folds by them; None: every
                slide is a group of its own.

        Raises:
            ArgumentError: a parameter, a bag, a label or the groups cannot be used; it is also a ValueError.
            TrainingError: the loss is no longer finite.
        """
        head, training = self._check_parameters()
        arrays = _check_bags(bags)
        self.classes_, codes_S = _check_labels(labels, len(arrays))
        features = {f"bag {position}": bag for position, bag in enumerate(arrays)}
        codes = {f"bag {position}": int(code) for position, code in enumerate(codes_S)}
        if groups is not None and len(groups) != len(arrays):
            raise ArgumentError(f"{len(arrays)} bags and {len(groups)} groups: give one group for each bag")
        validation = self._draw_validation(codes_S) if head.learns_in_epochs else set()
        data = FeatureData(
            tuple(str(name) for name in self.classes_),
            PartData.of({name: bag for name, bag in features.items() if name not in validation}, codes),
            PartData.of({name: bag for name, bag in features.items() if name in validation}, codes),
            {} if groups is None else {name: str(group) for name, group in zip(features, groups, strict=True)},
        )
        self.model_, _ = train_head(data, head, training, seed=int(self.random_state), name="fit")
        self.n_features_in_ = self.model_.num_features
        return self

    def predict_proba(self, bags: Sequence[Bag]) -> npt.NDArray[np.float64]:
        """Probabilities, float64 (S, C), columns as in `classes_`.

        Raises:
            NotFittedError: `fit` was not called.
            ArgumentError: a bag cannot be used, or has vectors of another length than those of `fit`.
        """
        check_is_fitted(self)
        model: FoldModel = self.model_
        arrays = _check_bags(bags, self.n_features_in_)
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # an array of bags, each with a number of tiles of its own
        return tags

    def _check_parameters(self) -> tuple[HeadConfig, TrainingConfig]:
        head = HeadConfig() if self.head is None else self.head
        training = TrainingConfig() if self.training is None else self.training
        values: tuple[tuple[str, object, type], ...] = (
            ("head", head, HeadConfig),
            ("training", training, TrainingConfig),
        )
        for name, value, kind in values:
            if not isinstance(value, kind):
                expected = f"a {kind.__name__}, such as recipe.{name}, or None"
                raise ArgumentError(f"{name}: expected {expected}, not a {type(value).__name__}")
        if training.input != "features":
            raise ArgumentError(
                f"training.input={training.input} trains networks on pixels, and bags hold features; give a "
                "TrainingConfig with input=features, or train on slides with tilewise.train"
            )
        check_head(head, training)
        if head.takes_placements:
            raise ArgumentError(
                "head.attention_placement and head.tile_weights=mask_ratio go by where tiles lie, and bags hold "
                "features; drop them, or train on slides with tilewise.train"
            )
        seed: Any = self.random_state
        if not isinstance(seed, Integral) or seed < 0:
            raise ArgumentError(f"random_state={seed!r}: expected a whole number from 0")
        if not 0.0 <= self.validation_fraction < 1.0:
            raise ArgumentError(f"validation_fraction={self.validation_fraction} is not from 0 to below 1")
        return head, training

    def _draw_validation(self, codes_S: npt.NDArray[np.integer]) -> set[str]:
        rng = np.random.default_rng(self.random_state)
        drawn: set[str] = set()
        for code in np.unique(codes_S):
            members = rng.permutation(np.flatnonzero(codes_S == code))
            num = min(round(self.validation_fraction * len(members)), len(members) - 1)
            drawn |= {f"bag {position}" for position in members[:num]}
        return drawn


def _check_bags(bags: Any, num_features: int | None = None) -> list[npt.NDArray[np.float32]]:
    """The bags as float32, checked as scikit-learn checks a table; all hold vectors of one length."""
    if isinstance(bags, str) or not hasattr(bags, "__len__"):
        raise ArgumentError(f"bags: expected a list of arrays (N, D), not a {type(bags).__name__}")
    arrays: list[npt.NDArray[np.float32]] = []
    for position, bag in enumerate(bags):
        try:
            bag_ND = check_array(bag, dtype=np.float32, estimator="SlideClassifier")
        except (TypeError, ValueError) as error:
            raise ArgumentError(f"bag {position}: {error}") from error
        num_features = num_features or bag_ND.shape[1]
        if bag_ND.shape[1] != num_features:
            raise ArgumentError(
                f"bag {position}: X has {bag_ND.shape[1]} features, but SlideClassifier is expecting {num_features} "
                "features as input"
            )
        arrays.append(bag_ND)
    return arrays


def _check_labels(labels: Any, num_bags: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """The classes, sorted, and the index of each label's class."""
    if labels is None:
        raise ArgumentError("labels: requires y to be passed, but the target y is None; give one label for each bag")
    is_missing_S = np.atleast_1d(pd.isna(np.asarray(labels, dtype=object)))
    if is_missing_S.any():
        raise ArgumentError(f"label {int(is_missing_S.argmax())} is missing; leave that bag out, or give it a label")
    try:
        labels_S = column_or_1d(np.asarray(labels), warn=True)
        check_classification_targets(labels_S)
    except ValueError as error:
        raise ArgumentError(f"labels: {error}") from error
    if len(labels_S) != num_bags:
        raise ArgumentError(f"{num_bags} bags and {len(labels_S)} labels: give one label for each bag")
    classes, codes_S = np.unique(labels_S, return_inverse=True)
    if len(classes) < 2:
        what = f"every label is {classes[0]!r}, one class" if num_bags else "there are 0 bags"
        raise ArgumentError(f"labels: {what}; give slides of at least two classes")
    return classes, codes_S
