"""A run whose folds choose a rung: its files, report, prediction, and what resumes it."""

import shutil
from collections import Counter

import pytest

from tests.drawn import draw_cohort, recipe
from tilewise import api
from tilewise.cohort import Cohort

RUNGS = "ladder.rungs=[{name: means}, {name: tiles, set: {head.kind: linear}}]"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("ladder")
    draw_cohort(home / "cohort", num_slides=24)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILEWISE_CACHE", str(home / "cache"))
        yield train(home)


def train(home, out="run", **options):
    settings = ("training.epochs=null", "head.kind=lda", RUNGS, "ladder.inner_folds=2")
    return api.train(Cohort.discover(home / "cohort"), recipe(*settings), out=home / out, workers=1, **options)


def test_every_fold_says_what_it_chose_and_keeps_no_inner_model(run):
    assert len(run.ladder) == 3
    for number, choice in enumerate(run.ladder):
        assert [rung.name for rung in choice.rungs] == ["means", "tiles"]
        assert {path.name for path in run.folder.fold(number).iterdir()} == {
            *("ladder.json", "history.csv", "model.json", "model.safetensors")
        }
    kinds = {"means": "lda", "tiles": "linear"}
    heads = [member.head.kind for member in run.classifier().members]
    assert heads == [kinds[choice.chosen] for choice in run.ladder]
    assert api.verify(run.folder.root) == []


def test_the_report_shows_the_rungs(run):
    page = run.folder.report.read_text("utf-8")
    assert '<section id="ladder">' in page
    for choice in run.ladder:
        assert f"{choice.rungs[1].gain.value:+.3f}" in page


def test_the_model_card_says_what_the_folds_chose(run, tmp_path):
    card = api.model_card(run, tmp_path / "card").read_text("utf-8")
    kinds = {"means": "lda", "tiles": "linear"}
    for name, num in Counter(choice.chosen for choice in run.ladder).items():
        assert f"{name}, {kinds[name]}, in {num} fold" in card
    assert card.count("A head (of a ladder: ") == 1


def test_new_slides_are_predicted(run):
    table = api.predict(run, run.folder.root.parent / "cohort").table
    assert len(table) == 24


def test_a_stopped_run_comes_to_the_same_end(run):
    home = run.folder.root.parent
    (home / "stopped").mkdir()
    for name in ("run.json", "recipe.yaml", "folds"):
        source, target = run.folder.root / name, home / "stopped" / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
    shutil.rmtree(home / "stopped" / "folds" / "1")
    again = train(home, "stopped")
    assert again.ladder == run.ladder
    assert again.evaluation == run.evaluation


def test_without_time_the_first_rung_stands_and_the_report_says_why(run):
    short = train(run.folder.root.parent, "short", time_limit=0)
    assert [choice.chosen for choice in short.ladder] == ["means"] * 3
    assert "was not tried: no time is left" in short.folder.report.read_text("utf-8")
    assert api.verify(short.folder.root) == []
