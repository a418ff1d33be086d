"""Exit codes and keys of `--json`, as docs/commands.md promises them."""

import json
import re
import zipfile

import pytest

from tests.test_docs import ROOT
from tilewise.cli.main import run

PAGE = (ROOT / "docs/commands.md").read_text("utf-8")
TABLE = dict(
    re.findall(r"^\| `([\w -]+)` \| (`.*`.*) \|$", PAGE.split("always there")[1].split("\n## ")[0], re.MULTILINE)
)
LINES = {
    "audit": "audit cohort --out audit --quiet",
    "doctor": "doctor",
    "encoders": "encoders",
    "evaluate": "evaluate run",
    "export": "export run --format model-card --out card",
    "grids": "grids",
    "predict": "predict run cohort --out submission.csv --quiet",
    "recipes": "recipes",
    "report": "report run",
    "spaces": "spaces",
    "tiles": "tiles cohort --recipe texture --quiet",
    "train": "train cohort --recipe texture --set folds.num_folds=2 --out again --quiet",
    "train --dry-run": "train cohort --recipe texture --dry-run --quiet",
    "verify": "verify run",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A run that tilewise 0.1.0 made, so that nothing has to be trained."""
    folder = tmp_path_factory.mktemp("home")
    for name in ("cohort", "run"):
        with zipfile.ZipFile(ROOT / "tests/fixtures/v0.1.0" / f"{name}.zip") as archive:
            archive.extractall(folder / name)
    return folder


def keys_of(row):
    """Keys of a row of the table, and those of the entries of a list, which stand in brackets behind it."""
    inner = {key: re.findall(r"`(\w+)`", names) for key, names in re.findall(r"`(\w+)` \(([^)]*)\)", row)}
    outer = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)|and those of.*", "", row))
    return set(outer), inner


def test_every_row_is_tried():
    assert TABLE.keys() == LINES.keys()


@pytest.mark.parametrize("name", LINES)
def test_json_has_the_keys_that_are_promised(name, home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    code = run([*LINES[name].split(), "--json"])
    assert code in (0, 1)
    payload = json.loads(capsys.readouterr().out)
    keys, inner = keys_of(TABLE[name])
    if "those of `evaluate`" in TABLE[name]:
        keys |= keys_of(TABLE["evaluate"])[0]
    assert keys <= payload.keys()
    for key, names in inner.items():
        assert payload[key]
        assert all(set(names) <= entry.keys() for entry in payload[key])


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("recipes", 0),
        ("verify run", 0),
        ("recipes check nothing", 2),
        ("train nowhere", 2),
        ("train cohort --set tiles.sise_px=3", 2),
        ("nothing", 2),
        ("verify damaged", 1),
        ("evaluate damaged", 1),
    ],
)
def test_exit_codes_are_those_of_the_page(line, code, home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    if "damaged" in line and not (home / "damaged").exists():
        with zipfile.ZipFile(ROOT / "tests/fixtures/v0.1.0/run.zip") as archive:
            archive.extractall(home / "damaged")
        (home / "damaged/run.json").write_text("{}")
    assert run(line.split()) == code
    out = capsys.readouterr()
    assert f"| {code} | " in PAGE
    if code == 2:
        assert out.out == ""
        assert out.err.strip()
