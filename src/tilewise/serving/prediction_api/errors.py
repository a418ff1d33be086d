"""Errors that a request can meet: one body for all of them, and where the OpenAPI document lists which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tilewise.serving.prediction_api.schemas import ErrorBody

RETRY_SECONDS: Final = "5"

_MEANINGS: Final[Mapping[int, str]] = {
    400: "The request's body is no form as expected.",
    401: "The token is missing or wrong.",
    403: "The request names another host or comes from a page of another site.",
    404: "There is nothing at this address, or no longer.",
    405: "The address knows other methods.",
    408: "The body arrived too slowly.",
    413: "The body has too many bytes, or an image too many pixels.",
    415: "The body is not multipart/form-data.",
    422: "An image cannot be read or predicted, or a parameter is not valid.",
    500: "Something failed that should not; the service's log has it.",
    503: "As many requests as allowed are here already, or no worker is ready.",
    504: "The prediction took longer than allowed.",
}


@dataclass(eq=False)
class ServiceError(Exception):
    """What is answered in the place of a result.

    Attributes:
        status: of HTTP.
        code: which error, for programs.
        message: what went wrong, for people.
        next_step: what to do about it.
        headers: further ones of the answer.
    """

    status: int
    code: str
    message: str
    next_step: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> ErrorBody:
        """The answer's body."""
        return ErrorBody(code=self.code, message=self.message, next_step=self.next_step)


def busy(message: str) -> ServiceError:
    """Too much is asked at once."""
    return ServiceError(503, "busy", message, "send the request again later", {"Retry-After": RETRY_SECONDS})


def document_errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Statuses of an address for the OpenAPI document, besides those that every address has."""
    schema = {"$ref": f"#/components/schemas/{ErrorBody.__name__}"}  # as JSON, whatever else the address answers with
    documented: dict[int | str, dict[str, Any]] = {
        status: {"description": _MEANINGS[status], "content": {"application/json": {"schema": schema}}}
        for status in sorted({401, 403, 405, *statuses})
    }
    if 503 in statuses:
        seconds = {"schema": {"type": "integer"}, "description": "Seconds to wait."}
        documented[503]["headers"] = {"Retry-After": seconds}
    return documented
