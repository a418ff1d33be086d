"""Vectors of slides in, a head that was fitted at once and its history out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tilewise.metrics import PrimaryMetric
from tilewise.models import FoldModel, HeadConfig, Standardisation
from tilewise.training.data import FeatureData, PartData
from tilewise.training.fitted_heads.choose_penalty import choose_penalty, choose_temperature
from tilewise.training.fitted_heads.inner_folds import FitData
from tilewise.training.fitted_heads.lda import fit_lda
from tilewise.training.fitted_heads.linear import Floats, Linear
from tilewise.training.fitted_heads.logistic import fit_path
from tilewise.training.history import FitRow, History, unlearnt_classes
from tilewise.training.scores import score_probabilities
from tilewise.training.tile_weights import class_totals
from tilewise.training_config.training import TrainingConfig
from tilewise.training_loop import class_weights

_TOLERANCE = 1e-7  # of the model that is kept
_FEW_GROUPS = "fewer than two classes have slides of two groups in the train part"


def fit_head(
    data: FeatureData, head: HeadConfig, config: TrainingConfig, *, seed: int, metric: PrimaryMetric = "macro_f1"
) -> tuple[FoldModel, History]:
    """Fit a head of kind lda or logistic to `data.train`; `data.validation` is scored, and decides nothing.

    With `head.refit` validation is scored first, and then the head is fitted to both parts together. The history then
    holds what the first fit says of validation, since the second has learnt from it.

    `training.loss.class_weights` gives the priors of lda, slides of the class times its weight, and the weight of
    each slide of logistic. The order of the slides does not matter: the same slides, configs and seed give the same
    model, to the bit, on one machine.

    Args:
        data: one vector per slide, labels and groups.
        head: what is fitted.
        config: how.
        seed: which groups come together in the inner folds.
        metric: that validation is scored by, and that the penalty is chosen by where `config.select_by` says so.
    """
    from threadpoolctl import threadpool_limits

    def fit(part: PartData) -> _Fitted:
        with threadpool_limits(config.epoch_config.num_threads or 1):  # the last bits of a sum depend on their number
            return _fitted(part, data, head, config, (seed, metric))

    validation, probabilities = data.validation, {}
    final = first = fit(data.train)
    loss, score = first.scores(validation, metric)
    if head.refits and validation.num_slides:
        rows_SC = first.probabilities(validation).tolist()
        probabilities = dict(zip(validation.slide_ids, rows_SC, strict=True))
        final = fit(data.train.joined(validation))
    train_loss, _ = final.scores(final.part, metric)
    rows = tuple(
        replace(row, train_loss=train_loss, validation_loss=loss, validation_score=score) if row.is_kept else row
        for row in final.rows
    )
    notes = (*unlearnt_classes(data.classes, final.part, validation), *final.notes)
    linear = final.linear
    weights = {"0.weight": linear.coefficients_CD.astype(np.float32), "0.bias": linear.intercepts_C.astype(np.float32)}
    return FoldModel(data.classes, head, final.standardisation, weights), History(rows, notes, probabilities)


@dataclass(frozen=True)
class _Fitted:
    """A linear head of all classes and features, and what it was fitted to."""

    part: PartData
    standardisation: Standardisation
    linear: Linear
    class_weights_C: Floats
    rows: list[FitRow]
    notes: list[str]

    def probabilities(self, part: PartData) -> Floats:
        standardisation = self.standardisation
        return self.linear.probabilities(standardisation.apply(standardisation.fill(part.features_ND)))

    def scores(self, part: PartData, metric: PrimaryMetric) -> tuple[float | None, float | None]:
        """Loss and metric; None where the part has no slide, or the metric is not defined on it."""
        if not part.num_slides:
            return None, None
        return score_probabilities(self.probabilities(part), part, self.class_weights_C, metric)


def _fitted(
    part: PartData, data: FeatureData, head: HeadConfig, config: TrainingConfig, choice: tuple[int, PrimaryMetric]
) -> _Fitted:
    """A head fitted to a part, with the seed and the metric of its choices."""
    seed, metric = choice
    part = part.chosen(_order(part, data.groups))
    standardisation = Standardisation.fit(part.features_ND, np.ones(part.num_slides))
    varies_D = standardisation.scale_D > 0.0
    vectors_SD = standardisation.apply(standardisation.fill(part.features_ND))[:, varies_D]
    class_weights_C = class_weights(config.loss, class_totals(part, len(data.classes), "slide"))
    present, labels_S = np.unique(part.labels_S, return_inverse=True)
    groups = tuple(data.groups.get(name) for name in part.slide_ids)
    own = FitData(replace(part, labels_S=labels_S), vectors_SD, class_weights_C[present], groups, seed)
    if not varies_D.any():
        linear, rows, notes = _shares(own)
    elif head.kind == "lda":
        linear, rows, notes = _lda(own, metric)
    else:
        linear, rows, notes = _logistic(own, head, config, metric)
    linear = linear.with_absent(present, len(data.classes)).with_constant(varies_D)
    return _Fitted(part, standardisation, linear, class_weights_C, rows, notes)


_Fit = tuple[Linear, list[FitRow], list[str]]


def _order(part: PartData, groups: Mapping[str, str]) -> list[int]:
    """Positions of a part's slides by what they hold, so that sums do not depend on how they came."""

    def content(slide: int) -> tuple[int, bytes, str]:
        return int(part.labels_S[slide]), part.features_ND[slide].tobytes(), groups.get(part.slide_ids[slide], "")

    return sorted(range(part.num_slides), key=content)


def _shares(data: FitData) -> _Fit:
    """What is left to learn where no feature varies."""
    nothing_CD = np.zeros((len(data.class_weights_C), 0))
    note = "no feature varies among the slides: every slide gets the classes' shares"
    return Linear(nothing_CD, np.log(data.priors_C)), [FitRow(is_kept=True)], [note]


def _lda(data: FitData, metric: PrimaryMetric) -> _Fit:
    fit, row = fit_lda(data.vectors_SD, data.part.labels_S, data.priors_C), choose_temperature(data, metric)
    notes = ["slides of one class do not differ: the nearest mean decides"] if fit.shrinkage is None else []
    if row.inner_loss is None:
        notes.append(f"{_FEW_GROUPS}, so that no temperature can be chosen")
    assert row.temperature is not None
    return fit.linear.divided_by(row.temperature), [replace(row, shrinkage=fit.shrinkage)], notes


def _logistic(data: FitData, head: HeadConfig, config: TrainingConfig, metric: PrimaryMetric) -> _Fit:
    rows, notes = [FitRow(head.logistic_c, is_kept=True)], []
    if head.logistic_c is None:
        rows = choose_penalty(data, config.select_by, metric)
        if len(rows) == 1:
            notes.append(f"{_FEW_GROUPS}, so that no penalty can be chosen: logistic_c is {rows[0].logistic_c:.3g}")
    c = next(row.logistic_c for row in rows if row.is_kept)
    assert c is not None
    weights_S = data.class_weights_C[data.part.labels_S]
    (linear,) = fit_path(data.vectors_SD, data.part.labels_S, weights_S, [c], tolerance=_TOLERANCE)
    return linear, rows, notes
