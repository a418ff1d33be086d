"""New slides: with and without masks, unreadable, moved, none at all; and encoders that are not those of training."""

import csv
import shutil
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from tests.drawn import draw_slide
from tilewise import api
from tilewise.calibration.calibration import Calibration
from tilewise.calibration.prediction_sets import SetThresholds
from tilewise.calibration.scaling import Scaling
from tilewise.cohort import Cohort
from tilewise.errors import CohortError, EncoderUnavailable, UsageError
from tilewise.inference.classifier import ClassifierBundle
from tilewise.inference.out_of_distribution import ReferenceDistribution
from tilewise.inference.predictions import Predictions
from tilewise.pipeline import run_predictor
from tilewise.pipeline.finished_run import Run
from tilewise.pipeline.predict import predict as predict_whole


@pytest.fixture
def new(tmp_path):
    """Three unlabelled slides with awkward names; one of them has a mask."""
    for number, name in enumerate(("a b.png", "c,d.png", "ü.png")):
        draw_slide(tmp_path / "new" / name, 50 + number, klass=number % 2)
    draw_slide(tmp_path / "new/ü.png", 52, klass=0, mask=tmp_path / "new/ü_mask.png")
    return tmp_path / "new"


def predict(home, folder, out=None):
    return api.predict(home / "run", Cohort.discover(folder, purpose="predict"), out=out, workers=1)


