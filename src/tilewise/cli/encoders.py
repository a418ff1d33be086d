"""`tilewise encoders`: the catalogue, licences, and which weights are here."""

from __future__ import annotations

from typing import Annotated

import typer

from tilewise.cli.options import JsonOption

app = typer.Typer(help="List encoders, show one, accept a licence.", invoke_without_command=True)

NameArgument = Annotated[str, typer.Argument(help="An encoder's name, as `tilewise encoders` lists it.")]


@app.callback()
def list_encoders(context: typer.Context, as_json: JsonOption = False) -> None:
    """List every encoder, its licence, and whether its weights are on this machine."""
    if context.invoked_subcommand is not None:
        return
    from tilewise import api
    from tilewise.cli.console import print_result

    rows = api.encoders()
    head = f"{'name':<22} {'dim':>5} {'px':>4}  {'weights':<10} {'licence':<22} description"
    lines = [
        f"{row['name']:<22} {row['dim']:>5} {row['input_px']:>4}  {row['weights']:<10} {row['licence']:<22} "
        f"{row['description']}"
        for row in rows
    ]
    print_result({"encoders": rows}, "\n".join([head, *lines]), as_json=as_json)
