"""The process that decodes and predicts, with a limit to its memory; what kills it kills no other.

Requests and answers are JSON, so that a decoder that was taken over cannot make the service unpickle anything.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tilewise.errors import TilewiseError
from tilewise.execution import leave_with_parent

if TYPE_CHECKING:
    from tilewise.serving.prediction_api.predict_slide import SlidePredictor

_log = logging.getLogger(__name__)

_STATUS: Final = Path("/proc/self/statm")
_TOO_LARGE: Final = {
    "status": 422,
    "code": "image-needs-too-much-memory",
    "message": "the image needs more memory than a request may take here",
    "next_step": "scale it down, or start the service with a larger --memory-megabytes",
}


def run_worker(connection: Connection, run: str, max_pixels: int, memory_megabytes: int) -> None:
    """Load a run, say so, and answer requests until the connection ends.

    Args:
        connection: to the service.
        run: folder of the run.
        max_pixels: of an image.
        memory_megabytes: that requests may take beyond what the loaded run does.
    """
    leave_with_parent()
    from tilewise.serving.prediction_api.predict_slide import SlidePredictor

    try:
        predictor = SlidePredictor.load(Path(run), max_pixels=max_pixels)
    except TilewiseError as error:
        connection.send_bytes(json.dumps({"failed": str(error)}).encode())
        return
    _limit_memory(memory_megabytes * 1_000_000)
    connection.send_bytes(b"{}")
    while True:
        try:
            request = json.loads(connection.recv_bytes())
        except (EOFError, OSError):
            return
        answer, picture = _answer(predictor, request)
        connection.send_bytes(json.dumps(answer | {"picture": picture is not None}).encode())
        if picture is not None:
            connection.send_bytes(picture)


def _answer(predictor: SlidePredictor, request: dict[str, Any]) -> tuple[dict[str, Any], bytes | None]:
    """The answer and its picture; it says when this process must not be trusted with another request."""
    from tilewise.serving.prediction_api.errors import ServiceError

    folder = Path(request["folder"])
    os.environ["TILEWISE_CACHE"] = str(folder / "cache")  # nothing of a request outlives it
    mask = folder / "mask" if request["mask"] else None
    try:
        prediction, picture = predictor.predict(folder / "image", mask, with_map=request["map"])
    except ServiceError as error:
        return {"error": {"status": error.status, **error.body.model_dump()}}, None
    except Exception as error:  # noqa: BLE001 - the boundary where one request fails and the service goes on
        if _is_out_of_memory(error):
            return {"error": _TOO_LARGE, "is_spent": True}, None
        _log.exception("a prediction failed")
        message = {"code": "internal", "message": f"the prediction failed ({type(error).__name__})"}
        next_step = "tell who runs the service: its log says more"
        return {"error": {"status": 500, **message, "next_step": next_step}, "is_spent": True}, None
    return {"prediction": prediction}, picture


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, in numpy's words, torch's or OpenCV's."""
    return isinstance(error, MemoryError) or "memory" in str(error).lower()


def _limit_memory(num_bytes: int) -> None:
    """Let the process grow by so much at most, and leave no dump of a slide behind when it crashes; on Linux."""
    if sys.platform != "linux":
        return
    import resource

    address_space = int(_STATUS.read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = address_space + num_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
