"""docs/systems.md against the code: every setting loads, what a system does is in its recipe, no cell is empty."""

import re
from pathlib import Path

import pytest
import yaml

from tests.recipes.shrunk import SYSTEMS
from tilewise.encoders.catalogue import find_card
from tilewise.recipe import load_recipe

PAGE = (Path(__file__).parents[2] / "docs/systems.md").read_text("utf-8")
SETTING = re.compile(r"`([a-z_]+(?:\.[a-z_]+)*=[^`]+)`")


def rows(name, table):
    """Rows of the first or second table of a system's section, heading and rule left out."""
    section = PAGE.split(f"\n## {name}:")[1].split("\n## ")[0]
    tables = [part for part in section.split("\n\n") if part.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in tables[table].splitlines()[2:]]


def settings():
    """System, table and settings that belong together; a semicolon parts alternatives."""
    for name in SYSTEMS:
        for table in (0, 1):
            for _, cell in rows(name, table):
                for group in cell.split(";"):
                    if pairs := SETTING.findall(group):
                        yield name, table, tuple(pairs)


@pytest.mark.parametrize(("name", "table", "group"), list(settings()))
def test_every_setting_is_one(name, table, group):
    changed, recipe = load_recipe(name, group), load_recipe(name)
    find_card(changed.encoder.name)
    if table == 0:
        assert changed == recipe, "what a system does is what its recipe says"
    else:
        assert changed != recipe, "what was also tried is another recipe"


@pytest.mark.parametrize("name", SYSTEMS)
def test_no_cell_is_empty(name):
    assert len(rows(name, 0)) >= 7
    assert len(rows(name, 1)) >= 7
    assert all(len(row) == 2 and all(row) for table in (0, 1) for row in rows(name, table))


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_is_not_there_is_said_and_everything_else_has_a_key_or_a_command(name):
    for _, cell in [*rows(name, 0), *rows(name, 1)]:
        known = SETTING.search(cell) or "`tilewise " in cell or "report" in cell or "nothing to set" in cell
        assert known or cell == "not in tilewise"


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_recipe_is_short_and_its_paragraph_says_what_was_reported(name):
    from tilewise.recipe import packaged_recipes

    assert 20 <= len(packaged_recipes()[name].splitlines()) <= 40
    description = load_recipe(name).description
    assert "without" in description
    assert "interval" in description
    assert "Not stated" in description
    figures = re.findall(r"0\.\d{4}", PAGE.split(f"| `{name}` |")[1].splitlines()[0])
    assert figures
    assert all(figure in description for figure in figures)


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_acts_on_every_step_is_stated_and_no_default(name):
    from tilewise.recipe import packaged_recipes

    data = yaml.safe_load(packaged_recipes()[name])
    assert {"weight", "weight_decay", "epochs", "batch_size", "learning_rate", "patience"} <= data["training"].keys()
    assert {"class_weights"} <= data["training"]["loss"].keys()
    recipe = load_recipe(name)
    assert recipe.training.weight == ("slide" if recipe.tiles.strategy == ("whole",) else "tile")
    loss = recipe.training.loss
    assert not ((loss.l1 or loss.l2) and recipe.training.weight_decay), "penalties that are stated act alone"


def test_the_place_of_the_measured_table_is_marked():
    assert PAGE.count("<!-- make systems: begin -->") == PAGE.count("<!-- make systems: end -->") == 1
