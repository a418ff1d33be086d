"""One run's classifier over HTTP, from the first check to the last request."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from tilewise.errors import UsageError
from tilewise.run_folder import RunFolder
from tilewise.serving.prediction_api.access import require_token_beyond_loopback
from tilewise.serving.prediction_api.config import ServiceConfig

_GRACE_SECONDS = 5


def serve_api(
    run: Path,
    config: ServiceConfig,
    *,
    token: SecretStr | None = None,
    on_start: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve a finished run until the process is interrupted.

    Args:
        run: the run's folder.
        config: where to listen, and limits.
        token: that every request must bring; None asks for none.
        on_start: is called with the address once requests are answered.

    Raises:
        UsageError: there is no finished run, the extra `serve` is missing, the address is taken, or it lies beyond
            the loopback address and there is no token.
        ArtifactError: a file of the run is missing or damaged.
    """
    require_token_beyond_loopback(config.host, token)
    RunFolder(run).require_finished()
    try:
        import uvicorn

        from tilewise.serving.prediction_api.protocol import ImpatientProtocol
        from tilewise.serving.prediction_api.service import open_service
    except ImportError as error:
        raise UsageError(f"serving needs {error.name}; pip install 'tilewise[serve]'") from error
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listen(config))
        app = stack.enter_context(open_service(run, config, token))
        settings = uvicorn.Config(
            app,
            http=ImpatientProtocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        server = uvicorn.Server(settings)
        on_start(_address(listener))
        stack.enter_context(contextlib.suppress(KeyboardInterrupt))  # which is how a service is ended
        server.run(sockets=[listener])


def _listen(config: ServiceConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host.strip("[]"), config.port), family=family, backlog=2048)
    except OSError as error:
        raise UsageError(
            f"--host {config.host} --port {config.port} cannot be listened at ({error.strerror or error}); choose "
            "another port, 0 for any that is free"
        ) from error


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