def test_every_slide_gets_a_row_under_its_own_name(home, new, tmp_path):
    result = predict(home, new, tmp_path / "s.csv")
    with (tmp_path / "s.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert [row[0] for row in rows] == ["sample_index", "a b.png", "c,d.png", "ü.png"]
    assert [row[1] for row in rows[1:]] == result.table["predicted"].tolist()
    assert result.details == tmp_path / "s.details.csv"
    warned = dict(zip(result.table["slide"], result.table["warnings"], strict=True))
    assert "not cut by its mask" in warned["a b.png"]
    assert warned["ü.png"] == ""


def test_the_run_still_predicts_when_cohort_and_run_were_moved_and_the_folder_may_not_be_written(home, new, tmp_path):
    expected = predict(home, new).table
    shutil.copytree(home / "run", tmp_path / "moved/run")
    new.chmod(0o555)
    try:
        prediction = predict(tmp_path / "moved", new).table
    finally:
        new.chmod(0o755)
    assert prediction.equals(expected)


def test_a_slide_without_readable_pixels_gets_the_training_cohorts_shares(home, new):
    (new / "c,d.png").write_bytes(b"\x89PNG broken")
    result = predict(home, new)
    row = result.table.set_index("slide").loc["c,d.png"]
    counts = ClassifierBundle.load(home / "run/model").label_counts
    assert row["p_A"] == pytest.approx(counts["A"] / sum(counts.values()))
    assert row["num_tiles"] == 0
    assert "c,d.png" in row["warnings"]
    assert [failure.item for failure in result.failures] == ["c,d.png"]
    others = result.table["slide"] != "c,d.png"
    assert (result.table.loc[others, "num_tiles"] > 0).all()


def test_a_folder_in_which_nothing_can_be_read_is_no_success(home, new, tmp_path):
    for path in new.iterdir():
        path.write_bytes(b"\x89PNG broken")
    with pytest.raises(CohortError) as raised:
        predict(home, new, tmp_path / "s.csv")
    assert "--decisions" not in str(raised.value), "predict has no such option"
    assert not (tmp_path / "s.csv").exists()


def test_an_empty_folder_is_named(home, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CohortError, match="empty"):
        predict(home, tmp_path / "empty")


def test_copies_among_new_slides_each_get_their_row(home, new):
    shutil.copy(new / "a b.png", new / "z.png")
    table = predict(home, new).table.set_index("slide")
    np.testing.assert_array_equal(table.loc["a b.png", ["p_A", "p_B"]], table.loc["z.png", ["p_A", "p_B"]])


def test_a_slide_is_predicted_alike_alone_and_among_others(home, new):
    together = predict(home, new).table.set_index("slide")
    (new / "a b.png").unlink()
    fewer = predict(home, new).table.set_index("slide")
    assert fewer.loc["ü.png"].equals(together.loc["ü.png"])


def test_a_submission_is_named_as_the_table_it_is(home, new, tmp_path, monkeypatch):
    monkeypatch.setattr(run_predictor, "build_encoder", None)  # before the work
    with pytest.raises(UsageError, match=r"written as CSV; name it out\.csv"):
        predict(home, new, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_a_folder_as_out_is_refused_before_the_work(home, new, tmp_path, monkeypatch):
    monkeypatch.setattr(run_predictor, "build_encoder", None)
    with pytest.raises(UsageError, match="is a folder; give the file"):
        predict(home, new, tmp_path)


def test_a_submission_replaces_an_earlier_one_but_none_that_somebody_edited(home, new, tmp_path, monkeypatch):
    out = tmp_path / "s.csv"
    predict(home, new, out)
    predict(home, new, out)
    monkeypatch.setattr(run_predictor, "build_encoder", None)  # refused before the work
    bags, details = out.read_text(), tmp_path / "s.details.csv"
    for text in (bags.replace("ü.png,", "ü.png,not "), "my notes\n", ""):
        out.write_text(text)
        with pytest.raises(UsageError, match="no earlier submission, or was edited since"):
            predict(home, new, out)
        assert out.read_text() == text
    out.unlink()
    details.write_text("slide,remark\nü.png,mine\n")
    with pytest.raises(UsageError, match=r"s\.details\.csv: the file is there and is no earlier details"):
        predict(home, new, out)


@pytest.mark.parametrize("place", ["new/ü.png", "new/cohort.csv", "run/predictions.parquet", "run/model/new.csv"])
def test_a_submission_is_no_file_of_the_cohort_or_of_a_run(home, new, tmp_path, place, monkeypatch):
    monkeypatch.setattr(run_predictor, "build_encoder", None)
    out = (home if place.startswith("run") else tmp_path) / place
    with pytest.raises(UsageError, match=r"of the cohort|of a cohort|belongs to the run"):
        predict(home, new, out)


def test_a_report_and_pictures_do_not_fall_on_other_files(home, new, tmp_path):
    page = tmp_path / "page.html"
    for _ in range(2):
        assert api.report(home / "run", out=page) == page
    page.write_text("mine")
    for out in (page, home / "run/evaluation.json", home / "run/audit/report.html"):
        with pytest.raises(UsageError, match=r"no earlier report|belongs to the run"):
            api.report(home / "run", out=out)
    (new / "explain.csv").write_text("slide\n")  # as an earlier explanation leaves
    with pytest.raises(UsageError, match="which is read here"):
        api.explain(home / "run", Cohort.discover(new, purpose="predict"), out=new, workers=1)
    assert page.read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": "other"}, "its weights differs"),
        ({"card": "other"}, "its card differs"),
        ({"code": 99}, "its code differs"),
    ],
)
def test_an_encoder_that_makes_other_vectors_is_refused(home, change, message):
    classifier = ClassifierBundle.load(home / "run/model")
    card = SimpleNamespace(name="texture", dim=classifier.members[0].num_features)
    now = SimpleNamespace(card=card, signature={**classifier.encoder, **change})
    with pytest.raises(EncoderUnavailable, match=message):
        run_predictor.compare_encoders(classifier, now)
    longer = SimpleNamespace(card=SimpleNamespace(name="texture", dim=3), signature=classifier.encoder)
    with pytest.raises(EncoderUnavailable, match="makes 3 features"):
        run_predictor.compare_encoders(classifier, longer)


def test_an_encoder_that_only_rounds_otherwise_is_told(home):
    classifier = ClassifierBundle.load(home / "run/model")
    card = SimpleNamespace(name="texture", dim=classifier.members[0].num_features)
    now = SimpleNamespace(card=card, signature=classifier.encoder)
    assert run_predictor.compare_encoders(classifier, now) == ()
    other = replace(classifier, encoder={**classifier.encoder, "threads": 64})
    (note,) = run_predictor.compare_encoders(other, now)
    assert "threads 64 -> None" in note


def test_a_slide_that_is_unlike_the_training_cohort_is_flagged(home, new):
    classifier = ClassifierBundle.load(home / "run/model")
    cohort = Cohort.discover(new, purpose="predict")
    strict = predict_whole(
        replace(classifier, reference_distribution=ReferenceDistribution(fewest_tiles=999, farthest=1e-6)),
        cohort,
        out=None,
        workers=1,
    )
    for text in strict.table["warnings"]:
        assert "few tiles: " in text
        assert "out of distribution: " in text
    plain = predict_whole(
        replace(classifier, reference_distribution=ReferenceDistribution(fewest_tiles=0, farthest=1e6)),
        cohort,
        out=None,
        workers=1,
    )
    assert not plain.table["warnings"].str.contains("few tiles|out of distribution").any()
    assert strict.table.drop(columns="warnings").equals(plain.table.drop(columns="warnings"))


