"""The folder of a run: where everything lies, whose it is, and one writer at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tilewise.errors import ArtifactError, UsageError
from tilewise.plugins import require_plugins
from tilewise.store import MANIFEST_NAME, REVIEW, folder_lock, read_json, visible_names, write_editable, write_json

IDENTITY_COPY = "run.json"
"""Key of the text of `run.json` among the inputs of a run's manifest."""

_SCHEMA = "tilewise.run"
_VERSION = 1


@dataclass(frozen=True)
class RunFolder:
    """Paths inside a run's folder; the object itself is the path of the folder."""

    root: Path

    def __fspath__(self) -> str:
        return str(self.root)

    @property
    def identity(self) -> Path:
        """What the run was made from: cohort, recipe, seed."""
        return self.root / "run.json"

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.root / "recipe.yaml"

    @property
    def environment(self) -> Path:
        """Versions and machine."""
        return self.root / "environment.json"

    @property
    def audit(self) -> Path:
        """The audit's folder."""
        return self.root / "audit"

    @property
    def slides(self) -> Path:
        """The audit's table of the slides that were kept; a combination of runs has none."""
        return self.audit / "slides.parquet"

    @property
    def segment(self) -> Path:
        """Masks that were made, and the networks that made them; only there where masks are made."""
        return self.root / "segment"

    @property
    def tiles(self) -> Path:
        """The tile set."""
        return self.root / "tiles.parquet"

    @property
    def outside(self) -> Path:
        """Tiles of the tissue outside the masks; only there where `features.context` asks for them."""
        return self.root / "tiles-outside.parquet"

    @property
    def stain(self) -> Path:
        """What became of the slides' stains; only there where they are normalised."""
        return self.root / "stain.json"

    @property
    def folds(self) -> Path:
        """The fold file."""
        return self.root / "folds.json"

    def fold(self, number: int) -> Path:
        """The folder of one fold."""
        return self.root / "folds" / str(number)

    @property
    def ladder(self) -> Path:
        """Which rungs of the ladder the time allows; only there where it is limited."""
        return self.root / "ladder.json"

    @property
    def model(self) -> Path:
        """The deployable classifier."""
        return self.root / "model"

    @property
    def predictions(self) -> Path:
        """Out-of-fold predictions."""
        return self.root / "predictions.parquet"

    @property
    def tile_probabilities(self) -> Path:
        """Probabilities of the tiles of slides that the report shows; only there where heads take features."""
        return self.root / "tile_probabilities.parquet"

    @property
    def learning_curve(self) -> Path:
        """The score against the number of slides; only there where `tilewise curve` was run."""
        return self.root / "learning_curve.json"

    @property
    def evaluation(self) -> Path:
        """The scores."""
        return self.root / "evaluation.json"

    @property
    def shortcuts(self) -> Path:
        """How well the label is told by everything but tissue."""
        return self.root / "shortcuts.json"

    @property
    def doubtful_labels(self) -> Path:
        """Labels that predictions speak against; only there where cleanlab is installed."""
        return self.root / "doubtful_labels.csv"

    @property
    def decision_log(self) -> Path:
        """What people decided about the finished run; only there once it was served for review."""
        return self.root / REVIEW / "decisions.sqlite"

    @property
    def report(self) -> Path:
        """The report."""
        return self.root / "report.html"

    @property
    def failures(self) -> Path:
        """Slides that failed; only there when some did."""
        return self.root / "failures.csv"

    def read_identity(self) -> dict[str, Any]:
        """What the run was made from.

        Raises:
            UsageError: this folder holds no run.
            ArtifactError: what it says of its run is damaged.
            PluginError: it was made with a plugin that is not installed.
        """
        if not self.identity.is_file():
            # A folder that holds other things is a cohort, most likely, and no run goes into that.
            holds_others = self.root.is_dir() and visible_names(self.root)
            command = f"{self.root} --out runs/{self.root.name}" if holds_others else f"COHORT --out {self.root}"
            raise UsageError(f"{self.root} holds no run; make one with `tilewise train {command}`")
        data = read_json(self.identity, schema=_SCHEMA, version=_VERSION)
        lacking = [key for key in ("cohort", "recipe", "seed", "decisions", "notes") if key not in data]
        if lacking:
            raise ArtifactError(f"{self.identity} is damaged (no {lacking[0]!r}); train into another folder")
        require_plugins(data.get("plugins", ()), f"the run in {self.root}")
        return data

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end: its manifest is written last."""
        return (self.root / MANIFEST_NAME).is_file()

    def require_finished(self) -> dict[str, Any]:
        """What a finished run was made from.

        Raises:
            UsageError: this folder holds no run, or one that was stopped.
        """
        identity = self.read_identity()
        if not self.is_finished:
            command = "ensemble RUN..." if "ensemble" in identity else f"train {identity['cohort']['root']}"
            raise UsageError(
                f"the run in {self.root} has not come to its end: it was stopped, or failed; the same command goes on: "
                f"`tilewise {command} --out {self.root}` with its recipe and options"
            )
        return identity

    def check_place(self, identity: Mapping[str, Any]) -> str:
        """Find out whether the folder can be this run's.

        Returns:
            The day when the run was begun.

        Raises:
            UsageError: the folder holds something else.
        """
        if self.identity.is_file():
            existing = self.read_identity()
            # What was stopped before anything was trained is nobody's work yet.
            if self.is_finished or (self.root / "folds").exists():
                self._compare(existing, identity)
            return str(existing.get("created", identity["created"]))
        # Hidden files are the lock, what a killed write left, or the system's; none of them is anybody's work.
        foreign = visible_names(self.root)
        if foreign:
            raise UsageError(f"{self.root} is not empty and holds no run ({foreign[0]}); choose another --out")
        return str(identity["created"])

    def start_or_resume(self, identity: dict[str, Any], recipe_yaml: str) -> None:
        """Make the folder this run's, or find that it already is (then the run is resumed).

        Raises:
            UsageError: the folder holds something else; nothing in it was changed.
        """
        identity = identity | {"created": self.check_place(identity)}
        # The identity comes first: a folder that holds anything of a run says whose it is. A finished run keeps it,
        # or the notes of a cohort that has changed since would stand in it.
        if not self.is_finished:
            write_json(self.identity, identity, schema=_SCHEMA, version=_VERSION)
        write_editable(self.recipe, recipe_yaml)

    def _compare(self, existing: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        changed = [
            key for key in ("cohort", "recipe", "seed", "decisions", "plugins") if existing.get(key) != current.get(key)
        ]
        if changed:
            details = "; ".join(_difference(key, existing.get(key), current.get(key)) for key in changed)
            raise UsageError(f"{self.root} holds another run ({details}); choose another --out, or delete that folder")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against other writers; the lock dies with the process, however that dies.

        Raises:
            UsageError: another process writes here, or the folder cannot be made.
        """
        with folder_lock(self.root) as is_held:
            self._refuse_links()
            if is_held:
                self._remove_partial_files()
            yield

    def _refuse_links(self) -> None:
        """A run that somebody else made must not lead what is written into it elsewhere."""
        root = self.root.resolve()
        for folder, names, _ in os.walk(root):
            for path in (Path(folder) / name for name in names):
                if path.is_symlink() and not path.resolve().is_relative_to(root):
                    raise UsageError(
                        f"{path} leads to another folder, {path.resolve()}, and nothing is written through it; put a "
                        "folder in its place, or choose another --out"
                    )

    def _remove_partial_files(self) -> None:
        """Nobody else writes here now, so these are what killed writes left.

        In a folder that is somebody else's such a name may be anything, but for that of a mark.
        """
        partials = [path for name in map(Path, _MARKS) for path in self.root.glob(f".{name.stem}.????????.tmp*")]
        if any((self.root / name).is_file() for name in _MARKS):
            partials = list(self.root.rglob(".*.????????.tmp*"))
        for partial in partials:
            partial.unlink(missing_ok=True)


# What results of a command that writes into a folder are known by.
_MARKS = ("run.json", "sweep.json", "findings.parquet", "segment.json", "explain.csv")


def _difference(key: str, existing: Any, current: Any) -> str:
    if isinstance(existing, dict) and isinstance(current, dict):
        inner = [name for name in existing.keys() | current.keys() if existing.get(name) != current.get(name)]
        inner = [name for name in inner if name not in {"description", "notes"}] or inner  # texts follow from choices
        return "; ".join(_difference(f"{key}.{name}", existing.get(name), current.get(name)) for name in sorted(inner))
    return f"{key}: {existing!r} there, {current!r} here"
