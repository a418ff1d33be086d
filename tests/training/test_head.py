"""The loop learns, stops where it should, counts what it should, and gives the same bytes again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score, roc_auc_score

from tilewise.errors import TrainingError
from tilewise.models import FoldModel, HeadConfig
from tilewise.training import TrainingConfig
from tilewise.training.data import FeatureData, PartData
from tilewise.training.head import train_head
from tilewise.training_loop import inverse_frequency_weights
from tilewise.training_loop.config import LossConfig

Cohort = Callable[..., FeatureData]
LINEAR = HeadConfig()
UNWEIGHTED = LossConfig(class_weights="none")
MLP = HeadConfig(kind="mlp", hidden_sizes=(16,), norm="batch", dropout=0.2)


def slide_probabilities(model: FoldModel, part: PartData) -> np.ndarray:
    return model.predict_slides(part.features_ND, part.tile_slide_N, part.num_slides)[0]


@pytest.mark.parametrize("head", [LINEAR, MLP, HeadConfig(kind="mlp")], ids=["linear", "batch", "mlp"])
def test_overfits_eight_slides_of_noise(head: HeadConfig) -> None:
    rng = np.random.default_rng(0)
    bags = {f"s{i}": rng.normal(size=(3, 60)).astype(np.float32) for i in range(8)}
    train = PartData.of(bags, {name: i % 3 for i, name in enumerate(bags)})
    data = FeatureData(("A", "B", "C"), train, PartData.of({}, {}))
    model, history = train_head(data, head, TrainingConfig(epochs=150, weight_decay=0.0), seed=0)
    probabilities = slide_probabilities(model, train)
    assert (probabilities.argmax(axis=1) == train.labels_S).all()
    assert probabilities.max(axis=1).mean() > 0.9
    assert history.rows[-1].train_loss < 0.3 * history.rows[0].train_loss


@pytest.mark.parametrize("head", [LINEAR, MLP], ids=["linear", "mlp"])
def test_same_seed_same_bytes(cohort: Cohort, head: HeadConfig, tmp_path: Path) -> None:
    config = TrainingConfig(epochs=6)
    state = torch.random.get_rng_state()
    for name, seed in {"a": 3, "b": 3, "c": 4}.items():
        model, history = train_head(cohort(), head, config, seed=seed)
        model.save(tmp_path / name)
        history.write(tmp_path / name / "history.csv")
    assert torch.equal(torch.random.get_rng_state(), state)
    for name in ("model.safetensors", "model.json", "history.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a" / "model.safetensors").read_bytes() != (tmp_path / "c" / "model.safetensors").read_bytes()


def test_threads_and_determinism_are_left_as_they_were(cohort: Cohort) -> None:
    threads = torch.get_num_threads()
    train_head(cohort(), LINEAR, TrainingConfig(epochs=1, num_threads=threads + 1), seed=0)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_frozen_loss_curve(cohort: Cohort) -> None:
    """Guards against a silent change of the loop; the values are those of the first version."""
    _, history = train_head(cohort(), LINEAR, TrainingConfig(epochs=5), seed=0)
    np.testing.assert_allclose(
        [[row.train_loss, row.validation_loss, row.validation_score, row.learning_rate] for row in history.rows],
        FROZEN,
        rtol=2e-3,
    )


_METRICS: dict[str, Callable[..., float]] = {
    "macro_f1": lambda truth, chances: f1_score(truth, chances.argmax(axis=1), average="macro"),
    "weighted_f1": lambda truth, chances: f1_score(truth, chances.argmax(axis=1), average="weighted"),
    "balanced_accuracy": lambda truth, chances: balanced_accuracy_score(truth, chances.argmax(axis=1)),
    "auroc_macro": lambda truth, chances: roc_auc_score(truth, chances, multi_class="ovr"),
}


@pytest.mark.parametrize(("by", "metric"), [("loss", "macro_f1"), *(("metric", name) for name in _METRICS)])
def test_the_best_epoch_on_select_is_kept(cohort: Cohort, by: str, metric: Any) -> None:
    data = cohort(train=(6, 5, 4), validation=(14, 10, 6), strength=0.4)
    config = TrainingConfig(select_by=by, patience="never", epochs=80, loss=UNWEIGHTED, learning_rate=0.2)
    model, history = train_head(data, LINEAR, config, seed=0, metric=metric)
    losses = [row.validation_loss for row in history.rows]
    scores = [row.validation_score for row in history.rows]
    best = int(np.argmin(losses)) if by == "loss" else int(np.argmax(scores))
    assert history.kept_epoch == best + 1
    assert best < 60
    assert best > 0 or metric == "auroc_macro"  # which ranks best with the first weights here
    assert len(history.rows) == 80
    probabilities = slide_probabilities(model, data.validation)
    truth = data.validation.labels_S
    assert -np.log(probabilities[np.arange(30), truth]).mean() == pytest.approx(losses[best], rel=1e-4)
    assert _METRICS[metric](truth, probabilities) == pytest.approx(scores[best])
    _, stopped = train_head(data, LINEAR, config.model_copy(update={"patience": 7}), seed=0, metric=metric)
    assert len(stopped.rows) < 80
    assert stopped.kept_epoch == len(stopped.rows) - 7
    what = "validation_loss" if by == "loss" else "validation_score"
    assert stopped.notes == (f"stopped after epoch {len(stopped.rows)}: 7 epochs without a better {what}",)


def test_where_the_metric_is_not_defined_on_select_the_loss_decides_and_that_is_said(cohort: Cohort) -> None:
    data = cohort(validation=(4, 0, 0))
    config = TrainingConfig(select_by="metric", epochs=9)
    _, by_loss = train_head(data, LINEAR, TrainingConfig(epochs=9), seed=0)
    _, history = train_head(data, LINEAR, config, seed=0, metric="auroc_macro")
    assert {row.validation_score for row in history.rows} == {None}
    assert history.kept_epoch == by_loss.kept_epoch
    assert "the metric is not defined on the validation part" in history.notes[0]


def test_without_a_select_part_the_last_epoch_is_kept_and_that_is_said(cohort: Cohort) -> None:
    _, history = train_head(cohort(validation=(0, 0, 0)), LINEAR, TrainingConfig(epochs=9, patience=1), seed=0)
    assert (len(history.rows), history.kept_epoch) == (9, 9)
    assert history.notes == ("no validation part: trained for all 9 epochs, and the last one is kept",)
    assert {row.validation_loss for row in history.rows} == {None}


def test_a_class_only_select_has_is_noted(cohort: Cohort) -> None:
    _, history = train_head(cohort(train=(9, 9, 0)), LINEAR, TrainingConfig(epochs=2), seed=0)
    assert history.notes == ("class rare is in validation but not in train: it cannot be learnt",)


def test_class_weights_raise_the_recall_of_the_rare_class(cohort: Cohort) -> None:
    data = cohort(train=(80, 40, 8), validation=(20, 10, 4), strength=0.7)
    fresh = cohort(train=(60, 60, 60), strength=0.7, seed=9).train
    recall = {}
    for weighting in ("none", "sqrt", "inverse"):
        model, _ = train_head(data, LINEAR, TrainingConfig(loss=LossConfig(class_weights=weighting)), seed=0)
        predicted = slide_probabilities(model, fresh).argmax(axis=1)
        recall[weighting] = recall_score(fresh.labels_S, predicted, average=None)[2]
    assert recall["none"] < recall["sqrt"] < recall["inverse"]
    assert recall["inverse"] > recall["none"] + 0.3


@pytest.mark.parametrize("weight", ["slide", "tile"])
@pytest.mark.parametrize("weighting", ["none", "inverse"])
def test_converges_to_weighted_softmax_regression(cohort: Cohort, weight: str, weighting: str) -> None:
    """Slides, tiles and classes count as documented: the optimum is scikit-learn's with the same weights."""
    data = cohort(train=(40, 20, 10), validation=(0, 0, 0), strength=0.7)
    config = TrainingConfig(
        weight=weight,
        loss=LossConfig(class_weights=weighting),
        epochs=400,
        weight_decay=0.0,
        learning_rate=0.1,
        batch_size=10**6,
    )
    model, _ = train_head(data, LINEAR, config, seed=0)
    train = data.train
    labels = train.labels_S[train.tile_slide_N]
    shares = 1.0 / train.num_tiles_S[train.tile_slide_N] if weight == "slide" else np.ones(len(labels))
    counts = np.bincount(train.labels_S if weight == "slide" else labels)
    reference = LogisticRegression(C=1e6, max_iter=2000).fit(
        model.standardisation.apply(train.features_ND),
        labels,
        sample_weight=shares * inverse_frequency_weights(counts, weighting)[labels],
    )
    expected = reference.predict_proba(model.standardisation.apply(train.features_ND))
    np.testing.assert_allclose(model.predict_tiles(train.features_ND), expected, atol=0.01)


