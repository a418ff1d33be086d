"""Slides with odd names, and one name in two folders, go through every command; the cohort's folder is only read."""

import csv
import io
import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.drawn import draw_slide, recipe
from tests.serving.review.conftest import serve
from tilewise.cli.main import run
from tilewise.store import digest_file

pytestmark = [
    pytest.mark.shared_cache,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows forbids most of these names"),
]

BOTH = "same.png"
NAMES = (
    "two words .png", "Gr\u00f6\u00dfe.png", "Gro\u0308\u00dfe b.png", "-leading.png", "--out", "it's \"quoted\".png",
    "two\nlines.png", "a%2Fb%20.png", "a..b.png", "x" * 200 + ".png", "a;b,c\t.png", "=1+1.png", "#q?a&b.png",
    "<b>&amp;.png", "$HOME `id`.png", "\U0001f52c.png", "{{ 7 * 7 }}.png", "CON.png",
)  # fmt: skip


def contents(folder):
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, digest_file(path) if path.is_file() else "")
        for path in [folder, *folder.rglob("*")]
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A cohort of two class folders, a run on it that was trained by the command, and what the folder held before."""
    home = tmp_path_factory.mktemp("odd")
    names = [name if name.endswith(".png") else f"{name}.png" for name in NAMES]
    for number, name in enumerate([BOTH, *names, BOTH]):
        draw_slide(home / "cohort" / "AB"[number % 2] / name, number, klass=number % 2)
    assert (home / "cohort/A" / BOTH).is_file()
    assert (home / "cohort/B" / BOTH).is_file()
    before = contents(home / "cohort")
    chosen = recipe("folds.num_folds=2", "tiles.min_mask_ratio=0")
    (home / "recipe.yaml").write_text(chosen.to_yaml(), "utf-8")
    arguments = ["train", str(home / "cohort"), "--recipe", str(home / "recipe.yaml"), "--out", str(home / "run")]
    assert run([*arguments, "--workers", "1", "--quiet"]) == 0
    return home, before


def slides_of(home):
    table = pd.read_parquet(home / "run/predictions.parquet")
    return sorted(table[table["part"] == "test"]["slide"])


def files_of(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_every_slide_has_an_id_of_its_own_and_is_predicted_once(home):
    home, _ = home
    slides = slides_of(home)
    assert len(slides) == len(set(slides)) == len(NAMES) + 2
    assert sum(name.endswith(BOTH) for name in slides) == 2


def test_audit(home, tmp_path):
    home, _ = home
    assert run(["audit", str(home / "cohort"), "--out", str(tmp_path / "audit"), "--workers", "1", "--quiet"]) == 0
    assert sorted(pd.read_parquet(tmp_path / "audit/slides.parquet")["slide"]) == slides_of(home)


def test_report_shows_names_as_text(home, tmp_path):
    home, _ = home
    assert run(["report", str(home / "run"), "--out", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<b>&amp;.png" not in page
    assert "49.png" not in page  # of a template within a name


def test_explain_draws_each_slide_into_a_file_of_its_own(home, tmp_path, capsys):
    home, _ = home
    out = tmp_path / "maps"
    arguments = [
        "explain",
        str(home / "run"),
        "--out",
        str(out),
        "--limit",
        "30",
        "--workers",
        "1",
        "--quiet",
        "--json",
    ]
    assert run(arguments) == 0
    capsys.readouterr()
    assert sorted(set(pd.read_csv(out / "explain.csv")["slide"])) == slides_of(home)
    drawn = [path for path in files_of(out) if path.suffix == ".png"]
    assert len({path.read_bytes() for path in drawn}) == len(drawn) >= len(slides_of(home))


def test_export_writes_a_file_for_each_slide(home, tmp_path, capsys):
    home, _ = home
    out = tmp_path / "geojson"
    assert run(["export", str(home / "run"), "--format", "qupath", "--out", str(out), "--json", "--quiet"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert sorted(files) == slides_of(home)
    assert len({Path(path).resolve() for path in files.values()}) == len(files)
    assert all(Path(path).is_file() and Path(path).resolve().is_relative_to(out.resolve()) for path in files.values())


def test_predict_writes_a_row_for_each_slide(home, tmp_path):
    home, _ = home
    for label in "AB":
        out = tmp_path / f"{label}.csv"
        arguments = ["predict", str(home / "run"), str(home / "cohort" / label), "--out", str(out)]
        assert run([*arguments, "--workers", "1", "--quiet"]) == 0
        rows = list(csv.reader(io.StringIO(out.read_text("utf-8"))))[1:]
        assert {row[0] for row in rows} == {path.name for path in (home / "cohort" / label).iterdir()}


@pytest.mark.enable_socket
def test_serve_tells_and_shows_every_slide(home):
    home, _ = home
    with serve(home / "run") as served, served.client() as client:
        slides = client.get("/api/slides").json()
        assert sorted(slide["id"] for slide in slides) == slides_of(home)
        assert all(client.get(f"/tiles/{number}/0/0/0").status_code == 200 for number in range(len(slides)))


def test_the_folder_of_the_cohort_is_as_it_was(home):
    home, before = home
    assert contents(home / "cohort") == before
