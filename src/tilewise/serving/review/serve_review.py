"""A finished run's review page, from the first check to the last request."""

from __future__ import annotations

import contextlib
import getpass
import html
import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tilewise.errors import UsageError
from tilewise.run_folder import RunFolder

if TYPE_CHECKING:
    from tilewise.serving.review.summary import ReviewSummary

_HOST = "127.0.0.1"
_GRACE_SECONDS = 2


def serve_review(
    run: Path,
    *,
    reviewer: str | None = None,
    port: int = 0,
    with_token: bool = True,
    blind: bool = False,
    on_start: Callable[[str, str], None] = lambda _address, _file: None,
) -> ReviewSummary:
    """Serve the review page of a finished run on the loopback address until the process is interrupted.

    Decisions go to `review/decisions.sqlite` in the run's folder; decisions of people that the run was trained with are
    its first rows.

    Args:
        run: the run's folder.
        reviewer: whose decisions these are; None takes the user's name.
        port: to listen at; 0 takes one that is free.
        with_token: answer only browsers that were opened at the printed address, which holds a secret: other users of
            this machine reach the loopback address as well.
        blind: hide label, model and audit of a slide until the reviewer has decided about it. The page alone hides
            them: what its server answers to other requests holds them.
        on_start: is called once requests are answered, with the address, and with one to open a browser at that lacks
            the secret: the arguments of a process are no secret from other users.

    Returns:
        What was decided, by anybody who ever reviewed the run.

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
    from tilewise.serving.review.summary import summarise_review

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
    token = secrets.token_urlsafe() if with_token else None
    with contextlib.ExitStack() as stack:
        stack.enter_context(listener)
        log = stack.enter_context(DecisionLog(reviewed.folder.decision_log, before=reviewed.decided))
        app = create_app(Review(reviewed, log, reviewer, blind=blind), hosts, token)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        address = opened = f"http://{_HOST}:{port}/"
        if token is not None:
            address = f"{address}?token={token}"
            opened = stack.enter_context(
                _redirecting_file(reviewed.folder.decision_log.with_name("open.html"), address)
            )
        on_start(address, opened)
        with contextlib.suppress(KeyboardInterrupt):  # which is how a review is ended
            uvicorn.Server(config).run(sockets=[listener])
        return summarise_review(reviewed, log)


@contextlib.contextmanager
def _redirecting_file(path: Path, address: str) -> Iterator[str]:
    """A file that only this user can read and that leads to the address, while the block lasts; its own address."""
    path.unlink(missing_ok=True)
    path.touch(0o600, exist_ok=False)  # private before it holds anything
    path.write_text(f'<!doctype html><meta http-equiv="refresh" content="0; url={html.escape(address)}">\n', "utf-8")
    try:
        yield path.resolve().as_uri()
    finally:
        path.unlink(missing_ok=True)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError) as error:  # as in a container, whose users need no names
        raise UsageError("the user has no name here; say who decides with --reviewer NAME") from error
