"""Exit codes and keys of `--json`, as docs/commands.md promises them."""

import json
import re
import zipfile

import pytest
import typer

from tests.test_docs import ROOT
from tilewise.cli.main import app, run
from tilewise.recipe import Recipe

PAGE = (ROOT / "docs/commands.md").read_text("utf-8")
TABLE = dict(re.findall(r"^\| `([\w -]+)` \| (.*) \|$", PAGE.split("always there")[1].split("\n## ")[0], re.MULTILINE))
SMALL = "--recipe texture --set folds.num_folds=2 --set evaluation.num_resamples=100 --quiet"
LINES = {
    "audit": "audit cohort --out audit --quiet",
    "compare": "compare first second",
    "curve": "curve run cohort --draws 1 --out curve --quiet",
    "doctor": "doctor",
    "encoders": "encoders",
    "encoders accept": "encoders accept texture",
    "encoders fetch": "encoders fetch texture",
    "encoders show": "encoders show texture",
    "ensemble": "ensemble first second --out ensemble",
    "evaluate": "evaluate run",
    "explain": "explain first --limit 1 --out maps --quiet",
    "export": "export run --format model-card --out card",
    "features export": "features export features --format torchmil --out torchmil --quiet",
    "features import": "features import torchmil --out imported --quiet",
    "grids": "grids",
    "grids NAME": "grids heads",
    "predict": "predict run cohort --out submission.csv --quiet",
    "recipes": "recipes",
    "recipes check": "recipes check texture",
    "recipes show": "recipes show texture",
    "report": "report run",
    "segment": "segment cohort --method tissue --out masks --quiet",
    "similar": "similar cohort --to images/slide_1.png --encoder texture --quiet",
    "spaces": "spaces",
    "spaces NAME": "spaces heads",
    "sweep": f"sweep cohort --grid grid.yaml --out sweep {SMALL}",
    "sweep --dry-run": "sweep cohort --grid grid.yaml --recipe texture --out none --dry-run --quiet",
    "synth": "synth drawn --slides 4 --test-slides 1 --min-side 256 --quiet",
    "tiles": "tiles cohort --recipe texture --quiet",
    "train": f"train cohort --out first {SMALL} --set head.norm=none",
    "train --dry-run": "train cohort --recipe texture --dry-run --quiet",
    "tune": f"tune cohort --space space.yaml --trials 1 --out tune {SMALL}",
    "tune --dry-run": "tune cohort --space space.yaml --recipe texture --out none --dry-run --quiet",
    "verify": "verify run",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A cohort, features and a run of tilewise 0.1.0, and two runs on the same folds."""
    folder = tmp_path_factory.mktemp("home")
    for name in ("cohort", "features", "run"):
        with zipfile.ZipFile(ROOT / "tests/fixtures/v0.1.0" / f"{name}.zip") as archive:
            archive.extractall(folder / name)
    (folder / "grid.yaml").write_text("name: norms\nfactors: {head.norm: [none, batch]}\n")
    (folder / "space.yaml").write_text("head.dropout: {low: 0.0, high: 0.5}\n")
    for name, norm in {"first": "none", "second": "batch"}.items():
        options = ["--out", str(folder / name), *SMALL.split(), "--set", f"head.norm={norm}"]
        assert run(["train", str(folder / "cohort"), *options]) == 0
    return folder


def keys_of(row):
    """Keys of a row of the table, and those of the entries of a list, which stand in brackets behind it."""
    inner = {key: re.findall(r"`(\w+)`", names) for key, names in re.findall(r"`(\w+)` \(([^)]*)\)", row)}
    outer = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)|and those of.*", "", row))
    return set(outer), inner


def commands_with_json(command, path=()):
    """Words of every command that takes --json."""
    if any("--json" in getattr(option, "opts", ()) for option in command.params):
        yield " ".join(path)
    for name, child in getattr(command, "commands", {}).items():
        yield from commands_with_json(child, (*path, name))


def test_every_command_has_a_row_and_every_row_is_tried():
    commands = set(commands_with_json(typer.main.get_command(app)))
    assert {name.partition(" --")[0].removesuffix(" NAME") for name in TABLE} == commands
    assert TABLE.keys() == LINES.keys()


@pytest.mark.parametrize("name", LINES)
def test_json_has_the_keys_that_are_promised(name, home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    code = run([*LINES[name].split(), "--json"])
    assert code in (0, 1)
    payload = json.loads(capsys.readouterr().out)
    keys, inner = keys_of(TABLE[name])
    if "sections of" in TABLE[name]:
        keys = set(Recipe.model_fields)
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
