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
    quiet: QuietOption = False,
) -> int:
    """Serve a finished run over HTTP until Ctrl-C (pip install 'tilewise[serve]').

    With --api, programs ask for predictions, equal to those of `tilewise predict`; /openapi.json describes how. Images
    are decoded in processes of their own, with limits to memory and time. Research only, not a medical device.
    """
    if not api:
        raise UsageError("tilewise serve has only the prediction API so far; add --api")
    from tilewise.serving.prediction_api.access import read_token
    from tilewise.serving.prediction_api.config import ServiceConfig
    from tilewise.serving.prediction_api.serve_api import serve_api

    def say(address: str) -> None:
        if not quiet:
            typer.echo(f"serving {run} at {address}; Ctrl-C ends it", err=True)

    config = ServiceConfig(
        host=host,
        port=port,
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