def test_standardisation_is_of_train_only(cohort: Cohort) -> None:
    data = cohort()
    model, _ = train_head(data, LINEAR, TrainingConfig(epochs=1, weight="tile"), seed=0)
    np.testing.assert_allclose(model.standardisation.mean_D, data.train.features_ND.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(1 / model.standardisation.scale_D, data.train.features_ND.std(axis=0), rtol=1e-5)


@pytest.mark.parametrize("num_tiles", [2, 3, 5])
def test_no_batch_has_a_single_tile(num_tiles: int) -> None:
    bags = {f"s{i}": np.full((1, 4), i, dtype=np.float32) for i in range(num_tiles)}
    train = PartData.of(bags, {name: i % 2 for i, name in enumerate(bags)})
    data = FeatureData(("A", "B"), train, PartData.of({}, {}))
    train_head(data, HeadConfig(norm="batch"), TrainingConfig(batch_size=2, epochs=2), seed=0)


def test_a_loss_that_is_not_finite_names_fold_step_and_slides(cohort: Cohort) -> None:
    config = TrainingConfig(learning_rate=10.0, weight_decay=100.0)  # each step shrinks the weights by -99,900 %
    with pytest.raises(
        TrainingError,
        match=r"fold 4: the loss is (nan|inf) at epoch \d+, step \d+, learning rate [\d.]+, slides t\d_\d+",
    ):
        train_head(cohort(), LINEAR, config, seed=0, name="fold 4")


FROZEN = [
    [1.070096, 1.02522, 0.698413, 0.05],
    [0.961593, 0.95635, 0.707937, 0.045225],
    [0.904526, 0.930602, 0.600866, 0.032725],
    [0.878653, 0.920768, 0.755556, 0.017275],
    [0.871021, 0.919071, 0.755556, 0.004775],
]


@pytest.mark.parametrize(
    "changed",
    [
        {"loss": {"kind": "focal"}},
        {"loss": {"class_weights": "effective"}},
        {"loss": {"label_smoothing": 0.2}},
        {"loss": {"l1": 0.01}},
        {"loss": {"l2": 0.01}},
        *({"optimizer": {"kind": kind}} for kind in ("adam", "sgd", "lion", "radam", "ranger")),
        *({"schedule": {"kind": kind}} for kind in ("one_cycle", "constant")),
        {"schedule": {"kind": "restarts", "first_cycle_epochs": 2}},
        {"schedule": {"kind": "plateau", "plateau_patience": 0, "plateau_improvement": 1.0}},
        {"schedule": {"warmup_epochs": 2}},
        {"mixup": {"level": "features"}},
        {"sampling": {"unit": "slide"}},
        {"sampling": {"balance": "class"}, "loss": {"class_weights": "none"}},
        {"sampling": {"balance": "rare"}, "loss": {"class_weights": "none"}},
        {"step": {"accumulate": 3}},
        {"step": {"clip_norm": 0.001}},
        {"step": {"ema_decay": 0.9}},
    ],
    ids=str,
)
def test_every_choice_trains_another_head_that_still_learns(cohort: Cohort, changed: dict) -> None:
    data = cohort(strength=2.0)
    plain, _ = train_head(data, LINEAR, TrainingConfig(epochs=8), seed=0)
    config = TrainingConfig.model_validate({"epochs": 8, **changed})
    model, history = train_head(data, LINEAR, config, seed=0)
    assert not np.array_equal(model.weights["0.weight"], plain.weights["0.weight"])
    assert np.isfinite([row.train_loss for row in history.rows]).all()
    predicted = slide_probabilities(model, data.validation).argmax(axis=1)
    assert f1_score(data.validation.labels_S, predicted, average="macro") > 0.6


def test_mixing_with_alpha_zero_changes_no_bit(cohort: Cohort) -> None:
    config = TrainingConfig.model_validate({"epochs": 3, "mixup": {"level": "features", "mixup_alpha": 0.0}})
    mixed, plain = (train_head(cohort(), LINEAR, each, seed=0)[0] for each in (config, TrainingConfig(epochs=3)))
    for name, array in plain.weights.items():
        np.testing.assert_array_equal(mixed.weights[name], array)
