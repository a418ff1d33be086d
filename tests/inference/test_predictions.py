import numpy as np
import pandas as pd
import pytest

from tilewise.errors import ArtifactError
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
