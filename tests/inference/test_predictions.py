import numpy as np
import pandas as pd
import pytest

from tilewise.calibration.calibration import cross_fit
from tilewise.errors import ArtifactError
from tilewise.evaluation.sample import Sample
from tilewise.inference.predictions import Predictions

CLASSES = ("HER2(+)", "NA")


@pytest.fixture
def predictions():
    slides = pd.DataFrame(
        {
            "slide": ["a b.png", "ü,1.png"],
            "label": ["NA", None],
            "group": ["g", "h"],
            "fold": np.int32(0),
            "part": "test",
        }
    )
    return Predictions.of(slides, np.array([[0.25, 0.75], [0.5, 0.5]]), np.array([3, 9]), CLASSES)


def test_every_class_has_a_column_and_the_first_of_equals_is_predicted(predictions):
    assert predictions.table["p_NA"].tolist() == [0.75, 0.5]
    assert predictions.table["predicted"].tolist() == ["NA", "HER2(+)"]
    np.testing.assert_array_equal(predictions.probabilities(), [[0.25, 0.75], [0.5, 0.5]])


def test_what_was_written_is_read_with_missing_labels_and_awkward_names(predictions, tmp_path):
    path = tmp_path / "predictions.parquet"
    predictions.write(path, inputs="digest")
    back = Predictions.read(path)
    pd.testing.assert_frame_equal(back.table, predictions.table)
    assert back.classes == CLASSES
    assert back.table["label"].tolist() == ["NA", None]
    before = path.read_bytes()
    predictions.write(path, inputs="digest")
    assert path.read_bytes() == before


def test_tables_are_joined_in_order(predictions):
    joined = Predictions.join([predictions, predictions])
    assert joined.table["slide"].tolist() == ["a b.png", "ü,1.png"] * 2
    assert joined.table.index.tolist() == [0, 1, 2, 3]


def test_no_slide_is_no_error():
    empty = pd.DataFrame({"slide": [], "label": [], "group": [], "fold": [], "part": []})
    assert Predictions.of(empty, np.empty((0, 2)), np.empty(0, np.int64), CLASSES).table.empty


def test_another_file_is_refused(tmp_path):
    (tmp_path / "predictions.parquet").write_bytes(b"no table")
    with pytest.raises(ArtifactError, match="damaged"):
        Predictions.read(tmp_path / "predictions.parquet")


def test_calibrated_columns_are_cross_fitted_and_the_holdout_has_the_deployed_ones():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"slide": [f"s{number:03d}" for number in rng.permutation(110)]})
    rows["label"] = np.array(CLASSES, object)[np.arange(110) % 2]
    rows["group"], rows["fold"], rows["part"] = rows["slide"], np.arange(110) % 3, "test"
    rows.loc[90:, ["fold", "part"]] = [-1, "holdout"]
    rows.loc[80:89, "part"] = "validation"
    own = np.clip(rng.normal(0.5 + 0.3 * (np.arange(110) % 2), 0.2), 0.01, 0.99)
    before = Predictions.of(rows, np.stack([1 - own, own], axis=1), np.ones(110, int), CLASSES)
    after = before.calibrated()
    pd.testing.assert_frame_equal(after.table[before.table.columns], before.table)
    names = ["calibrated_HER2(+)", "calibrated_NA", "set_90"]
    assert after.table.loc[80:89, names].isna().all(axis=None)
    assert after.table.loc[90:, names[:2]].sum(axis=1).to_numpy() == pytest.approx(1.0)
    deployed = before.fit_calibration()
    holdout = before.probabilities()[90:]
    assert after.table.loc[90:, names[:2]].to_numpy() == pytest.approx(deployed.scaling.apply(holdout))
    sample = Sample.of(before.out_of_fold.table, CLASSES)
    expected = cross_fit(sample.probabilities_NC, sample.truth_N, sample.fold_N, sample.group_N)
    tests = after.table[after.table["part"] == "test"].sort_values("slide")
    assert (tests[names[:2]].to_numpy() == expected.calibrated_NC).all()
    assert [len(names.split("|")) for names in tests["set_90"]] == expected.sets_NC.sum(axis=1).tolist()
    assert all(row.predicted in row.set_90.split("|") for row in tests.itertuples())
