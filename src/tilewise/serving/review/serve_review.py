"""A finished run's review page, from the first check to the last request."""

from __future__ import annotations

import contextlib
import getpass
import socket
from collections.abc import Callable
from pathlib import Path

from tilewise.errors import UsageError
from tilewise.run_folder import RunFolder

_HOST = "127.0.0.1"
_GRACE_SECONDS = 2


def serve_review(
    run: Path,
    *,
    reviewer: str | None = None,
    port: int = 0,
    on_start: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve the review page of a finished run on the loopback address until the process is interrupted.

    Decisions go to `review/decisions.sqlite` in the run's folder; decisions of people that the run was trained with are
    its first rows.

    Args:
        run: the run's folder.
        reviewer: whose decisions these are; None takes the user's name.
        port: to listen at; 0 takes one that is free.
        on_start: is called with the address once requests are answered.

    Raises:
        UsageError: there is no finished run of slides, the extra `serve` is missing, the user has no name, or the
            port is taken.
        CohortError: the cohort is not where it was.
        ArtifactError: a file of the run is missing or damaged.
    """
    try:
        import uvicorn

        from tilewise.serving.review.app import Review, create_app
    except ImportError as error:
        if (error.name or "").startswith("tilewise"):
            raise
        raise UsageError(f"serving needs {error.name}; pip install 'tilewise[serve]'") from error
    from tilewise.auditing.decision_log import DecisionLog
    from tilewise.serving.review.reviewed_run import ReviewedRun

    reviewer = reviewer or _user()
    reviewed = ReviewedRun.open(RunFolder(run))
    try:
        reviewed.folder.decision_log.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{run}: decisions cannot be written there ({error}); copy the run to a folder of yours"
        ) from error
    try:
        listener = socket.create_server((_HOST, port), backlog=128)
    except OSError as error:
        raise UsageError(f"--port {port} cannot be listened at ({error.strerror or error}); give 0 for any") from error
    port = listener.getsockname()[1]
    hosts = frozenset({f"{_HOST}:{port}", f"localhost:{port}"})
    with listener, DecisionLog(reviewed.folder.decision_log, before=reviewed.decided) as log:
        app = create_app(Review(reviewed, log, reviewer), hosts)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        on_start(f"http://{_HOST}:{port}/")
        with contextlib.suppress(KeyboardInterrupt):  # which is how a review is ended
            uvicorn.Server(config).run(sockets=[listener])


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError) as error:  # as in a container, whose users need no names
        raise UsageError("the user has no name here; say who decides with --reviewer NAME") from error
