"""`tilewise serve`: a finished run over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from tilewise.cli.options import QuietOption, RunArgument
from tilewise.errors import UsageError

_API_PORT = 8000
_EXAMPLES = (
    "Examples:\n\ntilewise serve runs/first\n\n"
    "tilewise serve runs/first --reviewer 'Dr. Ada' --no-open --port 8080\n\n"
    "tilewise serve runs/first --reviewer ada --blind\n\n"
    "tilewise serve runs/first --api\n\n"
    "tilewise serve runs/first --api --host 0.0.0.0 --port 8080 --token-file token.txt\n\n"
    "curl -F image=@slide.png http://127.0.0.1:8000/v1/predict"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve", epilog=_EXAMPLES)(serve)


_OF_API = (
    *("token_file", "workers", "max_megabytes", "max_megapixels", "max_requests", "max_batch"),
    *("predict_seconds", "wait_seconds", "upload_seconds", "memory_megabytes"),
)
_OF_REVIEW = ("reviewer", "blind", "open_page", "no_token")


def serve(
    context: typer.Context,
    run: RunArgument,
    api: Annotated[bool, typer.Option("--api", help="Serve predictions to programs: REST, with OpenAPI.")] = False,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; beyond 127.0.0.1 only with a token.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            min=0,
            max=65_535,
            help="Port; 0 takes one that is free. Default: one that is free, and 8000 with --api.",
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help="File whose first line is the bearer token. Default: $TILEWISE_TOKEN."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that predict, an image each.")] = 1,
    max_megabytes: Annotated[int, typer.Option("--max-megabytes", min=1, help="Size of a request's body.")] = 256,
    max_megapixels: Annotated[
        int, typer.Option("--max-megapixels", min=1, max=400, help="Pixels of an image, decoded at once.")
    ] = 100,
    max_requests: Annotated[
        int, typer.Option("--max-requests", min=1, help="Requests here at once; further ones are answered 503.")
    ] = 64,
    max_batch: Annotated[int, typer.Option("--max-batch", min=1, help="Images of a batch.")] = 16,
    predict_seconds: Annotated[
        float, typer.Option("--predict-seconds", min=0.1, help="Time that an image may take a worker.")
    ] = 300.0,
    wait_seconds: Annotated[
        float, typer.Option("--wait-seconds", min=0.1, help="Time that an image may wait for a worker.")
    ] = 300.0,
    upload_seconds: Annotated[
        float, typer.Option("--upload-seconds", min=0.1, help="Time that a request's body may take to arrive.")
    ] = 60.0,
    memory_megabytes: Annotated[
        int, typer.Option("--memory-megabytes", min=100, help="Memory that a worker may take beyond the loaded run.")
    ] = 6000,
    reviewer: Annotated[
        str | None, typer.Option("--reviewer", metavar="NAME", help="Who decides. Default: the user's name.")
    ] = None,
    blind: Annotated[
        bool,
        typer.Option(
            "--blind",
            help="Hide label, model and audit of a slide until the reviewer has decided about it. Without it, the page "
            "has a switch.",
        ),
    ] = False,
    open_page: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the review page in the browser of this machine.")
    ] = True,
    no_token: Annotated[
        bool,
        typer.Option(
            "--no-token", help="Let every user of this machine review; else only who has the printed address."
        ),
    ] = False,
    quiet: QuietOption = False,
) -> int:
    r"""Serve a finished run over HTTP until Ctrl-C (pip install 'tilewise\[serve]').

    A page to review it: slides in deep zoom, findings, labels in doubt and heat maps, decided by the keyboard and
    stored in RUN/review/decisions.sqlite, which `tilewise train --decisions` takes. It listens on this machine alone,
    and the printed address holds a token that other users of the machine lack.

    With --api, programs ask for predictions, equal to those of `tilewise predict`; /openapi.json describes how. Images
    are decoded in processes of their own, with limits to memory and time. Research only, not a medical device.
    """
    _refuse_options_of(_OF_REVIEW if api else _OF_API, context, "without" if api else "with")
    if not api:
        review = _ReviewOptions(reviewer, with_token=not no_token, blind=blind, open_page=open_page)
        return _review(run, host, port or 0, review, quiet=quiet)
    from tilewise.serving.prediction_api.access import read_token
    from tilewise.serving.prediction_api.config import ServiceConfig
    from tilewise.serving.prediction_api.serve_api import serve_api

    def say(address: str) -> None:
        if not quiet:
            typer.echo(f"serving {run} at {address}; Ctrl-C ends it", err=True)

    config = ServiceConfig(
        host=host,
        port=_API_PORT if port is None else port,
        workers=workers,
        max_megabytes=max_megabytes,
        max_megapixels=max_megapixels,
        max_requests=max_requests,
        max_batch=max_batch,
        predict_seconds=predict_seconds,
        wait_seconds=wait_seconds,
        upload_seconds=upload_seconds,
        memory_megabytes=memory_megabytes,
    )
    serve_api(run, config, token=read_token(token_file), on_start=say)
    return 0


def _refuse_options_of(names: Sequence[str], context: typer.Context, what: str) -> None:
    """An option that has no effect, a token above all, is not taken silently."""
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = next(parameter.opts[0] for parameter in context.command.params if parameter.name == name)
            raise UsageError(f"{option} has an effect {what} --api alone; leave one of them out or in")


@dataclass(frozen=True)
class _ReviewOptions:
    reviewer: str | None
    with_token: bool
    blind: bool
    open_page: bool


def _review(run: Path, host: str, port: int, options: _ReviewOptions, *, quiet: bool) -> int:
    from tilewise.serving.review.serve_review import serve_review

    if host not in {"127.0.0.1", "localhost"}:
        raise UsageError(
            f"--host {host}: the review page listens at 127.0.0.1 alone; from another machine, reach it through "
            "`ssh -L PORT:127.0.0.1:PORT`, with the same PORT twice"
        )

    def say(address: str, opened: str) -> None:
        # The address is the result of the command; whoever asks for quiet needs it as well.
        typer.echo(address)
        if not quiet:
            typer.echo("Ctrl-C ends the review; everything decided is stored", err=True)
        if options.open_page:
            import webbrowser

            webbrowser.open(opened)

    summary = serve_review(
        run,
        reviewer=options.reviewer,
        port=port,
        with_token=options.with_token,
        blind=options.blind,
        on_start=say,
    )
    if not quiet:
        typer.echo("\n".join(summary.sentences()), err=True)
    return 0
