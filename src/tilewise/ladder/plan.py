"""Which rungs the time allows, by what one training of each is measured to cost."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tilewise.errors import ArtifactError, FoldsError
from tilewise.ladder.climb import TrainsAndPredicts, inner_folds
from tilewise.ladder.config import LadderConfig
from tilewise.store import read_json, write_json
from tilewise.training.fold_request import FoldRequest
from tilewise.wording import duration

_SCHEMA = "tilewise.ladder-plan"
_VERSION = 1


@dataclass(frozen=True)
class LadderPlan:
    """Which rungs are tried in a run whose time is limited; it is made once, so that all folds try the same.

    Attributes:
        seconds: rung -> what all its trainings would take, by one of them that was measured.
        closed: rung -> why it is not tried.
    """

    seconds: Mapping[str, float]
    closed: Mapping[str, str]

    def write(self, path: Path) -> None:
        """Write the plan."""
        write_json(path, asdict(self), schema=_SCHEMA, version=_VERSION)

    @classmethod
    def read(cls, path: Path) -> LadderPlan:
        """Read a plan.

        Raises:
            ArtifactError: the file is missing or damaged.
        """
        data: dict[str, Any] = read_json(path, schema=_SCHEMA, version=_VERSION)
        try:
            return cls(dict(data["seconds"]), dict(data["closed"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path} is damaged ({error!r}); delete it and run again") from error


def plan_ladder(
    requests: Mapping[str, FoldRequest],
    config: LadderConfig,
    inputs: TrainsAndPredicts,
    *,
    num_folds: int,
    seconds_left: float,
    out: Path,
) -> LadderPlan:
    """Measure one training of each rung, the simplest first, and open those that fit into the time; the first always.

    A network on tiles is measured by one epoch, and is taken to train for all of its epochs.

    Args:
        requests: rung -> a fold as this rung trains it.
        config: of the ladder.
        inputs: slides of the fold.
        num_folds: of the run.
        seconds_left: for all folds and rungs.
        out: folder for models that are measured; it is removed.
    """
    seconds: dict[str, float] = {}
    closed: dict[str, str] = {}
    request = next(iter(requests.values()))
    try:
        inner = inner_folds(request, config)
    except FoldsError:
        return LadderPlan({}, {})  # no rung can be tried, which the folds say themselves
    num_trainings = num_folds * (len(inner) + 1)
    for number, (name, request) in enumerate(requests.items()):
        if number and seconds_left <= 0.0:
            closed[name] = "no time is left"
            continue
        epochs = request.training.epoch_config.epochs if request.training.input == "tiles" else 1
        training = request.training.model_copy(update={"epochs": 1}) if epochs > 1 else request.training
        start = time.monotonic()
        shutil.rmtree(out, ignore_errors=True)
        model = inputs.train(replace(request, fold=inner[0], training=training), out=out)
        inputs.predict((model,), inner[0].test)
        once = time.monotonic() - start
        seconds[name] = round(once * epochs * num_trainings, 1)
        if number and seconds[name] > seconds_left - once:
            left = duration(max(seconds_left - once, 0.0))
            closed[name] = f"it would take {duration(seconds[name])}, and {left} are left"
            seconds_left -= once
        else:
            seconds_left -= seconds[name] + once
    shutil.rmtree(out, ignore_errors=True)
    return LadderPlan(seconds, closed)
