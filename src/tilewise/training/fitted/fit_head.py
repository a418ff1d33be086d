"""Vectors of slides in, a head that was fitted at once and its history out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tilewise.metrics import PrimaryMetric
from tilewise.models import FoldModel, HeadConfig, Standardisation
from tilewise.trainer import balance
from tilewise.training.config import TrainingConfig
from tilewise.training.data import FeatureData, PartData
from tilewise.training.fitted.choices import choose_penalty, choose_temperature
from tilewise.training.fitted.inner_folds import FitData
from tilewise.training.fitted.lda import fit_lda
from tilewise.training.fitted.linear import Linear
from tilewise.training.fitted.logistic import fit_path
from tilewise.training.history import FitRow, History, unlearnt_classes
from tilewise.training.sample_weights import class_totals
from tilewise.training.scores import score_probabilities

_TOLERANCE = 1e-7  # of the model that is kept
_FEW_GROUPS = "fewer than two classes have slides of two groups in the train part"


def fit_head(
    data: FeatureData, head: HeadConfig, config: TrainingConfig, *, seed: int, metric: PrimaryMetric = "macro_f1"
) -> tuple[FoldModel, History]:
    """Fit a head of kind lda or logistic to `data.train`; `data.validation` is scored, and decides nothing.

    `training.loss.class_weights` gives the priors of lda, slides of the class times its weight, and the weight of
    each slide of logistic. The order of the slides does not matter: the same slides, configs and seed give the same
    model, to the bit, on one machine.

    Args:
        data: one vector per slide, labels, and the groups of the train part.
        head: what is fitted.
        config: how.
        seed: which groups come together in the inner folds.
        metric: that validation is scored by, and that the penalty is chosen by where `config.select_by` says so.
    """
    from threadpoolctl import threadpool_limits

    train, num_classes = data.train.chosen(_order(data)), len(data.classes)
    standardisation = Standardisation.fit(train.features_ND, np.ones(train.num_slides))
    varies_D = standardisation.scale_D > 0.0
    vectors_SD = standardisation.apply(train.features_ND)[:, varies_D]
    class_weights_C = balance(config.loss, class_totals(train, num_classes, "slide"))
    present, labels_S = np.unique(train.labels_S, return_inverse=True)
    groups = tuple(data.groups.get(name) for name in train.slide_ids)
    own = FitData(replace(train, labels_S=labels_S), vectors_SD, class_weights_C[present], groups, seed)
    with threadpool_limits(config.epoch_config.num_threads or 1):  # the last bits of a sum depend on their number
        if not varies_D.any():
            linear, rows, notes = _shares(own)
        elif head.kind == "lda":
            linear, rows, notes = _lda(own, metric)
        else:
            linear, rows, notes = _logistic(own, head, config, metric)
    linear = linear.with_absent(present, num_classes).with_constant(varies_D)
    weights = {"0.weight": linear.coefficients_CD.astype(np.float32), "0.bias": linear.intercepts_C.astype(np.float32)}

    def scores(part: PartData) -> tuple[float | None, float | None]:
        if not part.num_slides:
            return None, None
        probabilities_SC = linear.probabilities(standardisation.apply(part.features_ND))
        return score_probabilities(probabilities_SC, part, class_weights_C, metric)

    (train_loss, _), (loss, score) = scores(train), scores(data.validation)
    rows = [
        replace(row, train_loss=train_loss, validation_loss=loss, validation_score=score) if row.is_kept else row
        for row in rows
    ]
    history = History(tuple(rows), (*unlearnt_classes(data.classes, train, data.validation), *notes))
    return FoldModel(data.classes, head, standardisation, weights), history


_Fit = tuple[Linear, list[FitRow], list[str]]


def _order(data: FeatureData) -> list[int]:
    """Positions of the train part's slides by what they hold, so that sums do not depend on how they came."""
    train = data.train

    def content(slide: int) -> tuple[int, bytes, str]:
        return (
            int(train.labels_S[slide]),
            train.features_ND[slide].tobytes(),
            data.groups.get(train.slide_ids[slide], ""),
        )

    return sorted(range(train.num_slides), key=content)


def _shares(data: FitData) -> _Fit:
    """What is left to learn where no feature varies."""
    nothing_CD = np.zeros((len(data.class_weights_C), 0))
    note = "no feature varies among the slides: every slide gets the classes' shares"
    return Linear(nothing_CD, np.log(data.priors_C)), [FitRow(is_kept=True)], [note]


def _lda(data: FitData, metric: PrimaryMetric) -> _Fit:
    fit, row = fit_lda(data.vectors_SD, data.part.labels_S, data.priors_C), choose_temperature(data, metric)
    notes = ["slides of one class do not differ: the nearest mean decides"] if fit.shrinkage is None else []
    if row.inner_loss is None:
        notes.append(f"{_FEW_GROUPS}, so that probabilities are not calibrated")
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
