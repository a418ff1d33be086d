"""`tilewise recipes`."""

import json
import subprocess
import sys

import pytest
import yaml

from tilewise.cli.main import run
from tilewise.recipe import load_recipe, packaged_recipes, recipe_schema

_CHECK = """
import sys
from tilewise.cli.main import run
code = run(["recipes", *sys.argv[1:]])
slow = sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "timm", "sklearn", "pandas", "scipy"})
print(slow)
sys.exit(code or bool(slow))
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nextends: component-box-convnext\ntiles: {component_box_min: 150}\n", "utf-8")
    return path


@pytest.mark.parametrize("arguments", [["check", "MINE"], ["show", "MINE"], ["schema"], []])
def test_recipes_are_looked_at_without_loading_what_is_slow(mine, arguments):
    arguments = [str(mine) if one == "MINE" else one for one in arguments]
    line = [sys.executable, "-c", _CHECK, *arguments]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_list_names_every_packaged_recipe(capsys):
    assert run(["recipes", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["recipes"]
    assert [one["name"] for one in listed] == sorted(packaged_recipes())
    assert all(one["description"] for one in listed)


def test_show_prints_what_a_run_would_use_and_where_it_comes_from(mine, capsys):
    assert run(["recipes", "show", str(mine), "--set", "folds.num_folds=3"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        f"# {mine}, which extends component-box-convnext\n# component-box-convnext\n#   The system of"
    )
    document = yaml.safe_load(out)
    assert document["tiles"]["component_box_min"] == 150
    assert document["folds"]["num_folds"] == 3
    assert document["training"]["optimizer"]["kind"] == "lion"
    assert run(["recipes", "show", str(mine), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "mine"


def test_check_names_the_fault_and_its_file(mine, tmp_path, capsys):
    assert run(["recipes", "check", str(mine)]) == 0
    mine.write_text("name: mine\nextends: component-box-convnext\ntiles: {strategy: window}\n", "utf-8")
    (tmp_path / "typo.yaml").write_text("name: typo\nextends: mine.yaml\ntiles: {stride: 3}\n", "utf-8")
    assert run(["recipes", "check", str(tmp_path / "typo.yaml")]) == 2
    error = capsys.readouterr().err
    assert "tiles.stride: unknown key (did you mean 'stride_px'?)" in error
    assert "typo.yaml" in error


def test_schema_goes_to_stdout_or_to_a_file(tmp_path, capsys):
    assert run(["recipes", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == recipe_schema()
    assert run(["recipes", "schema", "--out", str(tmp_path / "recipe.schema.json")]) == 0
    assert json.loads((tmp_path / "recipe.schema.json").read_text("utf-8")) == recipe_schema()
    assert "yaml-language-server: $schema=recipe.schema.json" in capsys.readouterr().err


def test_the_line_for_editors_is_only_a_comment(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("# yaml-language-server: $schema=recipe.schema.json\nname: mine\nextends: default\n", "utf-8")
    assert load_recipe(path).tiles == load_recipe("default").tiles
