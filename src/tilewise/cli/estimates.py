"""What a training, or several, would take, as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tilewise.errors import UsageError
from tilewise.wording import count, duration

if TYPE_CHECKING:
    from tilewise.pipeline.estimate_run import RunEstimate, StageEstimate

_STATES = {"new": "new", "stopped": "a stopped run, which would go on", "finished": "a finished run"}


def refuse_features(cohort: Path) -> None:
    """Features of another program leave nothing to time.

    Raises:
        UsageError: always.
    """
    from tilewise.interchange.folder import FeatureFolder

    FeatureFolder.find(cohort)  # raises where there are none, as without --dry-run
    raise UsageError("--dry-run times slides, and this cohort is a folder of features; leave it out")


def estimate_text(estimate: RunEstimate) -> str:
    """Stage by stage, with the time and memory of the whole."""
    return "\n".join(_lines(estimate))


def _lines(estimate: RunEstimate) -> Iterator[str]:
    runs = "" if estimate.unit == "run" else f", {count(estimate.num_runs, estimate.unit)}"
    kind = {"run": "run", "variant": "sweep", "trial": "search"}[estimate.unit]
    state = _STATES[estimate.state].replace("run", kind)
    yield f"{estimate.recipe} on {count(estimate.num_slides, 'slide')}, into {estimate.out} ({state}){runs}"
    width = max((len(_work(stage)) for stage in estimate.stages), default=0)
    for stage in estimate.stages:
        yield f"  {stage.name:<9} {_work(stage):<{width}}  {_time(stage)}"
    if not estimate.stages:
        yield "nothing would be trained, and nothing was written"
        return
    untimed = [stage.name for stage in estimate.stages if stage.seconds is None]
    beside = f", and {' and '.join(untimed)}" if untimed else ""
    yield f"about {duration(estimate.seconds)}{beside}; rough, by {', '.join(estimate.timed)}, timed here and now"
    if estimate.memory_bytes is not None:
        most = "all processes together" if estimate.unit == "run" else f"at the {estimate.unit} that takes most"
        yield f"about {estimate.memory_bytes / 2**30:.1f} GiB of memory, {most}"
    yield "nothing was written"


def _work(stage: StageEstimate) -> str:
    cached = f", {stage.num_cached} of them in the cache" if stage.num_cached else ""
    num = "" if stage.num_items is None else f"{stage.num_items} "
    runs = f"; {stage.runs}" if stage.runs else ""
    return f"{num}{stage.note}{cached}{runs}"


def _time(stage: StageEstimate) -> str:
    return "not timed" if stage.seconds is None else f"about {duration(stage.seconds)}"
