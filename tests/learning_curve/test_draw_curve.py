"""A run, trained again with fewer slides."""

import json

import pytest

from tests.drawn import draw_cohort, recipe
from tilewise import api
from tilewise.errors import UsageError
from tilewise.learning_curve import draw_curve as module

pytestmark = pytest.mark.shared_cache


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    draw_cohort(home / "cohort", num_slides=24)
    run = api.train(home / "cohort", recipe(), out=home / "run", workers=1)
    curve = api.learning_curve(run, home / "cohort", out=home / "curve", shares=[0.4, 0.7], num_draws=2, workers=1)
    return home, run, curve


def test_a_point_for_each_training_and_the_run_itself_last(home):
    _, run, curve = home
    sizes = [point.num_slides for point in curve.points]
    assert len(sizes) == 5
    assert sizes[0] == sizes[1] < sizes[2] == sizes[3] < sizes[4] == curve.expected.sizes[0]
    assert curve.points[-1].score == pytest.approx(run.evaluation.out_of_fold.macro_f1.value)
    assert curve.num_test_slides == 24
    assert [point.num_slides for point in curve.law] == sorted(set(sizes))
    assert "With twice the slides to learn from" in curve.sentence()


def test_page_and_file_hold_it(home):
    folder, _, curve = home
    page = curve.page.read_text("utf-8")
    assert page.count("<circle") == 5
    assert curve.sentence() in page
    written = json.loads((folder / "curve/curve.json").read_text())
    assert [point["score"] for point in written["points"]] == [point.score for point in curve.points]


def test_the_report_of_the_run_shows_it_and_the_run_is_sound(home):
    folder, run, curve = home
    report = (folder / "run/report.html").read_text("utf-8")
    section = report.partition('<section id="curve">')[2].partition("</section>")[0]
    assert curve.sentence() in section
    assert section.count("<circle") == 5
    assert "tilewise curve RUN" not in report
    assert api.verify(run) == []
    first = (folder / "curve/points/0.4-0/report.html").read_text("utf-8")
    assert 'id="curve"' not in first
    assert "tilewise curve RUN" in first


def test_the_same_call_again_trains_nothing(home, monkeypatch):
    folder, run, curve = home
    monkeypatch.setattr("tilewise.pipeline.train._train_folds", pytest.fail)
    again = api.learning_curve(run, folder / "cohort", out=folder / "curve", shares=[0.4, 0.7], num_draws=2, workers=1)
    assert again == curve


@pytest.mark.parametrize("shares", [[], [0.0], [0.5, 1.0]])
def test_shares_that_make_no_curve_are_refused_at_once(home, tmp_path, shares):
    folder, run, _ = home
    with pytest.raises(UsageError, match="above 0 and below 1"):
        api.learning_curve(run, folder / "cohort", out=tmp_path / "curve", shares=shares)
    assert module.SHARES == (0.25, 0.4, 0.6, 0.8)


def test_shares_that_leave_the_same_slides_are_trained_once_and_said(home, tmp_path, caplog):
    folder, run, _ = home
    curve = api.learning_curve(
        run, folder / "cohort", out=tmp_path / "curve", shares=[0.05, 0.1, 0.7], num_draws=1, workers=1
    )
    assert len(curve.points) == 3  # one of two tiny shares, the larger one, and the run itself
    assert "1 of 3 trainings would learn from the slides of another" in caplog.text


def test_what_the_line_gives_is_not_called_the_score_of_the_run(home):
    _, run, curve = home
    own, page = run.evaluation.out_of_fold.macro_f1.value, curve.page.read_text("utf-8")
    assert f"the run itself scored {own:.2f}." in curve.sentence()
    assert f"as many as the run, which scored {own:.2f}</small>" in page
    assert "-0.00" not in page
    assert "\N{MINUS SIGN}0.00" not in page


def test_points_leave_the_pictures_of_the_audit_to_the_run(home):
    folder, run, _ = home
    assert (run.folder.audit / "report.html").is_file()
    point = folder / "curve/points/0.4-0"
    assert not (point / "audit/report.html").exists()
    assert (point / "audit/findings.parquet").is_file()
