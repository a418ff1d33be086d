"""The routes of the service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from tilewise.serving.prediction_api.config import ServiceConfig
from tilewise.serving.prediction_api.errors import ServiceError, document_errors
from tilewise.serving.prediction_api.map_store import MapStore
from tilewise.serving.prediction_api.metrics import ServiceMetrics
from tilewise.serving.prediction_api.schemas import (
    Batch,
    BatchItem,
    ErrorBody,
    MapLink,
    ModelCard,
    Prediction,
    ServiceBody,
    Status,
)
from tilewise.serving.prediction_api.uploads import Upload, receive_images
from tilewise.serving.prediction_api.workers import Workers
from tilewise.version import __version__

_DESCRIPTION: Final = """Predictions of one run of tilewise for images of histology slides.

Research only, not a medical device; `GET /v1/model` says more. Every error has the same body: a code for programs, a
message for people, and the next step."""
_FILE: Final = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
_POST_ERRORS: Final = (400, 408, 413, 415, 422, 500, 503, 504)
MapQuery = Annotated[bool, Query(alias="map", description="Draw a map as well.")]


@dataclass(frozen=True)
class Service:
    """What the routes work with.

    Attributes:
        config: limits.
        card: of the model.
        workers: that predict.
        maps: that can be fetched.
        metrics: of requests and images.
        folder: of uploads, while they are predicted.
    """

    config: ServiceConfig
    card: ModelCard
    workers: Workers
    maps: MapStore
    metrics: ServiceMetrics
    folder: Path

    async def predict(self, upload: Upload, *, with_map: bool) -> Prediction:
        """Predict one image.

        Raises:
            ServiceError: it cannot be predicted.
        """
        try:
            answer = await self.workers.predict(upload.folder, has_mask=upload.has_mask, with_map=with_map)
        except ServiceError as error:
            self.metrics.count_image(error.code)
            raise
        self.metrics.count_image("predicted")
        name = None if answer.picture is None else self.maps.add(answer.picture)
        link = None if name is None else MapLink(url=f"/v1/maps/{name}", expires_seconds=self.maps.seconds)
        return Prediction(**answer.prediction, map=link)

    async def predict_item(self, index: int, upload: Upload, *, with_map: bool) -> BatchItem:
        """Predict one image of a batch; its error is part of the answer."""
        try:
            prediction = await self.predict(upload, with_map=with_map)
        except ServiceError as error:
            return BatchItem(index=index, status=error.status, prediction=None, error=error.body)
        return BatchItem(index=index, status=200, prediction=prediction, error=None)


def create_app(service: Service, *, needs_token: bool) -> FastAPI:
    """The application that serves one run, without the gate that it stands behind.

    Args:
        service: what the routes work with.
        needs_token: whether the OpenAPI document says that a token is needed.
    """
    app = FastAPI(
        title="tilewise",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        responses=document_errors(),
        redirect_slashes=False,
    )
    app.exception_handler(ServiceError)(_answer_error)
    app.exception_handler(RequestValidationError)(_answer_invalid)
    app.exception_handler(HTTPException)(_answer_http)
    app.exception_handler(Exception)(_answer_unexpected)
    _add_predictions(app, service)
    _add_facts(app, service)
    if needs_token:
        _document_token(app)
    return app


def _add_predictions(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/predict",
        summary="Predict one image",
        responses=document_errors(*_POST_ERRORS),
        openapi_extra=_form_body({"image": _FILE, "mask": _FILE}, ("image",)),
    )
    async def predict(request: Request, with_map: MapQuery = True) -> Prediction:
        """Takes a PNG, JPEG, BMP or TIFF (also SVS and other pyramids), and a mask: an image or GeoJSON."""
        received = receive_images(request, service.folder, image="image", mask="mask", most=1)
        async with received as (upload,):
            return await service.predict(upload, with_map=with_map)

    most = service.config.max_batch
    files = {"type": "array", "items": _FILE, "minItems": 1, "maxItems": most}

    @app.post(
        "/v1/predict/batch",
        summary="Predict several images",
        responses=document_errors(*_POST_ERRORS),
        openapi_extra=_form_body({"images": files, "masks": files}, ("images",)),
    )
    async def predict_batch(request: Request, with_map: MapQuery = False) -> Batch:
        """Each image has its own result or error, as alone but without a map unless `map` is true.

        Masks: one for every image in order, or none.
        """
        received = receive_images(request, service.folder, image="images", mask="masks", most=most)
        async with received as uploads:
            items = [service.predict_item(index, one, with_map=with_map) for index, one in enumerate(uploads)]
            return Batch(results=list(await asyncio.gather(*items)))

    @app.get(
        "/v1/maps/{name}",
        summary="The map of a prediction",
        response_class=Response,
        responses={200: {"content": {"image/png": {"schema": _FILE}}}, **document_errors(404, 422)},
    )
    async def fetch_map(name: str) -> Response:
        """Probability of the predicted class: viridis from 0, dark blue, to 1, yellow, over the slide in grey."""
        picture = service.maps.get(name)
        if picture is None:
            raise ServiceError(404, "no-map", "there is no such map, or no longer", "predict the image again")
        return Response(picture, media_type="image/png")


def _add_facts(app: FastAPI, service: Service) -> None:
    @app.get("/", summary="What this service is, and where to go on")
    async def root() -> ServiceBody:
        return ServiceBody(
            version=__version__,
            model=service.card.name,
            classes=service.card.classes,
            predict="/v1/predict",
            predict_batch="/v1/predict/batch",
            model_card="/v1/model",
            openapi="/openapi.json",
        )

    @app.get("/v1/model", summary="The model card")
    async def model() -> ModelCard:
        return service.card

    @app.get("/healthz", summary="Whether the service is there")
    async def healthz() -> Status:
        return Status(status="ok")

    @app.get("/readyz", summary="Whether images can be predicted now", responses=document_errors(503))
    async def readyz() -> Status:
        if not service.workers.is_ready:
            raise ServiceError(
                503, "no-worker", "every worker is being started", "ask again later", {"Retry-After": "5"}
            )
        return Status(status="ok")

    @app.get("/metrics", summary="Counters for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        return PlainTextResponse(service.metrics.text(), media_type="text/plain; version=0.0.4")


def _form_body(properties: dict[str, Any], required: Sequence[str]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    encoding = {name: {"contentType": "application/octet-stream, image/*"} for name in properties}
    return {
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": schema, "encoding": encoding}},
        }
    }


def _document_token(app: FastAPI) -> None:
    document = app.openapi()
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path in {"/healthz", "/readyz"} else [{"token": []}]


def _respond(error: ServiceError) -> JSONResponse:
    return JSONResponse(error.body.model_dump(), error.status, dict(error.headers))


async def _answer_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)
    return _respond(error)


async def _answer_invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return _respond(ServiceError(422, "bad-parameter", f"{place}: {first['msg']}", "see /openapi.json"))


async def _answer_http(_request: Request, error: Exception) -> JSONResponse:
    """What Starlette refuses by itself: unknown addresses and methods."""
    assert isinstance(error, HTTPException)
    codes = {404: "no-such-address", 405: "wrong-method"}
    body = ErrorBody(code=codes.get(error.status_code, "refused"), message=error.detail, next_step="see /openapi.json")
    return JSONResponse(body.model_dump(), error.status_code, error.headers)


async def _answer_unexpected(_request: Request, error: Exception) -> JSONResponse:
    message = f"something failed that should not ({type(error).__name__})"
    return _respond(ServiceError(500, "internal", message, "tell who runs the service: its log says more"))
