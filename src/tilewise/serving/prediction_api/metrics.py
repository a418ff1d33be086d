"""What the service counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class ServiceMetrics:
    """Counters of one service, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "tilewise_requests", "Requests, by address and status.", ("route", "status"), registry=self._registry
        )
        self._latency = Histogram(
            "tilewise_request_seconds",
            "From a request's head to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._images = Counter(
            "tilewise_images", "Images, by what became of them.", ("outcome",), registry=self._registry
        )

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Count an answered request; `route` is of the application, never what the client asked for."""
        self._requests.labels(route, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def count_image(self, outcome: str) -> None:
        """Count an image: `predicted`, or the code of its error."""
        self._images.labels(outcome).inc()

    def watch(self, name: str, description: str, measure: Callable[[], float]) -> None:
        """Show a value that is measured whenever somebody asks."""
        Gauge(f"tilewise_{name}", description, registry=self._registry).set_function(measure)

    def text(self) -> bytes:
        """All values in Prometheus' text format."""
        return generate_latest(self._registry)
