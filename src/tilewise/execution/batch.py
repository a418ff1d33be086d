"""What is said of a batch of work, wherever it runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Batch:
    """How one function is called on many items.

    Attributes:
        stage: shown with the progress and written beside failures.
        workers: processes, or tasks on a cluster, at a time; None takes every processor.
        limit_s: seconds that one item may take; None is no limit.
        isolate: never work in this process.
    """

    stage: str
    workers: int | None
    limit_s: float | None
    isolate: bool = False


@dataclass(frozen=True)
class Claim:
    """What the work on one item takes of a node of a cluster; on this machine it has no effect.

    Attributes:
        threads: processors.
        gpus: graphics cards.
    """

    threads: int = 1
    gpus: int = 0
