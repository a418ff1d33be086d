"""What a training would take, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tilewise.wording import count, duration

if TYPE_CHECKING:
    from tilewise.pipeline.estimate_run import RunEstimate, StageEstimate

_STATES = {"new": "new", "stopped": "a stopped run, which would go on", "finished": "a finished run"}


def estimate_text(estimate: RunEstimate) -> str:
    """Stage by stage, with the time and memory of the whole."""
    return "\n".join(_lines(estimate))


def _lines(estimate: RunEstimate) -> Iterator[str]:
    yield f"{estimate.recipe} on {count(estimate.num_slides, 'slide')}, into {estimate.out} ({_STATES[estimate.state]})"
    for stage in estimate.stages:
        yield f"  {stage.name:<9} {_work(stage):<58} {_time(stage)}"
    untimed = [stage.name for stage in estimate.stages if stage.seconds is None]
    beside = f", and {' and '.join(untimed)}" if untimed else ""
    yield f"about {duration(estimate.seconds)}{beside}; rough, by {', '.join(estimate.timed)}, timed here and now"
    if estimate.memory_bytes is not None:
        yield f"about {estimate.memory_bytes / 2**30:.1f} GiB of memory, all processes together"
    yield "nothing was written"


def _work(stage: StageEstimate) -> str:
    cached = f", {stage.num_cached} of them in the cache" if stage.num_cached else ""
    num = "" if stage.num_items is None else f"{stage.num_items} "
    return f"{num}{stage.note}{cached}"


def _time(stage: StageEstimate) -> str:
    return "not timed" if stage.seconds is None else f"about {duration(stage.seconds)}"
