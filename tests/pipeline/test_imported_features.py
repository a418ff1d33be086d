"""Runs that start from features of other programs: the same score from every format, and what was not looked at."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

import tilewise as tw
from tests.drawn import draw_cohort
from tests.interchange.written import grid, vectors, write_clam, write_stamp, write_trident
from tilewise.api import export_features, import_features
from tilewise.cli.main import run
from tilewise.errors import UsageError

NUM = 18
SETTINGS = {"folds.num_folds": 3, "evaluation.num_resamples": 100, "head.kind": "lda"}


def features_of(number, *, num_tiles=6):
    """Vectors of a slide whose second half tells its class, exact in float16 so that formats cannot differ."""
    features = np.round(vectors(num_tiles, seed=number) * 8) / 8
    features[:, 4:] += 2.0 * (number % 2)
    return features.astype(np.float32)


def write_labels(path, *, suffix=".svs"):
    rows = [(f"s{number:02d}{suffix}", "AB"[number % 2], f"p{number // 2}") for number in range(NUM)]
    pd.DataFrame(rows, columns=["slide_id", "label", "case_id"]).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    write_labels(home / "labels.csv")
    for number in range(NUM):
        name, features = f"s{number:02d}", features_of(number)
        write_trident(home / f"trident/features_uni_v1/{name}.h5", features, grid(6))
        write_clam(home / "clam", name, features, grid(6))
        write_stamp(home / f"stamp/uni-0a1b2c3d/{name}.h5", features, grid(6) * 0.5)
    import_features(home / "trident", home / "ours")
    export_features(home / "ours", home / "mil", "torchmil")
    return home


def recipe():
    return tw.load_recipe("texture").with_(**SETTINGS)


@pytest.fixture(scope="module")
def trained(home):
    return tw.train(home / "trident", recipe(), out=home / "run", labels=home / "labels.csv")


def test_a_run_has_folds_scores_intervals_and_the_groups_of_the_table(trained):
    assert trained.evaluation.out_of_fold.num_slides == NUM
    assert trained.evaluation.primary.value > 0.9
    assert trained.evaluation.primary.low is not None
    folds = json.loads(trained.folder.folds.read_text())
    assert {item["group"] for item in folds["slides"].values()} == {f"p{number}" for number in range(NUM // 2)}


def test_the_model_card_names_the_encoder_of_the_files_and_no_licence_that_nobody_knows(trained, tmp_path):
    card = tw.api.model_card(trained, tmp_path / "card").read_text("utf-8")
    assert "- Encoder uni_v1, by which TRIDENT made the features.\n" in card
    assert "**To fill in:** the licence and the paper of that encoder." in card
    assert "texture" not in card.partition("## Model")[2].partition("## Intended use")[0]
    assert "Apache-2.0" not in card


@pytest.mark.parametrize("name", ["clam", "stamp", "ours", "mil"])
def test_every_format_trains_to_the_same_predictions(home, trained, name, tmp_path):
    other = tw.train(home / name, recipe(), out=tmp_path / "run", labels=home / "labels.csv")
    columns = ["slide", "fold", "part", "p_A", "p_B"]
    pd.testing.assert_frame_equal(
        other.predictions.to_frame()[columns].reset_index(drop=True),
        trained.predictions.to_frame()[columns].reset_index(drop=True),
    )


def test_stamps_two_tables_train_to_the_same_predictions_as_one(home, trained, tmp_path, capfd):
    patients = sorted({number // 2 for number in range(NUM)})
    clini = pd.DataFrame({"PATIENT": [f"p{one}" for one in patients], "AGE": [60 + one for one in patients]})
    clini["MSI"] = ["AB"[one % 2] for one in patients]
    clini.to_csv(tmp_path / "clini.csv", index=False)
    numbers = range(NUM)
    slides = pd.DataFrame(
        {"PATIENT": [f"p{number // 2}" for number in numbers], "FILENAME": [f"s{number:02d}.h5" for number in numbers]}
    )
    slides.to_csv(tmp_path / "slide.csv", index=False)
    joined = slides.merge(clini, on="PATIENT").rename(columns={"MSI": "label", "FILENAME": "slide"})
    joined.to_csv(tmp_path / "labels.csv", index=False)
    own = tw.train(home / "stamp", recipe(), out=tmp_path / "own", labels=tmp_path / "labels.csv")
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    tables = ["--labels", str(tmp_path / "clini.csv"), "--slide-table", str(tmp_path / "slide.csv")]
    more = ["--label-column", "MSI", "--recipe", "texture", "--out", str(tmp_path / "run"), *settings]
    assert run(["train", str(home / "stamp/uni-0a1b2c3d"), *tables, *more]) == 0
    assert "columns `PATIENT` as patient, `MSI` as label" in capfd.readouterr().err
    pd.testing.assert_frame_equal(
        tw.Run.open(tmp_path / "run").predictions.to_frame().reset_index(drop=True),
        own.predictions.to_frame().reset_index(drop=True),
    )
    folds = json.loads((tmp_path / "run/folds.json").read_text())
    assert {item["group"] for item in folds["slides"].values()} == {f"p{one}" for one in patients}
    assert run(["train", str(home / "stamp"), *tables[2:], *more]) == 2
    assert "give that table of labels too" in capfd.readouterr().err


def test_the_report_says_what_was_not_looked_at_and_shows_no_audit(trained):
    page = trained.folder.report.read_text("utf-8")
    assert "no pixel was looked at" in page
    assert "uni_v1" in page
    assert "Looked for: files that cannot be read" not in page
    assert "pictures are missing" not in page
    assert trained.warnings[0].startswith("The features are TRIDENT's, by uni_v1 (8 values a tile)")
    assert not (trained.folder.audit / "report.html").exists()


def test_the_same_call_finds_the_run_finished_and_the_run_is_sound(home, trained):
    again = tw.train(home / "trident", recipe(), out=home / "run", labels=home / "labels.csv")
    assert again.was_finished
    assert not tw.api.verify(trained.folder.root)


def test_new_features_are_predicted_and_others_are_refused(home, trained, tmp_path):
    for number in range(30, 34):
        write_trident(tmp_path / f"new/s{number}.h5", features_of(number), grid(6))
    write_trident(tmp_path / "new/twin.h5", features_of(3), grid(6))
    write_trident(tmp_path / "new/empty.h5", np.empty((0, 8), np.float32), np.empty((0, 2), np.int64))
    table = tw.predict(trained, tmp_path / "new", out=tmp_path / "out.csv").table.set_index("slide")
    assert table.loc[["s30", "s31", "s32", "s33"], "predicted"].tolist() == ["A", "B", "A", "B"]
    assert "the classifier has seen it" in table.loc["twin", "warnings"]
    assert "its file holds no vector" in table.loc["empty", "warnings"]
    write_trident(tmp_path / "conch/a.h5", vectors(6), grid(6), encoder="conch")
    with pytest.raises(UsageError, match="trained on 8 by uni_v1"):
        tw.predict(trained, tmp_path / "conch")
    write_trident(tmp_path / "longer/a.h5", vectors(6, 9), grid(6))
    with pytest.raises(UsageError, match="9 features a tile"):
        tw.predict(trained, tmp_path / "longer")


def test_the_command_line_knows_a_folder_of_features_and_its_labels(home, tmp_path, capfd):
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    more = ["--recipe", "texture", "--out", str(tmp_path / "run"), *settings]
    assert run(["train", str(home / "clam"), *more]) == 2
    assert "give the table of slides and labels with --labels" in capfd.readouterr().err
    assert run(["train", str(home / "clam"), "--labels", str(home / "labels.csv"), *more]) == 0
    assert "The features are CLAM's, by an unnamed encoder" in capfd.readouterr().out
    assert run(["predict", str(tmp_path / "run"), str(home / "clam"), "--out", str(tmp_path / "out.csv")]) == 0
    assert len((tmp_path / "out.csv").read_text().splitlines()) == NUM + 1


def test_slides_without_usable_features_are_named_and_the_others_go_on(home, tmp_path):
    for number in range(NUM - 1):
        write_trident(tmp_path / f"features/s{number:02d}.h5", features_of(number), grid(6))
    write_trident(tmp_path / "features/s00.h5", np.full((6, 8), np.nan, np.float32), grid(6))
    write_trident(tmp_path / "features/s01.h5", np.empty((0, 8), np.float32), np.empty((0, 2), np.int64))
    write_trident(tmp_path / "features/s04.h5", features_of(2), grid(6))
    write_labels(tmp_path / "features/labels.csv")
    result = tw.train(tmp_path / "features", recipe(), out=tmp_path / "run")
    messages = {failure.item: failure.message for failure in result.failures}
    assert "NaN or infinity" in messages["s00.svs"]
    assert "holds no vector" in messages["s01.svs"]
    assert any("without a file take no part: s17.svs" in warning for warning in result.warnings)
    groups = pd.read_parquet(result.folder.audit / "slides.parquet").set_index("slide")["group"]
    assert groups["s02.svs"] == groups["s04.svs"], "two slides with the same vectors are one slide"
    assert result.evaluation.out_of_fold.num_slides == NUM - 3


def test_a_column_of_the_table_that_tells_the_label_is_told(home, tmp_path):
    table = pd.read_csv(home / "labels.csv").drop(columns="case_id")
    table["site"] = ["north" if label == "A" else "south" for label in table["label"]]
    table.to_csv(tmp_path / "labels.csv", index=False)
    result = tw.train(home / "clam", recipe(), out=tmp_path / "run", labels=tmp_path / "labels.csv")
    assert any("from the column `site` alone" in warning for warning in result.warnings)


def test_features_of_two_encoders_and_wishes_that_need_pixels_are_refused(home, tmp_path):
    write_trident(tmp_path / "two/uni/a.h5", vectors(3), grid(3))
    write_trident(tmp_path / "two/conch/b.h5", vectors(3), grid(3), encoder="conch")
    pd.DataFrame({"slide": ["a", "b"], "label": ["A", "B"]}).to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(UsageError, match="several encoders lie here"):
        tw.train(tmp_path / "two", recipe(), out=tmp_path / "run", labels=tmp_path / "labels.csv")
    with pytest.raises(UsageError, match="networks take pixels"):
        tw.train(home / "clam", "fine-tune", out=tmp_path / "run", labels=home / "labels.csv")


def test_a_run_on_features_does_not_predict_slides(trained, tmp_path):
    cohort = tw.Cohort.discover(draw_cohort(tmp_path / "cohort", num_slides=4))
    with pytest.raises(UsageError, match="give a folder of such features, not slides"):
        tw.predict(trained, cohort)


def test_heads_are_swept_over_features(home, tmp_path):
    settings = {key: value for key, value in SETTINGS.items() if key != "head.kind"}
    grid = tw.api.Grid(name="heads", recipe="texture", set=settings, factors={"head.kind": ["lda", "logistic"]})
    swept = tw.api.sweep(home / "trident", grid, out=tmp_path / "sweep", labels=home / "labels.csv", workers=1)
    assert [row.error for row in swept.table.rows if row.error] == []
    assert swept.table.num_slides == NUM
    assert not swept.failures


def test_a_grid_that_varies_what_pixels_are_put_through_is_refused(home, tmp_path):
    grid = tw.api.Grid(name="sizes", recipe="texture", factors={"tiles.size_px": [32, 64]})
    with pytest.raises(UsageError, match=r"tiles\.size_px cannot be varied, for features"):
        tw.api.sweep(home / "trident", grid, out=tmp_path / "sweep", labels=home / "labels.csv")


def test_settings_of_heads_are_searched_over_features(home, tmp_path):
    pytest.importorskip("optuna")
    one = {key: value for key, value in SETTINGS.items() if key != "head.kind"}
    chosen = tw.load_recipe("texture").with_(**one, **{"training.epochs": 3})
    space = {"head.dropout": {"low": 0.0, "high": 0.5}}
    tuned = tw.api.tune(
        home / "trident", space, chosen, out=tmp_path / "search", labels=home / "labels.csv", num_trials=2, workers=1
    )
    assert [trial.state for trial in tuned.trials] == ["finished", "finished"]
    assert tuned.num_outer_slides > 0
    with pytest.raises(UsageError, match=r"tiles\.size_px cannot be varied"):
        tw.api.tune(home / "clam", {"tiles.size_px": {"choices": [1, 2]}}, chosen, out=tmp_path / "x",
                    labels=home / "labels.csv")  # fmt: skip


def test_runs_on_features_are_compared_and_what_needs_slides_says_so(home, trained, tmp_path, capfd):
    other = tw.train(home / "clam", recipe(), out=tmp_path / "other", labels=home / "labels.csv", seed=1)
    assert tw.api.compare([trained, other]).pairs
    assert run(["audit", str(home / "trident"), "--out", str(tmp_path / "audit")]) == 2
    assert "features of another program go to `tilewise train FOLDER --labels TABLE`" in capfd.readouterr().err


def test_a_curve_is_drawn_from_features(home, trained, tmp_path):
    curve = tw.api.learning_curve(
        trained, home / "trident", out=tmp_path / "curve", labels=home / "labels.csv", shares=(0.6,), num_draws=1
    )
    assert len(curve.points) == 2
    assert curve.points[0].num_slides < curve.points[1].num_slides


def test_a_damaged_run_on_features_is_made_whole_with_its_table_of_labels(trained, home, tmp_path):
    shutil.copytree(trained.folder.root, tmp_path / "run")
    path = tmp_path / "run/predictions.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UsageError, match="--labels"):
        tw.api.repair(tmp_path / "run", workers=1)
    repaired = tw.api.repair(tmp_path / "run", labels=home / "labels.csv", workers=1)
    assert (repaired.remade, repaired.differing) == (("predictions.parquet",), ())
    assert path.read_bytes() == trained.folder.predictions.read_bytes()