def test_a_new_slide_whose_mask_has_a_white_background_is_predicted_as_with_a_black_one(home, new):
    expected = predict(home, new).table.set_index("slide").loc["ü.png"]
    mask = cv2.imread(str(new / "ü_mask.png"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(new / "ü_mask.png"), 255 - mask)
    prediction = predict(home, new).table.set_index("slide").loc["ü.png"]
    assert prediction["warnings"] == "repaired: mask inverted"
    assert prediction.drop("warnings").equals(expected.drop("warnings"))


def test_calibrated_probabilities_and_sets_stand_beside_the_scores(home, new, tmp_path):
    (new / "c,d.png").write_bytes(b"\x89PNG broken")
    calibration = Calibration(Scaling(0.5, (0.3, -0.3)), SetThresholds(0.9, 0.3, (0.2, 0.9)))
    classifier = replace(ClassifierBundle.load(home / "run/model"), calibration=calibration)
    cohort = Cohort.discover(new, purpose="predict")
    table = predict_whole(classifier, cohort, out=tmp_path / "s.csv", workers=1).table.set_index("slide")
    scores = [f"p_{name}" for name in classifier.classes]
    names = [f"calibrated_{name}" for name in classifier.classes]
    known = table.loc[["a b.png", "ü.png"]]
    assert known[names].to_numpy() == pytest.approx(calibration.scaling.apply(known[scores].to_numpy()))
    assert known["predicted"].tolist() == [
        classifier.classes[index] for index in known[scores].to_numpy().argmax(axis=1)
    ]
    sets = calibration.thresholds.sets(known[scores].to_numpy())
    assert known["set_90"].tolist() == ["|".join(np.array(classifier.classes)[row].tolist()) for row in sets]
    lost = table.loc["c,d.png"]
    assert lost[names].tolist() == lost[scores].tolist()
    assert lost["set_90"] == "|".join(classifier.classes)
    assert (tmp_path / "s.details.csv").read_text().startswith(f"slide,predicted,{','.join((*scores, *names))},set_90,")
    older = predict_whole(replace(classifier, calibration=None), cohort, out=tmp_path / "s.csv", workers=1).table
    assert not [name for name in older if name.startswith(("calibrated_", "set_"))]
    assert older["predicted"].tolist() == table["predicted"].tolist()


def test_a_run_deploys_the_calibration_of_its_out_of_fold_predictions(home):
    run = Run.open(home / "run")
    assert run.classifier().calibration == run.predictions.fit_calibration()
    assert set(run.evaluation.calibration) == {"out_of_fold", "holdout"}
    table = run.predictions.table
    bare = Predictions(
        table.drop(columns=[name for name in table if name.startswith(("calibrated_", "set_"))]),
        run.predictions.classes,
    )
    assert bare.calibrated().table.equals(table)
    assert "set_90" in table


def test_where_the_table_names_patients_each_gets_a_prediction(home, new, tmp_path):
    (new / "c,d.png").write_bytes(b"\x89PNG broken")
    rows = 'slide,patient\na b.png,P1\n"c,d.png",P1\nü.png,\n'
    (new / "cohort.csv").write_text(rows, encoding="utf-8")
    result = predict(home, new / "cohort.csv", tmp_path / "s.csv")
    groups = result.by_group()
    assert groups["group"].tolist() == ["P1", "ü.png"]
    assert groups["num_slides"].tolist() == [1, 1]  # the other slide of P1 could not be read
    own = result.table.set_index("slide")
    assert groups["predicted"].tolist() == own.loc[["a b.png", "ü.png"], "predicted"].tolist()
    with (tmp_path / "s.groups.csv").open(encoding="utf-8", newline="") as stream:
        assert [row[0] for row in csv.reader(stream)] == ["group", "P1", "ü.png"]
    (new / "cohort.csv").unlink()
    assert predict(home, new, tmp_path / "s.csv").by_group() is None
    assert not (tmp_path / "s.groups.csv").exists()
