"""What the service allows: where it listens, and its limits."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ServiceConfig(BaseModel):
    """Where the service listens and what a request may ask of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address to listen at.")
    port: int = Field(8000, ge=0, le=65_535, description="Port to listen at; 0 takes one that is free.")
    workers: int = Field(1, ge=1, description="Processes that predict, one image at a time each.")
    max_megabytes: int = Field(256, ge=1, description="Size of a request's body, in MB.")
    max_megapixels: int = Field(100, ge=1, le=400, description="Pixels of one image that are decoded at once.")
    max_requests: int = Field(64, ge=1, description="Requests that upload, wait or are predicted at once.")
    max_batch: int = Field(16, ge=1, description="Images of one batch.")
    predict_seconds: float = Field(300.0, gt=0, description="Time that one image may take a worker.")
    wait_seconds: float = Field(300.0, gt=0, description="Time that an image may wait for a worker.")
    upload_seconds: float = Field(60.0, gt=0, description="Time that a request's body may take to arrive.")
    memory_megabytes: int = Field(
        6000, ge=100, description="Memory that a worker may take beyond what the loaded run takes."
    )
    map_megabytes: int = Field(64, ge=1, description="Maps that are held in memory, all together.")
    map_minutes: float = Field(15.0, gt=0, description="How long a map can be fetched.")
