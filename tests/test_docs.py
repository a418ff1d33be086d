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


def test_the_command_reference_is_the_generated_one():
    spec = importlib.util.spec_from_file_location("command_reference", ROOT / "scripts/command_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs/commands.md").read_text("utf-8") == module.reference(), "run scripts/command_reference.py"


def test_every_command_line_that_is_shown_has_options_that_exist():
    root = typer.main.get_command(app)
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    lines = [
        (page.name, line.split("#")[0])
        for page in pages
        for block in re.findall(r"^```.*?\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        for line in block.replace("\\\n", " ").splitlines()
        if re.match(r"[!$]? ?tilewise \w", line)
    ]
    assert len(lines) > 60
    for page, line in lines:
        words = line.lstrip("!$ ").split()[1:]
        command = root
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        assert command is not root, f"{page}: {line}"
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        unknown = {word for word in words if word.startswith("--")} - known - {"--help"}
        assert not unknown, f"{page}: {line}: {unknown}"


def test_every_page_stands_in_the_contents_of_the_site():
    pages = {path.relative_to(ROOT / "docs").with_suffix("").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    contents = set()
    for index in ("index", "how-to/index"):
        folder = f"{index.rpartition('/')[0]}/".lstrip("/")
        text = (ROOT / "docs" / f"{index}.md").read_text("utf-8")
        blocks = re.findall(r"```\{toctree\}\n(?::.*\n)*\n((?:[\w/-]+\n)+)```", text)
        contents |= {folder + name for block in blocks for name in block.split()}
    assert pages - contents == {"index"}


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


def test_the_map_of_the_house_names_rooms_that_exist_and_leaves_none_out():
    table = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("## The house on one page")[1].split("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+/)`", table))
    rooms = {f"{path.parent.name}/" for path in (ROOT / "src/tilewise").glob("*/__init__.py")}
    # Rooms that every other one stands on, and that that are no place for a change of their own.
    assert rooms - named == {"store/", "execution/", "shortcuts/", "synthetic/"}
    assert named <= rooms
