"""`tilewise serve`: a finished run over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tilewise.cli.options import QuietOption, RunArgument
from tilewise.errors import UsageError

_EXAMPLES = (
    "Examples: tilewise serve runs/first --api; "
    "tilewise serve runs/first --api --host 0.0.0.0 --port 8080 --token-file token.txt; "
    "curl -F image=@slide.png http://127.0.0.1:8000/v1/predict"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve", epilog=_EXAMPLES)(serve)


def serve(
    run: RunArgument,
    api: Annotated[bool, typer.Option("--api", help="Serve predictions to programs: REST, with OpenAPI.")] = False,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; beyond 127.0.0.1 only with a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port; 0 takes one that is free.")] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help="File whose first line is the bearer token. Default: $TILEWISE_TOKEN."),
    ] = None,
    quiet: QuietOption = False,
) -> int:
    """Serve a finished run over HTTP until Ctrl-C (pip install 'tilewise[serve]').

    With --api, programs ask for predictions; /openapi.json describes them. Research only, not a medical device.
    """
    if not api:
        raise UsageError("tilewise serve has only the prediction API so far; add --api")
    from tilewise.serving.prediction_api.access import read_token
    from tilewise.serving.prediction_api.config import ServiceConfig
    from tilewise.serving.prediction_api.serve_api import serve_api

    def say(address: str) -> None:
        if not quiet:
            typer.echo(f"serving {run} at {address}; Ctrl-C ends it", err=True)

    serve_api(run, ServiceConfig(host=host, port=port), token=read_token(token_file), on_start=say)
    return 0
