"""Features of a cohort as arrays are those that a run learns from."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score

import tilewise as tw
from tests.drawn import draw_cohort, draw_slide, recipe
from tilewise.errors import ArgumentError, UsageError
from tilewise.extraction import extract_features


@pytest.fixture
def folder(tmp_path):
    """Twelve slides of three patients."""
    patients = [str(number // 4) for number in range(12)]
    return draw_cohort(tmp_path / "my_cohort", columns={"patient": patients})


def test_a_run_learns_from_these_features_and_does_not_make_them_again(folder, tmp_path, monkeypatch):
    features = tw.features(folder, recipe())
    bags, labels, groups = features
    assert repr(features) == f"<CohortFeatures: {sum(map(len, bags))} tiles of 12 slides (A 6, B 6), 232 features each>"
    assert features.slide_ids == tuple(slide.slide_id for slide in tw.Cohort.discover(folder).slides)
    assert labels.tolist() == ["A", "B"] * 6
    assert len(set(groups)) == 3

    def encode(chunks, encoder):
        assert not list(chunks), "encoded again"
        return iter(())

    monkeypatch.setattr(extract_features, "_encoded", encode)
    run = tw.train(folder, recipe("folds.num_folds=3"), out=tmp_path / "run")
    table = run.predictions.out_of_fold.to_frame().set_index("slide")
    for name, bag in zip(features.slide_ids, bags, strict=True):
        model = run.classifier().members[table.loc[name, "fold"]]
        probabilities_SC, _ = model.predict_slides(bag, np.zeros(len(bag), np.int64), 1)
        np.testing.assert_allclose(probabilities_SC[0], table.loc[name, ["p_A", "p_B"]].astype(float))
        assert table.loc[name, "num_tiles"] == len(bag)


def test_they_fit_a_classifier_for_arrays(folder):
    bags, labels, groups = tw.features(tw.audit(folder), recipe())
    scores = cross_val_score(tw.SlideClassifier(recipe().head), bags, labels, groups=groups, cv=StratifiedGroupKFold(3))
    assert scores.mean() > 0.8


def test_slides_that_take_no_part_are_named_and_labels_may_be_missing(tmp_path):
    for number in range(3):
        draw_slide(tmp_path / f"slides/{number}.png", number, klass=0)
    (tmp_path / "slides/broken.png").write_bytes(b"no picture")
    features = tw.features(tmp_path / "slides", recipe())
    assert features.slide_ids == ("0.png", "1.png", "2.png")
    assert features.labels.tolist() == [None] * 3
    assert [failure.item for failure in features.failures] == ["broken.png"]
    assert "(no label 3)" in repr(features)


def test_what_has_no_features_is_refused(folder):
    with pytest.raises(UsageError, match=r"training.input=tiles: networks take pixels"):
        tw.features(folder, recipe("training.input=tiles", "encoder.name=resnet18", "encoder.init=random"))
    with pytest.raises(UsageError, match=r"stain.target=median follows from the train part of a fold"):
        tw.features(folder, recipe("stain.method=macenko", "stain.target=median"))
    of_slides = recipe("head.aggregate=feature_mean", "features.context=outside")
    with pytest.raises(UsageError, match=r"features.context and .* describe slides, and bags hold tiles"):
        tw.features(folder, of_slides)
    with pytest.raises(ArgumentError, match=r"audit.ink=repair, the recipe has drop"):
        tw.features(tw.audit(folder), recipe("audit.ink=drop"))
