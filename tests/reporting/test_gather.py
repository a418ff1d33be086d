"""The report is written from the run's files alone."""

import shutil

import pytest

from tests.drawn import draw_cohort, recipe
from tilewise import api
from tilewise.cohort import Cohort
from tilewise.errors import ArtifactError
from tilewise.reporting.gather import gather
from tilewise.run_folder import RunFolder

pytestmark = pytest.mark.shared_cache


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    draw_cohort(home / "cohort", num_slides=13)
    (home / "cohort/images/img_0012.png").write_bytes(b"\x89PNG broken")
    api.train(Cohort.discover(home / "cohort"), recipe(), out=home / "run", workers=1)
    return home


@pytest.fixture
def copy(home, tmp_path):
    shutil.copytree(home / "run", tmp_path / "run")
    return tmp_path / "run"


def test_everything_a_run_holds_is_gathered(home):
    data = gather(RunFolder(home / "run"))
    assert data.cohort.slides == {"A": 6, "B": 6}
    assert [failure.slide for failure in data.failures] == ["img_0012.png"]
    assert data.audit.findings == {"unreadable": 1}
    assert len(data.histories) == 3
    assert all(slide.picture is not None for slide in data.slides)
    assert data.warnings == () or not any("pictures are missing" in text for text in data.warnings)
    assert data.recipe_yaml == (home / "run/recipe.yaml").read_text()
    assert data.shortcuts.num_slides == data.ledgers.slides.last == 12
    assert [(row.reason, row.slides) for row in data.ledgers.slides.rows] == [("could not be read", ("img_0012.png",))]
    assert data.ledgers.tiles.first == data.ledgers.tiles.last == sum(data.tiles.counts.values())


def test_a_report_written_again_is_the_same(home, tmp_path):
    path = api.report(home / "run", out=tmp_path / "again.html")
    assert path.read_bytes() == (home / "run/report.html").read_bytes()


def test_when_the_slides_are_gone_the_report_says_that_pictures_are_missing(home, tmp_path):
    (home / "cohort").rename(home / "elsewhere")
    try:
        data = gather(RunFolder(home / "run"))
        text = api.report(home / "run", out=tmp_path / "r.html").read_text("utf-8")
    finally:
        (home / "elsewhere").rename(home / "cohort")
    assert all(slide.picture is None for slide in (*data.slides, *data.confident_errors))
    num = len(data.slides) + len(data.confident_errors)
    assert any(f"{num} pictures are missing" in warning for warning in data.warnings)
    assert "pictures are missing" in text


@pytest.mark.parametrize(
    "name",
    [
        "audit/decisions.csv", "audit/findings.parquet", "audit/slides.parquet", "folds/1/history.csv", "recipe.yaml",
        "predictions.parquet", "evaluation.json", "environment.json", "folds.json", "tiles.parquet",
    ],
)  # fmt: skip
def test_a_missing_or_damaged_file_is_named_and_no_crash(copy, name):
    whole = (copy / name).read_bytes()
    if name.endswith((".csv", ".yaml")):
        (copy / name).write_bytes(b"\xff\xfe")
    else:
        (copy / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtifactError, match=name.rsplit("/", 1)[-1]):
        gather(RunFolder(copy))
    (copy / name).unlink()
    with pytest.raises(ArtifactError, match=name.rsplit("/", 1)[-1]):
        gather(RunFolder(copy))


def test_a_run_that_was_called_by_a_dot_has_a_name(copy, monkeypatch):
    monkeypatch.chdir(copy)
    assert gather(RunFolder(type(copy)())).run == "run"
