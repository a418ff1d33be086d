"""Slides in, their stain profiles out: what is in the cache is taken from it, the rest is fitted in parallel."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tilewise.errors import ArtifactError
from tilewise.execution import Failure, run_each, slide_time_limit
from tilewise.slides import open_slide
from tilewise.stain.config import Method
from tilewise.stain.fit import fit_slide
from tilewise.stain.profile import StainProfile
from tilewise.store import cache_dir, cache_writes, digest_config

_log = logging.getLogger(__name__)

# Goes up whenever the same slide gives another profile.
_VERSION = 2
STAGE = "stain"


@dataclass(frozen=True)
class StainRequest:
    """A slide to fit.

    Attributes:
        path: of the slide's file.
        max_pixels: the largest it may be.
        content: digest of what lies in the file; a profile is cached under it.
        method: of the normalisation that the profile is for.
    """

    path: Path
    max_pixels: int
    content: str
    method: Method

    @property
    def cached(self) -> Path:
        """Where the profile is kept. Reinhard's and Macenko's are the same."""
        kind = "macenko" if self.method == "reinhard" else self.method
        key = digest_config([self.content, kind, _VERSION])
        return cache_dir() / "stain" / key[:2] / f"{key}.json"


def fit_profiles(
    requests: Mapping[str, StainRequest], *, workers: int | None = None
) -> tuple[dict[str, StainProfile], tuple[Failure, ...]]:
    """Fit the profile of every slide on its tissue.

    Args:
        requests: by the slide's name.
        workers: processes; None takes every processor.

    Returns:
        Slide -> profile in the order of the requests, and the slides that could not be read.

    Raises:
        UsageError: the cache cannot be written to.
    """
    profiles = {name: profile for name, request in requests.items() if (profile := _cached(request)) is not None}
    missing = {name: request for name, request in requests.items() if name not in profiles}
    outcome = run_each(_fit, missing, stage=STAGE, workers=workers, limit_s=slide_time_limit()) if missing else None
    failures = () if outcome is None else outcome.failures
    profiles |= {} if outcome is None else outcome.results
    return {name: profiles[name] for name in requests if name in profiles}, failures


def _fit(request: StainRequest) -> StainProfile:
    with open_slide(request.path, max_pixels=request.max_pixels) as reader:
        profile = fit_slide(reader, request.method)
    with cache_writes():
        profile.write(request.cached, durable=False)
    return profile


def _cached(request: StainRequest) -> StainProfile | None:
    path = request.cached
    if not path.is_file():
        return None
    try:
        return StainProfile.read(path)
    except ArtifactError:
        _log.warning("%s is damaged; it is made again", path)
        return None
