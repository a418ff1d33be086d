"""What became of the slides' stains in a run: the file `stain.json`, and the sentence about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tilewise.errors import ArtifactError
from tilewise.stain.profile import StainProfile
from tilewise.store import read_json, write_json

NAME = "stain.json"
_SCHEMA = "tilewise.stain"
_VERSION = 1
_NAMED = 5


@dataclass(frozen=True)
class StainRecord:
    """Which slides were normalised to what.

    Attributes:
        method: of the normalisation.
        targets: one profile for all folds, or one for each.
        num_slides: slides that were to be normalised.
        unnormalised: slide -> why it, or some of its tiles, keep their own colours.
    """

    method: str
    targets: tuple[StainProfile, ...]
    num_slides: int
    unnormalised: Mapping[str, str]

    def sentence(self) -> str:
        """How many slides keep their own colours, and why; '' where none does."""
        if not self.unnormalised:
            return ""
        num = len(self.unnormalised)
        named = "; ".join(f"{name} ({reason})" for name, reason in list(self.unnormalised.items())[:_NAMED])
        more = f"; and {num - _NAMED} more, named in {NAME}" if num > _NAMED else ""
        keep = "keeps its" if num == 1 else "keep their"
        return (
            f"{num} of {self.num_slides} slides {keep} own colours, in whole or in part, because the estimate of the "
            f"stain is not to be believed: {named}{more}."
        )

    def write(self, path: Path) -> None:
        """Write the record as JSON."""
        payload = {
            "method": self.method,
            "targets": [target.to_json() for target in self.targets],
            "num_slides": self.num_slides,
            "left": dict(self.unnormalised),
        }
        write_json(path, payload, schema=_SCHEMA, version=_VERSION)

    @classmethod
    def read(cls, path: Path) -> StainRecord:
        """Read what `write` wrote.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        data = read_json(path, schema=_SCHEMA, version=_VERSION)
        try:
            return cls(
                method=str(data["method"]),
                targets=tuple(StainProfile.from_json(target) for target in data["targets"]),
                num_slides=int(data["num_slides"]),
                unnormalised={str(name): str(reason) for name, reason in data["left"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArtifactError(f"{path} is damaged ({error!r}); train the run again") from error
