"""`tilewise`: the commands, and how errors become messages and exit codes.

Exit codes: 0 done, 1 something failed (some slides, a damaged run), 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import typer

from tilewise.cli import (
    audit,
    compare,
    curve,
    doctor,
    encoders,
    ensemble,
    evaluate,
    explain,
    export,
    features,
    predict,
    recipes,
    report,
    segment,
    serve,
    similar,
    sweep,
    synth,
    tiles,
    train,
    tune,
    verify,
)
from tilewise.cli.completion import complete_in_bash
from tilewise.cli.options import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE
from tilewise.errors import DiskFull, TilewiseError, UsageError

# Some releases of typer bring their own click, others import it; its base error is found through typer either way.
_PARSER_ERROR: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")

_NAMES_ELSEWHERE = {
    "review": "`tilewise serve RUN` opens a run for looking through and deciding.",
    "view": "`tilewise serve RUN` opens a run for looking through and deciding.",
    "fit": "`tilewise train COHORT --out RUN` trains.",
    "infer": "`tilewise predict RUN SLIDES --out TABLE` predicts.",
}

app = typer.Typer(
    name="tilewise",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="From a folder of slides, masks and labels to an audited cohort, an honest score and a deployable classifier.",
    epilog="Start with:\n\ntilewise synth my_cohort\n\ntilewise train my_cohort --out runs/first",
)
_MODULES = (
    train,
    sweep,
    tune,
    predict,
    serve,
    explain,
    export,
    ensemble,
    evaluate,
    curve,
    compare,
    report,
    audit,
    similar,
    segment,
    tiles,
    verify,
    doctor,
    synth,
)
for module in _MODULES:
    module.register(app)
app.add_typer(recipes.app, name="recipes")
app.add_typer(encoders.app, name="encoders")
app.add_typer(features.app, name="features")


@app.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
    verbose: bool = typer.Option(False, "--verbose", help="Say more on stderr; tracebacks of failed slides as well."),
) -> None:
    if version:
        from tilewise.version import __version__

        typer.echo(f"tilewise {__version__}")
        raise typer.Exit
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr
    )
    for name in ("matplotlib", "PIL", "asyncio", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.INFO if verbose else logging.ERROR)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are printed to stderr as one message."""
    program = partial(typer.main.get_command(app).main, list(arguments), prog_name="tilewise", standalone_mode=False)
    try:
        if os.environ.get("_TILEWISE_COMPLETE") == "complete_bash":
            complete_in_bash(program)
        code = program()
    except typer.Exit as stop:
        code = stop.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = EXIT_INTERRUPTED
    except _PARSER_ERROR as error:
        error.show(sys.stderr)
        _print_list_command(error)
        _print_command_meant(arguments)
        return EXIT_USAGE
    except UsageError as error:
        return _print_error(error, EXIT_FAILED if isinstance(error, DiskFull) else EXIT_USAGE)
    except TilewiseError as error:
        return _print_error(error, EXIT_FAILED)
    except OSError as error:
        logging.getLogger(__name__).debug("this came of", exc_info=True)
        typer.echo(f"error: {error}; check rights, room and path, then give the same command again", err=True)
        return EXIT_FAILED
    if code == EXIT_INTERRUPTED:  # the parser makes an exit code of Ctrl-C
        typer.echo("interrupted; the same command goes on from here", err=True)
    return code if isinstance(code, int) else 0


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def _print_list_command(error: Any) -> None:
    """Say which command lists what a missing option or argument may be; a choice is listed by the parser."""
    if type(error).__name__ != "MissingParameter" or error.ctx is None or error.param is None:
        return
    command = {"space": "tilewise spaces", "grid": "tilewise grids"}.get(error.param.name)
    group = error.ctx.parent
    if error.param.param_type_name == "argument" and group.parent is not None and group.command.invoke_without_command:
        command = group.command_path
    if command is not None:
        typer.echo(f"`{command}` lists what there is.", err=True)


def _print_command_meant(arguments: Sequence[str]) -> None:
    """Say what does here what another program has another name for."""
    for name in arguments[:1]:
        if name in _NAMES_ELSEWHERE:
            typer.echo(_NAMES_ELSEWHERE[name], err=True)


def _print_error(error: TilewiseError, code: int) -> int:
    notes = "".join(f"\n  {note}" for note in getattr(error, "__notes__", ()))
    typer.echo(f"error: {error}{notes}", err=True)
    return code
