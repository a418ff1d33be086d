"""Cohort and variants in, one run for each of them out, all on the same folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tilewise.errors import ArtifactError, UsageError
from tilewise.folds import Folds
from tilewise.pipeline.common_folds import common_folds
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.recipe import Recipe
from tilewise.run_folder import RunFolder
from tilewise.store import digest_config, read_json, visible_names, write_json
from tilewise.sweep.train_variants import Place, VariantResult, train_variants
from tilewise.sweep.variants import Variant

_SCHEMA = "tilewise.sweep"
_VERSION = 1
_FOLDS = "folds.json"
_ABOUT = "sweep.json"


def run_sweep(
    variants: Sequence[Variant],
    out: Path,
    shared: SharedStages,
    *,
    tell: Callable[[Sequence[VariantResult], Folds], None] | None = None,
) -> tuple[tuple[VariantResult, ...], Folds]:
    """Train every variant on the same folds; a variant that fails does not stop the others.

    What variants have in common is made once. The same call goes on where a stopped one ended, and more variants may
    be added at the end.

    Args:
        variants: in the order of the table's rows.
        out: folder of the sweep.
        shared: cohort, seed and machine of all variants; what they share is kept in it.
        tell: is called after each variant with what became of those so far.

    Returns:
        What became of each variant, and the folds of all slides that any of them has.

    Raises:
        UsageError: the folder holds another sweep, or nothing can be cut.
        FoldsError: the slides cannot be split as asked.
        EncoderUnavailable: no variant can be trained here.
    """
    with RunFolder(out).locked():
        record = _start_or_resume(variants, out, shared)
        seconds = record["seconds"]
        shared.tile_folder = out / "shared"
        recipes = [variant.recipe for variant in variants]
        _require_an_encoder(recipes, shared)
        shared.folds = folds = common_folds(recipes, shared, out / _FOLDS)
        done: dict[int, VariantResult] = {}

        def note(finished: Sequence[tuple[int, VariantResult]]) -> None:
            for number, one in finished:
                name = one.folder.root.name
                if one.seconds is not None:
                    seconds[name] = one.seconds
                done[number] = replace(one, seconds=seconds.get(name))
            _write_record(out, record)
            if tell is not None:
                tell([done[number] for number in sorted(done)], folds)

        every = [
            Place(number, variant, RunFolder(out / "variants" / variant.folder(number)))
            for number, variant in enumerate(variants, 1)
        ]
        train_variants(every, shared, note)
    return tuple(done[number] for number in sorted(done)), folds


def _require_an_encoder(recipes: Sequence[Recipe], shared: SharedStages) -> None:
    """Notice before the long work that no variant can be trained here; those of some are reported with the others.

    Raises:
        UsageError: encoder or licence of every variant is missing or cannot be used as asked; of the first.
    """
    first: UsageError | None = None
    for recipe in recipes:
        try:
            shared.encoder(recipe)
        except UsageError as error:
            first = first or error
        else:
            return
    assert first is not None
    raise first


def _start_or_resume(variants: Sequence[Variant], out: Path, shared: SharedStages) -> dict[str, Any]:
    """Make the folder this sweep's, or find that it is; what is known of it, with the seconds of finished variants."""
    record = read_record(variants, out, shared)
    if record is None:
        record = _record(variants, shared)
        _write_record(out, record)
    return record


def read_record(variants: Sequence[Variant], out: Path, shared: SharedStages) -> dict[str, Any] | None:
    """What a folder says of this sweep, with the seconds of finished variants; None where it holds nothing yet.

    Raises:
        UsageError: it holds another sweep, or something else.
        ArtifactError: its record is damaged.
    """
    path, record = out / _ABOUT, _record(variants, shared)
    if not path.is_file():
        foreign = visible_names(out)
        if foreign:
            raise UsageError(f"{out} is not empty and holds no sweep ({foreign[0]}); choose another --out")
        return None
    saved = read_json(path, schema=_SCHEMA, version=_VERSION)
    try:
        rows = len(saved["variants"])
        same = all(saved[key] == record[key] for key in ("cohort", "seed", "decisions"))
        if not same or saved["variants"] != record["variants"][:rows]:
            raise UsageError(
                f"{out} holds another sweep; choose another --out, or delete that folder. Variants can be added at the "
                "end of a grid, not changed"
            )
        return record | {"seconds": {str(name): float(value) for name, value in saved["seconds"].items()}}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(f"{path} is damaged ({error!r}); sweep into another folder") from error


def _write_record(out: Path, record: dict[str, Any]) -> None:
    ordered = record | {"seconds": dict(sorted(record["seconds"].items()))}
    write_json(out / _ABOUT, ordered, schema=_SCHEMA, version=_VERSION)


def _record(variants: Sequence[Variant], shared: SharedStages) -> dict[str, Any]:
    decisions = shared.decisions
    return {
        "cohort": str(shared.cohort.root.resolve()),
        "seed": shared.seed,
        "decisions": None if decisions is None else str(decisions.resolve()),
        "variants": [
            {"name": variant.name, "settings": dict(variant.settings), "recipe": digest_config(variant.recipe)}
            for variant in variants
        ],
        "seconds": {},
    }
