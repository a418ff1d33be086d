"""What a person must know before believing the score of a run."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping

from tilewise.audit.cohort import NO_GROUPS, AuditedCohort
from tilewise.cohort import Cohort
from tilewise.recipe import Recipe
from tilewise.stain.record import StainRecord
from tilewise.tiles.tileset import TileSet

_FEW_SLIDES = 2


def cautions(
    cohort: Cohort, recipe: Recipe, audited: AuditedCohort, tiles: TileSet, record: StainRecord | None
) -> tuple[str, ...]:
    """One sentence each, in the order of the stages they come from."""
    warnings = [*recipe.notes, *cohort.warnings]
    if not audited.has_groups:
        warnings.append(NO_GROUPS)
    if recipe.folds.from_ is None and any(slide.split is not None for slide in cohort.slides):
        warnings.append(
            "The table's `split` column is not used: all slides went into the folds. --set folds.from=split scores its "
            "test part."
        )
    warnings += _typing_errors(Counter(str(item.slide.label) for item in audited.slides if item.slide.label))
    if all(item.slide.label is not None for item in audited.slides):
        idle = {"pseudo.method=confident": recipe.pseudo.method != "none"}
        idle["pretrain.use_unlabelled"] = recipe.pretrain.use_unlabelled
        warnings += [f"{key} had no effect: every slide has a label." for key, asked in idle.items() if asked]
    if audited.dropped:
        warnings.append(f"The audit dropped {len(audited.dropped)} slides; audit/report.html shows which and why.")
    if tiles.fallbacks:
        warnings.append(
            f"The masks of {len(tiles.fallbacks)} slides could not be used; their tiles were cut from "
            f"{'tissue' if recipe.tiles.fallback == 'tissue' else 'the whole slide'} instead."
        )
    warnings += [f"{name} yields no tile and takes no part: {reason}." for name, reason in tiles.skipped.items()]
    warnings += [record.sentence()] if record and record.left else []
    return tuple(warnings)


def _typing_errors(counts: Mapping[str, int]) -> list[str]:
    """Classes of a slide or two that are spelled almost like a common one."""
    found = []
    for rare, num in counts.items():
        if num > _FEW_SLIDES:
            continue
        common = [name for name in counts if counts[name] > _FEW_SLIDES * num]
        found += [
            f"Class {rare!r} has {num} slide(s) and is spelled almost like {name!r} with {counts[name]}; if that is a "
            "typing error, correct the table, or relabel it in decisions.csv."
            for name in difflib.get_close_matches(rare, common, n=1, cutoff=0.9)
        ]
    return found
