"""What the documents say is what the code does."""

import importlib.util
import json
import re
from pathlib import Path

import typer

from tilewise.cli.main import app
from tilewise.recipe import Recipe

ROOT = Path(__file__).parents[1]


def test_the_recipe_reference_is_the_generated_one():
    spec = importlib.util.spec_from_file_location("recipe_reference", ROOT / "scripts/recipe_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs/recipe.md").read_text("utf-8") == module.reference(), "run scripts/recipe_reference.py"


def test_the_library_reference_is_the_generated_one():
    spec = importlib.util.spec_from_file_location("api_reference", ROOT / "scripts/api_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs/api.md").read_text("utf-8") == module.reference(), "run scripts/api_reference.py"


def test_the_recipe_reference_shows_the_defaults_of_a_recipe_that_says_nothing():
    recipe = Recipe(name="bare").model_dump(mode="json", by_alias=True)
    rows = re.findall(
        r"^\| `([a-z0-9_.]+)` \| .*? \| `(.*?)` \|", (ROOT / "docs/recipe.md").read_text("utf-8"), re.MULTILINE
    )
    assert len(rows) > 150
    for key, default in rows:
        value = recipe
        for name in key.split("."):
            value = value[name]
        # One strategy is written as a word, and is a list all the same.
        assert json.loads(default) in (value, [value]), key


def test_every_command_the_readme_shows_exists_and_every_command_is_shown():
    text = (ROOT / "README.md").read_text("utf-8")
    in_readme = set(re.findall(r"^tilewise (\w+)", text, flags=re.MULTILINE)) | set(
        re.findall(r"`tilewise (\w+)", text)
    )
    commands = set(typer.main.get_command(app).commands)
    assert in_readme <= commands
    assert commands - in_readme <= {"synth", "audit"}


def test_every_room_stands_in_the_architecture_page():
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    rooms = {path.name for path in (ROOT / "src/tilewise").iterdir() if not path.name.startswith(("_", "."))}
    missing = {room for room in rooms - {"py.typed"} if room.removesuffix(".py") not in text}
    assert not missing
