"""Heat in a run's report is out of fold: tiles have the probabilities of the models that predicted their slide."""

import shutil

import pandas as pd

from tilewise import api
from tilewise.inference.predictions import Predictions
from tilewise.reporting.choose import shown_slides
from tilewise.reporting.heat import TileProbabilities
from tilewise.run_folder import RunFolder


def test_the_mean_over_tiles_is_the_prediction_out_of_fold_and_on_the_hold_out(home):
    folder = RunFolder(home / "run")
    tiles = TileProbabilities.read(folder.tile_probabilities).table
    predictions = Predictions.read(folder.predictions)
    results = shown_slides(predictions.table, predictions.classes)
    assert set(tiles["slide"]) == {result.slide for result in results}
    assert {result.fold is None for result in results} == {True, False}  # the run has a hold-out
    columns = [f"p_{name}" for name in predictions.classes]
    means = tiles.groupby("slide")[columns].mean()
    scored = predictions.table[predictions.table["part"].isin(["test", "holdout"])].set_index("slide")
    pd.testing.assert_frame_equal(
        means, scored.loc[means.index, columns].astype("float32"), check_names=False, atol=1e-6, rtol=0
    )
    assert tiles.groupby("slide").size().to_dict() == scored.loc[means.index, "num_tiles"].to_dict()


def test_the_report_shows_them(home):
    page = (home / "run/report.html").read_text("utf-8")
    assert "On the pictured slides, the predicted class leads on " in page
    assert page.count('href="data:image/png;base64,') == page.count('<use class="grey"') > 0


def test_a_run_without_them_still_reports(home, tmp_path):
    run = shutil.copytree(home / "run", tmp_path / "run")
    (run / "tile_probabilities.parquet").unlink()
    page = api.report(run).read_text("utf-8")
    assert "<code>tilewise explain</code> draws where" in page
    assert "data:image/png" not in page
    assert [damage.path for damage in api.verify(run)] == ["tile_probabilities.parquet"]
