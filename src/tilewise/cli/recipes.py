"""`tilewise recipes`: list, show and check recipes, and their schema for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tilewise.cli.completion import complete_recipe
from tilewise.cli.options import JsonOption, SetOption

app = typer.Typer(
    help="List, show and check recipes, and their schema for editors.",
    epilog="Example: tilewise recipes --json | jq .recipes",
    invoke_without_command=True,
    no_args_is_help=False,
)


@app.callback()
def list_recipes(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the recipes that come with tilewise."""
    if context.invoked_subcommand is not None:
        return
    from tilewise import api
    from tilewise.cli.console import print_result

    recipes = [api.load_recipe(name) for name in api.packaged_recipes()]
    payload = {"recipes": [{"name": recipe.name, "description": recipe.description} for recipe in recipes]}
    lines = [f"{recipe.name:<24} {recipe.description.partition('. ')[0].rstrip('.')}." for recipe in recipes]
    print_result(payload, "\n".join(lines), as_json=as_json)


@app.command(epilog="Example: tilewise recipes show default --set tiles.size_px=256 > mine.yaml")
def show(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", autocompletion=complete_recipe, help="A packaged recipe's name or a YAML file."),
    ],
    set_: SetOption = [],  # noqa: B006 - typer reads the default, nobody changes it
    as_json: JsonOption = False,
) -> None:
    """Print a recipe as a run would use it, with every default; comments before it say where it comes from."""
    from tilewise import api
    from tilewise.cli.console import print_result

    resolved = api.resolve_recipe(name, set_)
    print_result(resolved.recipe.model_dump(mode="json"), resolved.to_yaml(), as_json=as_json)


@app.command(epilog="Example: tilewise recipes check mine.yaml")
def check(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", autocompletion=complete_recipe, help="A YAML file or a packaged recipe's name."),
    ],
    set_: SetOption = [],  # noqa: B006 - typer reads the default, nobody changes it
    as_json: JsonOption = False,
) -> None:
    """Check a recipe: every unknown key and every value out of bounds is named."""
    from tilewise import api
    from tilewise.cli.console import print_result

    recipe = api.load_recipe(file, set_)
    print_result({"name": recipe.name, "valid": True}, f"{file}: a valid recipe ({recipe.name})", as_json=as_json)


@app.command(epilog="Example: tilewise recipes schema --out recipe.schema.json")
def schema(
    out: Annotated[Path | None, typer.Option("--out", help="A file to write it to; left out, it is printed.")] = None,
) -> None:
    """Print a JSON schema of recipes, by which editors complete, explain and check keys."""
    import json

    from tilewise import api
    from tilewise.store import check_out_file, write_text

    text = json.dumps(api.recipe_schema(), indent=2)
    if out is None:
        typer.echo(text)
        return
    check_out_file(out, is_own=_is_schema, contents="schema of recipes")
    write_text(out, text + "\n")
    typer.echo(f"{out}: name it in a recipe's first line: # yaml-language-server: $schema={out.name}", err=True)


def _is_schema(path: Path) -> bool:
    import json

    from tilewise import api

    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and document.get("title") == api.recipe_schema()["title"]
