"""`tilewise encoders`: the catalogue, licences, and which weights are here."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tilewise.cli.completion import complete_encoder
from tilewise.cli.options import EXIT_FAILED, JsonOption

if TYPE_CHECKING:
    from tilewise.encoders.fetch import FetchedWeights

app = typer.Typer(
    help="List encoders, show one, fetch weights, accept a licence.",
    epilog="Example: tilewise encoders --json | jq -r '.encoders[].name'",
    invoke_without_command=True,
    no_args_is_help=False,
)

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", autocompletion=complete_encoder, help="An encoder, as `tilewise encoders` lists it."
    ),
]


@app.callback()
def list_encoders(context: typer.Context, as_json: JsonOption = False) -> None:
    """List every encoder, its licence, and whether its weights are on this machine."""
    if context.invoked_subcommand is not None:
        return
    from tilewise import api
    from tilewise.cli.console import print_result

    rows = api.encoders()
    width = max(len(row["licence"]) for row in rows)
    head = f"{'name':<22} {'dim':>5} {'px':>4}  {'weights':<9} {'licence':<{width}}    description"
    lines = [
        f"{row['name']:<22} {row['dim']:>5} {row['input_px']:>4}  {row['weights']:<9} {row['licence']:<{width}} "
        f"{'  ' if row['licence_accepted'] else '! '} {row['description']}"
        for row in rows
    ]
    foot = (
        "weights: embedded needs none; here is on this machine; missing is fetched from the hub when it is used, or by "
        "`tilewise encoders fetch NAME`, or put where `tilewise encoders show NAME` says; random is only for training "
        "from scratch.\n"
        "!: the licence has to be read and accepted first: tilewise encoders accept NAME"
    )
    print_result({"encoders": rows}, "\n".join([head, *lines, "", foot]), as_json=as_json)


@app.command(epilog="Example: tilewise encoders show resnet50")
def show(name: NameArgument, as_json: JsonOption = False) -> None:
    """Show one encoder: input, source and revision, blocks, licence, and where its weights are looked for."""
    from tilewise import api
    from tilewise.cli.console import print_result
    from tilewise.encoders import find_card
    from tilewise.models.networks import block_table

    card = api.encoder(name)
    blocks = block_table(find_card(name))
    fields = {**card, "stages": _stage_text(card["stages"]), "licence_text": None}
    lines = [f"{key:<18} {value}" for key, value in fields.items() if value not in (None, "")]
    text = "\n".join([*lines, "", *_block_lines(blocks), str(card["licence_text"])])
    print_result(card | {"blocks": blocks}, text, as_json=as_json)


def _stage_text(stages: list[dict[str, Any]]) -> str:
    """What encoder.pooling=stages pools: modules with their channels and moments."""
    return "; ".join(f"{one['module']} ({one['width']}: {', '.join(one['moments'])})" for one in stages)


def _block_lines(blocks: list[dict[str, Any]]) -> list[str]:
    """The blocks as a table with a line on how a recipe speaks of them; nothing for what is no network."""
    if not blocks:
        return []
    width = max(len(block["name"]) for block in blocks)
    last = (
        f"A tile passes them from the first to the last: network.trained=last trains {blocks[-1]['name']}. With "
        "network.blocks=fine each layer counts as a block."
    )
    return [
        f"{'block':<{width}} {'layers':>6} {'parameters':>13} {'share':>7}",
        *(f"{one['name']:<{width}} {one['layers']:>6} {one['parameters']:>13,} {one['share']:>7.2%}" for one in blocks),
        last,
        "",
    ]


@app.command(epilog="Example: tilewise encoders accept phikon")
def accept(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; you have read the licence.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Show an encoder's licence and, once you agree, remember that on this machine."""
    from tilewise import api
    from tilewise.cli.console import print_result

    card = api.encoder(name)
    typer.echo(card["licence_text"], err=True)
    if not card["licence_accepted"] and not yes and not typer.confirm("Do you accept this licence?", err=True):
        typer.echo("not accepted; the encoder stays out of use", err=True)
        return EXIT_FAILED
    where = api.accept_licence(name)
    message = f"accepted; remembered in {where}" if where else "this licence asks for no acceptance"
    print_result(
        {"name": name, "accepted": True, "remembered_in": str(where) if where else None}, message, as_json=as_json
    )
    return 0


@app.command(
    epilog="Examples: tilewise encoders fetch resnet50; and of a registered user of the hub, "
    "HF_TOKEN=... tilewise encoders fetch uni uni2_h"
)
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", autocompletion=complete_encoder, help="Encoders, as `tilewise encoders` lists them."
        ),
    ],
    as_json: JsonOption = False,
) -> int:
    """Get weights on a machine with internet, check them, and say how to carry them to one without.

    Each file has the revision that the catalogue pins, and its SHA-256 is compared where it is known. What is on this
    machine already is not fetched again.
    """
    from tilewise import api
    from tilewise.cli.console import print_result
    from tilewise.errors import TilewiseError

    rows, failures = [], 0
    for name in names:
        try:
            rows.append(api.fetch_weights(name))
        except TilewiseError as error:
            failures += 1
            typer.echo(f"error: {error}", err=True)
    lines = [line for row in rows for line in _fetched_lines(row)]
    if any(row.status in ("fetched", "here") for row in rows):
        lines.append(
            "On a machine without internet: copy each file into one folder under the name given here, and set "
            "TILEWISE_WEIGHTS to that folder."
        )
    print_result({"encoders": [asdict(row) | {"path": row.path and str(row.path)} for row in rows]}, "\n".join(lines),
                 as_json=as_json)  # fmt: skip
    return EXIT_FAILED if failures else 0


def _fetched_lines(row: FetchedWeights) -> list[str]:
    if row.status == "computed":
        return [f"{row.name}: is computed and has no weights, nothing to fetch"]
    if row.status == "installed":
        return [f"{row.name}: installed with the package {row.revision}, nothing to fetch", f"  {row.path}"]
    before = "fetched" if row.status == "fetched" else "on this machine already"
    revision = f", revision {row.revision}" if row.revision else ""
    return [
        f"{row.name}: {before}{revision}",
        f"  {row.path}",
        f"  SHA-256 {row.sha256}",
        f"  carry it as {row.carry_as}",
    ]
