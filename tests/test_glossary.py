"""docs/glossary.md against the code: its names exist, and names that were given up do not come back."""

import ast
import importlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tilewise.recipe import load_recipe

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "tilewise"
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text("utf-8")

#: What a variable must not be called: how one came by it instead of what it is.
EVASIVE = {
    *("found", "told", "given", "said", "kept", "held", "seen"),
    *("shown", "looks", "usual", "wide", "about", "turns", "mend"),
}


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    section = GLOSSARY.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def names(path: Path) -> Iterator[str]:
    """Identifiers of a file: variables, attributes, parameters, functions, types and modules, in f-strings too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                yield from name.split(".")


WORDS = rows("What a user meets") + rows("What a developer meets")
FORMER = [quoted(row[0]) for row in rows("Names that do not come back")]
#: A row that has a dotted name is about keys of recipes, all others are about identifiers.
FORMER_KEYS = [name for row in FORMER if any("." in name for name in row) for name in row]
FORMER_NAMES = {name for row in FORMER for name in row} - set(FORMER_KEYS)


@pytest.mark.parametrize(("word", "places"), [(row[0], quoted(row[2])) for row in WORDS])
def test_words_stand_where_the_page_says(word, places):
    assert places, word
    for place in places:
        if "/" in place:
            assert (SOURCE / place).exists(), place
        else:
            module, _, name = place.rpartition(".")
            assert hasattr(importlib.import_module(f"tilewise.{module}"), name), place


def test_former_names_do_not_come_back():
    assert FORMER_NAMES
    folders = (SOURCE, ROOT / "tests", ROOT / "benchmarks", ROOT / "scripts")
    assert not uses(FORMER_NAMES, (path for folder in folders for path in folder.rglob("*.py")))


@pytest.mark.parametrize("key", FORMER_KEYS)
def test_former_keys_of_recipes_do_not_come_back(key):
    known = set(key_paths(load_recipe("default").model_dump()))
    assert "training.mixup.level" in known
    assert not {path for path in known if path == key or path.endswith(f".{key}")}


def key_paths(section: dict[str, Any]) -> Iterator[str]:
    for key, value in section.items():
        yield key
        if isinstance(value, dict):
            yield from (f"{key}.{path}" for path in key_paths(value))


@pytest.mark.parametrize("room", sorted({path.relative_to(SOURCE).parts[0] for path in SOURCE.rglob("*.py")}))
def test_variables_are_called_after_what_they_hold(room):
    paths = [SOURCE / room] if room.endswith(".py") else sorted((SOURCE / room).rglob("*.py"))
    assert not uses(EVASIVE, paths)


def test_variables_of_tests_are_called_after_what_they_hold():
    assert not uses(EVASIVE - {"given"}, (ROOT / "tests").rglob("*.py")), "`given` is hypothesis'"


def uses(words: set[str], paths: Iterable[Path]) -> set[tuple[str, str]]:
    """Files and the identifiers in them that are one of some words."""
    return {(str(path.relative_to(ROOT)), name) for path in paths for name in names(path) if name in words}
