"""The routes of the service."""

from __future__ import annotations

from fastapi import FastAPI

from tilewise.serving.prediction_api.schemas import ModelCard, Status
from tilewise.version import __version__


def create_app(card: ModelCard) -> FastAPI:
    """The application that serves one run."""
    app = FastAPI(title="tilewise", version=__version__, docs_url=None, redoc_url=None)

    @app.get("/healthz", summary="Whether the service is there")
    async def healthz() -> Status:
        return Status(status="ok")

    @app.get("/v1/model", summary="The model card")
    async def model() -> ModelCard:
        return card

    return app
