"""What became of each rung in one fold, and its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tilewise.errors import ArtifactError
from tilewise.evaluation.interval import Estimate
from tilewise.store import read_json, write_json

CHOICE_NAME = "ladder.json"
_SCHEMA = "tilewise.ladder"
_VERSION = 1


@dataclass(frozen=True)
class RungResult:
    """One rung in one fold.

    Attributes:
        name: of the rung.
        scores: by inner fold and repeat; None where the metric is not defined, nothing where it was not tried.
        over: the rung that stood when it was tried; None of the first.
        gain: over that rung.
        standard_error: of the gain.
        climbed: whether it stood from then on.
        reason: why it was not tried, else ''.
    """

    name: str
    scores: tuple[float | None, ...] = ()
    over: str | None = None
    gain: Estimate | None = None
    standard_error: float | None = None
    climbed: bool = False
    reason: str = ""

    @property
    def score(self) -> float | None:
        """Mean over the inner folds where it is defined."""
        defined = [score for score in self.scores if score is not None]
        return sum(defined) / len(defined) if defined else None

    def __str__(self) -> str:
        if self.reason:
            return f"{self.name}: not tried, {self.reason}"
        if self.gain is None:
            return self.name if self.score is None else f"{self.name}: {self.score:.3f}"
        if self.standard_error is None:
            return f"{self.name}: not climbed, too few inner folds have a score"
        became = "climbed" if self.climbed else "not climbed"
        return f"{self.name}: {self.gain:+.3f} over {self.over}, standard error {self.standard_error:.3f}, {became}"


@dataclass(frozen=True)
class LadderChoice:
    """What one fold chose.

    Attributes:
        rungs: in the order of the recipe.
        chosen: name of the rung that stands in the end.
        metric: that scores are of.
        level: of the intervals.
        min_standard_errors: that a gain had to exceed.
    """

    rungs: tuple[RungResult, ...]
    chosen: str
    metric: str
    level: float
    min_standard_errors: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def write(self, path: Path) -> None:
        """Write the choice."""
        write_json(path, self.to_json(), schema=_SCHEMA, version=_VERSION)

    @classmethod
    def read(cls, path: Path) -> LadderChoice:
        """Read a choice.

        Raises:
            ArtifactError: the file is missing or damaged.
        """
        data = read_json(path, schema=_SCHEMA, version=_VERSION)
        try:
            return cls(
                rungs=tuple(map(_rung, data["rungs"])),
                chosen=str(data["chosen"]),
                metric=str(data["metric"]),
                level=float(data["level"]),
                min_standard_errors=float(data["min_standard_errors"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path} is damaged ({error!r}); train the run again") from error


def _rung(data: dict[str, Any]) -> RungResult:
    gain = None if data["gain"] is None else Estimate(**data["gain"])
    return RungResult(**{**data, "scores": tuple(data["scores"]), "gain": gain})


def read_choices(folders: Sequence[Path]) -> tuple[LadderChoice, ...]:
    """What each fold chose; nothing of a run without a ladder."""
    paths = [folder / CHOICE_NAME for folder in folders]
    return tuple(LadderChoice.read(path) for path in paths) if paths and paths[0].is_file() else ()
