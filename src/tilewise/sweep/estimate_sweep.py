"""What a sweep would do, and roughly how long it takes: each way of making features, and each network, is timed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tilewise.errors import UsageError
from tilewise.pipeline.estimate_run import RunEstimate, StageEstimate, estimate_run
from tilewise.pipeline.shared_stages import SharedStages, training_digest
from tilewise.recipe import Recipe
from tilewise.run_folder import RunFolder
from tilewise.store import digest_config
from tilewise.sweep.run_sweep import read_record
from tilewise.sweep.train_variants import OF_FEATURES
from tilewise.sweep.variants import Variant
from tilewise.wording import count

_SECTIONS: Final = {"audit": ("audit",), "tiles": ("audit", "segment", "tiles"), "features": OF_FEATURES}
_NOTHING: Final[dict[str, Any]] = {"num_items": 0, "num_cached": 0, "seconds": 0.0}


@dataclass
class _Row:
    """Stages of one name and note."""

    stage: StageEstimate
    variants: list[int] = field(default_factory=list)
    num_ways: int = 0


class _Stages:
    """Stages of several variants; what is made from the same counts once."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], _Row] = {}
        self._counted: dict[str, _Row] = {}

    def add(self, estimate: RunEstimate, numbers: Sequence[int], recipes: Sequence[Recipe]) -> None:
        """Add variants that one of them, the first, stands for."""
        for stage in (_heads(one, recipes) for one in estimate.stages):
            digest = _digest(stage.name, recipes[0])
            if digest not in self._counted:
                row = self._rows.setdefault((stage.name, stage.note), _Row(replace(stage, **_NOTHING)))
                times = len({training_digest(one) for one in recipes}) if stage.name == "training" else 1
                row.stage = _sum(row.stage, stage, times)
                row.num_ways += 1
                self._counted[digest] = row
            self._counted[digest].variants += numbers

    def rows(self, num_left: int) -> list[StageEstimate]:
        """In the order in which a run comes to them."""
        return [_noted(row, num_left) for row in sorted(self._rows.values(), key=lambda row: _place(row.stage))]


def estimate_sweep(name: str, variants: Sequence[Variant], out: Path, shared: SharedStages) -> RunEstimate:
    """Say what is left to do of a sweep. What variants share counts once; nothing is written.

    Args:
        name: of the grid.
        variants: in the order of the table's rows.
        out: folder that the sweep would have.
        shared: cohort, seed and machine.

    Raises:
        UsageError: the folder holds another sweep, or no variant can be trained here.
        FoldsError: the cohort has fewer groups than there should be folds.
    """
    is_begun = read_record(variants, out, shared) is not None
    folders = [RunFolder(out / "variants" / one.folder(number)) for number, one in enumerate(variants, 1)]
    left = [number for number, folder in enumerate(folders) if not folder.is_finished]
    ways: dict[str, list[int]] = {}
    for number in left:
        ways.setdefault(_way(variants[number].recipe), []).append(number)
    stages, estimates = _Stages(), []
    failing: list[StageEstimate] = []
    first: UsageError | None = None
    for numbers in ways.values():
        recipes = [variants[number].recipe for number in numbers]
        try:
            estimates.append(estimate_run(recipes[0], folders[numbers[0]].root, shared))
        except UsageError as error:  # the sweep goes on without these, if it has others
            first = first or error
            names = ", ".join(variants[number].name for number in numbers)
            failing.append(StageEstimate("failing", len(numbers), None, 0.0, f"of the variants: {names}: {error}"))
            continue
        stages.add(estimates[-1], numbers, recipes)
    if first is not None and not estimates:
        raise first
    return RunEstimate(
        out,
        "finished" if is_begun and not left else "stopped" if is_begun else "new",
        name,
        len(shared.cohort.slides),
        (*stages.rows(len(left)), *failing),
        max((one.memory_bytes for one in estimates if one.memory_bytes is not None), default=None),
        estimates[0].timed if estimates else (),
        len(left),
        "variant",
    )


def _way(recipe: Recipe) -> str:
    """The same for variants that one timing stands for: heads on the same features; each network is timed by itself."""
    if recipe.training.input == "features":
        return _digest("features", recipe)
    return training_digest(recipe)


def _digest(stage: str, recipe: Recipe) -> str:
    """Of what a stage is made from; of training nothing is shared but equal folds."""
    if stage not in _SECTIONS:
        return digest_config([stage, training_digest(recipe)])
    return digest_config([stage, *(getattr(recipe, name) for name in _SECTIONS[stage])])


def _place(stage: StageEstimate) -> int:
    return ("audit", "tiles", "features", "pixels", "training").index(stage.name)


def _sum(one: StageEstimate, other: StageEstimate, times: int) -> StageEstimate:
    def total(before: float | None, more: float | None) -> float | None:
        return None if before is None or more is None else before + times * more

    items, cached = total(one.num_items, other.num_items), total(one.num_cached, other.num_cached)
    return replace(
        one,
        num_items=None if items is None else int(items),
        num_cached=None if cached is None else int(cached),
        seconds=total(one.seconds, other.seconds),
    )


def _noted(row: _Row, num_left: int) -> StageEstimate:
    """The stage with whose it is."""
    is_of_all = len(row.variants) == num_left > 1
    words = f"of all {num_left} variants" if is_of_all else f"of {count(len(row.variants), 'variant')}"
    is_parted = row.num_ways > 1 and row.stage.name != "training"
    return replace(row.stage, runs=f"in {row.num_ways} ways, {words}" if is_parted else words)


def _heads(stage: StageEstimate, recipes: Sequence[Recipe]) -> StageEstimate:
    """The training of several heads, which one of them stands for, with the kinds of all."""
    kinds = dict.fromkeys(recipe.head.kind for recipe in recipes)
    if stage.name != "training" or len(kinds) == 1:
        return stage
    return replace(stage, note=f"folds, heads: {', '.join(kinds)}")
