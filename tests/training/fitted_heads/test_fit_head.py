"""Heads that are fitted at once: what they learn, what they need not know, and the edges of small cohorts."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from tilewise.errors import RecipeError
from tilewise.models import FoldModel, HeadConfig
from tilewise.recipe import load_recipe
from tilewise.training import TrainingConfig
from tilewise.training.data import FeatureData, PartData
from tilewise.training.fitted_heads.choose_penalty import TRIED
from tilewise.training.head import train_head

Cohort = Callable[..., FeatureData]
LDA, LOGISTIC = HeadConfig(refit=False, kind="lda"), HeadConfig(refit=False, kind="logistic")
BOTH = HeadConfig(refit=False, kind="lda", aggregate="feature_mean_and_deviation")
KINDS = pytest.mark.parametrize("head", [LDA, LOGISTIC, BOTH], ids=["lda", "logistic", "deviations"])
EMPTY = PartData.of({}, {})


def weighing(class_weights: str) -> TrainingConfig:
    return TrainingConfig.model_validate({"loss": {"class_weights": class_weights}})


def probabilities(model: FoldModel, part: PartData) -> np.ndarray:
    return model.predict_slides(part.features_ND, part.tile_slide_N, part.num_slides)[0]


def means(part: PartData) -> np.ndarray:
    features_ND = part.features_ND.astype(np.float64)
    return np.stack([features_ND[part.tile_slide_N == slide].mean(axis=0) for slide in range(part.num_slides)])


def many_features(num_slides: int, *, num_features: int = 40, num_classes: int = 2, names: str = "s") -> PartData:
    """More features than slides."""
    rng = np.random.default_rng(num_slides)
    labels = {f"{names}{slide:02d}": slide % num_classes for slide in range(num_slides)}
    bags = {
        name: (rng.normal(size=(3, num_features)) + 2 * np.eye(num_classes, num_features)[label]).astype(np.float32)
        for name, label in labels.items()
    }
    return PartData.of(bags, labels)


@pytest.mark.parametrize(("class_weights", "balanced"), [("none", None), ("inverse", "balanced")])
@pytest.mark.parametrize("c", [0.01, 1.0])
def test_logistic_is_a_pipeline_of_scikit_learn(cohort: Cohort, class_weights, balanced, c) -> None:
    data = cohort()
    head = HeadConfig(refit=False, kind="logistic", logistic_c=c)
    model, history = train_head(data, head, weighing(class_weights), seed=0)
    theirs = make_pipeline(
        StandardScaler(), LogisticRegression(C=c, class_weight=balanced, tol=1e-8, max_iter=5000)
    ).fit(means(data.train), data.train.labels_S)
    expected = theirs.predict_proba(means(data.validation))
    np.testing.assert_allclose(probabilities(model, data.validation), expected, atol=1e-4)
    assert [(row.logistic_c, row.is_kept) for row in history.rows] == [(c, True)]


@pytest.mark.parametrize(("class_weights", "priors"), [("none", [24, 12, 6]), ("inverse", [1, 1, 1])])
def test_lda_is_a_pipeline_of_scikit_learn(cohort: Cohort, class_weights, priors) -> None:
    data = cohort()
    model, history = train_head(data, LDA, weighing(class_weights), seed=0)
    theirs = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis("lsqr", history.rows[0].shrinkage))
    theirs.fit(means(data.train), data.train.labels_S)
    scores_SC = theirs.decision_function(means(data.validation)) - np.log([24, 12, 6]) + np.log(priors)
    scores_SC /= history.rows[0].temperature
    expected = np.exp(scores_SC) / np.exp(scores_SC).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities(model, data.validation), expected, atol=1e-4)


@KINDS
def test_the_order_of_the_slides_and_the_number_of_threads_change_no_bit(cohort: Cohort, head: HeadConfig) -> None:
    data = cohort()
    names = np.array(data.train.slide_ids)
    groups = {name: f"g{number // 2}" for number, name in enumerate(names)}
    bags = {name: data.train.features_ND[data.train.tile_slide_N == slide] for slide, name in enumerate(names)}
    labels = dict(zip(names, data.train.labels_S, strict=True))
    order = np.random.default_rng(1).permutation(names)
    turned = replace(data, train=PartData.of({name: bags[name] for name in order}, labels), groups=groups)
    with threadpool_limits(1):
        one, history = train_head(replace(data, groups=groups), head, TrainingConfig(), seed=3)
    with threadpool_limits(2):
        other, again = train_head(turned, head, TrainingConfig(), seed=3)
    for name in ("0.weight", "0.bias"):
        assert one.weights[name].tobytes() == other.weights[name].tobytes()
    assert one.standardisation.mean_D.tobytes() == other.standardisation.mean_D.tobytes()
    assert history == again


@KINDS
def test_validation_decides_nothing_and_is_scored(cohort: Cohort, head: HeadConfig) -> None:
    data = cohort(strength=2.0)
    model, history = train_head(data, head, TrainingConfig(), seed=0)
    without, blind = train_head(replace(data, validation=EMPTY), head, TrainingConfig(), seed=0)
    assert model.weights["0.weight"].tobytes() == without.weights["0.weight"].tobytes()
    (row,), (unscored,) = ([row for row in one.rows if row.is_kept] for one in (history, blind))
    assert replace(row, validation_loss=None, validation_score=None) == unscored
    true_S = probabilities(model, data.validation)[np.arange(15), data.validation.labels_S]
    unweighted, _ = train_head(data, head, weighing("none"), seed=0)
    assert row.validation_loss == pytest.approx(
        np.average(-np.log(true_S), weights=(42 / (3 * np.array([24, 12, 6])))[data.validation.labels_S]), rel=1e-3
    )
    assert row.validation_score > 0.6
    assert not np.array_equal(unweighted.weights["0.bias"], model.weights["0.bias"])


@KINDS
def test_refit_learns_from_validation_after_it_was_scored(cohort: Cohort, head: HeadConfig) -> None:
    data, again = cohort(), head.model_copy(update={"refit": True})
    first, scored = train_head(data, head, TrainingConfig(), seed=0)
    model, history = train_head(data, again, TrainingConfig(), seed=0)
    taken = next(row for row in history.rows if row.is_kept)
    before = next(row for row in scored.rows if row.is_kept)
    assert (taken.validation_loss, taken.validation_score) == (before.validation_loss, before.validation_score)
    rows_SC = np.array([history.validation[name] for name in data.validation.slide_ids])
    np.testing.assert_allclose(rows_SC, probabilities(first, data.validation), atol=1e-5)
    joined = FeatureData(data.classes, _both(data), EMPTY)
    together, _ = train_head(joined, head, TrainingConfig(), seed=0)
    for name in ("0.weight", "0.bias"):
        assert model.weights[name].tobytes() == together.weights[name].tobytes()
    assert scored.validation == {}
    unscored, blind = train_head(replace(data, validation=EMPTY), again, TrainingConfig(), seed=0)
    assert blind.validation == {}
    assert unscored.weights["0.bias"].tobytes() == first.weights["0.bias"].tobytes()


def _both(data: FeatureData) -> PartData:
    """Train and validation as one part."""
    bags, labels = {}, {}
    for part in (data.train, data.validation):
        for slide, name in enumerate(part.slide_ids):
            bags[name], labels[name] = part.features_ND[part.tile_slide_N == slide], int(part.labels_S[slide])
    return PartData.of(bags, labels)


def test_the_penalty_does_best_on_the_inner_folds(cohort: Cohort) -> None:
    _, history = train_head(cohort(), LOGISTIC, TrainingConfig(), seed=0)
    losses = [row.inner_loss for row in history.rows]
    assert len(losses) == len(TRIED)
    assert [row.is_kept for row in history.rows].index(True) == int(np.argmin(losses))
    assert [row.logistic_c * 12 for row in history.rows] == pytest.approx(TRIED)
    by_metric = TrainingConfig(select_by="metric")
    _, history = train_head(cohort(), LOGISTIC, by_metric, seed=0, metric="balanced_accuracy")
    scores = [row.inner_score for row in history.rows]
    assert [row.is_kept for row in history.rows].index(True) == int(np.argmax(scores))


def test_copies_in_one_group_do_not_make_a_weak_penalty_look_good() -> None:
    """Slides without any signal, each twice: by slide the copy gives the answer away, by group nothing does."""
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(30, 60)), 2, axis=0).astype(np.float32)
    labels = np.repeat(rng.permutation(np.arange(30) % 2), 2)
    train = PartData.of(
        {f"s{slide:02d}": vectors[slide : slide + 1] for slide in range(60)},
        {f"s{slide:02d}": int(label) for slide, label in enumerate(labels)},
    )
    alone = FeatureData(("A", "B"), train, EMPTY)
    grouped = replace(alone, groups={f"s{slide:02d}": f"g{slide // 2}" for slide in range(60)})
    best = {}
    for name, data in {"alone": alone, "grouped": grouped}.items():
        _, history = train_head(data, LOGISTIC, TrainingConfig(), seed=0)
        best[name] = next(row for row in history.rows if row.is_kept)
    assert best["alone"].inner_loss < 0.2
    assert best["grouped"].inner_loss > 0.6
    assert best["grouped"].logistic_c < best["alone"].logistic_c / 100


@KINDS
@pytest.mark.parametrize("num_slides", [2, 3, 5])
def test_a_handful_of_slides_is_enough(head: HeadConfig, num_slides: int) -> None:
    train = many_features(num_slides)
    model, history = train_head(FeatureData(("A", "B"), train, EMPTY), head, TrainingConfig(), seed=0)
    assert (probabilities(model, train).argmax(axis=1) == train.labels_S).all()
    if num_slides < 4:
        assert "fewer than two classes have slides of two groups in the train part" in history.notes[-1]
        assert len(history.rows) == 1
        assert history.rows[0].logistic_c == (pytest.approx(10 / 40) if head.kind == "logistic" else None)
        assert history.rows[0].temperature == (None if head.kind == "logistic" else 1.0)


def test_lda_is_as_sure_as_it_is_right_where_features_outnumber_slides() -> None:
    rng = np.random.default_rng(0)
    mixing_DD = rng.normal(size=(300, 300)) / np.sqrt(np.arange(1, 301))[:, None]

    def part(num: int) -> PartData:
        labels = {f"s{slide:03d}": slide % 2 for slide in range(num)}
        shifts = 0.3 * rng.binomial(1, 0.8, num)
        bags = {
            name: (rng.normal(size=(1, 300)) @ mixing_DD + shift * (2 * label - 1)).astype(np.float32)
            for (name, label), shift in zip(labels.items(), shifts, strict=True)
        }
        return PartData.of(bags, labels)

    train, fresh = part(60), part(400)
    model, history = train_head(FeatureData(("A", "B"), train, EMPTY), LDA, TrainingConfig(), seed=0)
    own_S = probabilities(model, fresh)[np.arange(400), fresh.labels_S]
    accuracy = (own_S > 0.5).mean()
    assert 0.7 < accuracy < 0.9
    assert history.rows[0].temperature > 5
    assert abs(probabilities(model, fresh).max(axis=1).mean() - accuracy) < 0.15
    assert -np.log(own_S).mean() < 0.5


def test_a_class_of_one_group_is_learnt_and_not_scored(cohort: Cohort) -> None:
    data = cohort(train=(12, 12, 4))
    data = replace(data, groups={name: "one patient" for name in data.train.slide_ids if name.startswith("t2")})
    model, history = train_head(data, LOGISTIC, TrainingConfig(), seed=0)
    assert len(history.rows) == len(TRIED)
    assert probabilities(model, data.train)[-4:].argmax(axis=1).tolist() == [2] * 4


@KINDS
def test_a_class_that_is_not_in_train_is_named_and_next_to_impossible(cohort: Cohort, head: HeadConfig) -> None:
    data = cohort(train=(9, 0, 6))
    model, history = train_head(data, head, TrainingConfig(), seed=0)
    assert history.notes == ("class middle is in validation but not in train: it cannot be learnt",)
    assert probabilities(model, data.validation)[:, 1].max() <= 1e-6


@KINDS
def test_features_that_do_not_vary_change_nothing(cohort: Cohort, head: HeadConfig) -> None:
    data = cohort()
    widened = replace(
        data,
        **{
            part: replace(
                getattr(data, part), features_ND=np.insert(getattr(data, part).features_ND, [0, 12], 7.5, axis=1)
            )
            for part in ("train", "validation")
        },
    )
    model, other = (train_head(one, head, TrainingConfig(), seed=0)[0] for one in (data, widened))
    np.testing.assert_allclose(
        probabilities(other, widened.validation), probabilities(model, data.validation), atol=1e-5
    )


@KINDS
def test_where_no_feature_varies_every_slide_gets_the_shares(head: HeadConfig) -> None:
    train = many_features(8)
    train = replace(train, features_ND=np.ones_like(train.features_ND), labels_S=np.array([0, 0, 0, 0, 0, 0, 1, 1]))
    model, history = train_head(FeatureData(("A", "B"), train, EMPTY), head, weighing("none"), seed=0)
    np.testing.assert_allclose(probabilities(model, train), [[0.75, 0.25]] * 8, atol=1e-6)
    assert history.notes == ("no feature varies among the slides: every slide gets the classes' shares",)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize("aggregate", ["feature_mean", "feature_max", "feature_mean_and_deviation"])
def test_heads_that_learn_in_epochs_take_slides_vectors_too(cohort: Cohort, kind: str, aggregate: str) -> None:
    data, head = cohort(strength=2.0), HeadConfig(kind=kind, aggregate=aggregate)
    model, history = train_head(data, head, TrainingConfig(), seed=0)
    assert (probabilities(model, data.validation).argmax(axis=1) == data.validation.labels_S).mean() > 0.8
    best = min(row.validation_loss for row in history.rows)
    weights = (42 / (3 * np.array([24, 12, 6])))[data.validation.labels_S]
    true_S = probabilities(model, data.validation)[np.arange(15), data.validation.labels_S]
    assert np.average(-np.log(true_S), weights=weights) == pytest.approx(best, rel=1e-4)


def test_deviations_are_learnt_from_where_means_say_nothing() -> None:
    rng = np.random.default_rng(0)

    def part(num: int) -> PartData:
        bags = {f"s{slide:03d}": rng.normal(0.0, 1 + slide % 2, (40, 6)).astype(np.float32) for slide in range(num)}
        return PartData.of(bags, {name: number % 2 for number, name in enumerate(bags)})

    train, fresh = part(40), part(60)
    accuracy = {}
    for head in (LDA, BOTH):
        model, _ = train_head(FeatureData(("A", "B"), train, EMPTY), head, TrainingConfig(), seed=0)
        accuracy[head.aggregator] = (probabilities(model, fresh).argmax(axis=1) == fresh.labels_S).mean()
    assert accuracy["feature_mean"] < 0.75
    assert accuracy["feature_mean_and_deviation"] == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["training.epochs=9"], "training.epochs has no effect with head.kind=lda"),
        (["training.optimizer.kind=sgd"], "training.optimizer has no effect with head.kind=lda"),
        (["training.mixup.level=features"], "training.mixup has no effect with head.kind=lda"),
        (["training.sampling.balance=class"], "training.sampling has no effect with head.kind=lda"),
        (["training.patience=never"], "training.patience has no effect"),
        (["training.weight=tile"], "training.weight has no effect"),
        (["training.loss.label_smoothing=0.1"], "training.loss.label_smoothing has no effect"),
        (["training.loss.kind=focal"], "training.loss.kind has no effect"),
        (["training.select_by=metric"], "training.select_by has no effect with head.kind=lda"),
        (["training.select_by=metric", "head.kind=logistic", "head.logistic_c=1"], "training.select_by has no effect"),
        (["training.input=tiles"], "head.kind=lda takes features, .* set head.kind=linear and head.aggregate=mean"),
        (["head.logistic_c=1"], "head.logistic_c has no effect with `kind: lda`; set head.kind=logistic"),
        (["head.kind=mlp", "head.refit=true"], "head.refit has no effect with `kind: mlp`; set head.kind=lda"),
        (["head.norm=batch"], "head.norm has no effect with `kind: lda`; set head.kind=linear"),
        (["head.dropout=0.1"], "head.dropout has no effect with `kind: lda`; set head.kind=linear"),
        (["head.aggregate=attention"], "head.aggregate=attention needs a head that learns in epochs"),
        (["head.aggregate=mean"], "head.aggregate=mean needs .* set head.aggregate=feature_mean"),
        (["head.kind=linear", "head.aggregate=feature_mean", "training.weight=tile"], "training.weight has no effect"),
        (["head.kind=linear", "head.aggregate=feature_mean", "training.input=tiles"], "feature_mean takes features"),
    ],
)
def test_what_has_no_effect_is_refused(options: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("texture", ["head.kind=lda", *options])


def test_what_has_an_effect_is_taken() -> None:
    options = ["head.kind=logistic", "training.select_by=metric", "training.loss.class_weights=sqrt"]
    assert load_recipe("texture", options).head.aggregator == "feature_mean"
    assert load_recipe("texture", ["head.kind=lda", "training.num_threads=2"]).head.aggregate is None
    assert load_recipe("texture").head.aggregator == "mean"
