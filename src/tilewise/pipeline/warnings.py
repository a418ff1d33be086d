"""What a person must know before believing the score of a run."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping
from itertools import combinations

from tilewise.auditing.cohort import NO_GROUPS, AuditedCohort
from tilewise.auditing.magnification import scales
from tilewise.cohort import Cohort
from tilewise.encoders.catalogue import find_card
from tilewise.models.networks.check import pools_by_average
from tilewise.recipe import Recipe
from tilewise.stain.record import StainRecord
from tilewise.tiles.run import without_tiles
from tilewise.tiles.tileset import TileSet

_FEW_SLIDES = 2


def run_warnings(
    cohort: Cohort, recipe: Recipe, audited: AuditedCohort, tiles: TileSet, record: StainRecord | None
) -> tuple[str, ...]:
    """One sentence each, in the order of the stages they come from."""
    warnings = [*recipe.notes, *cohort.warnings]
    if not audited.has_groups:
        warnings.append(NO_GROUPS)
    if recipe.folds.source is None and any(slide.split is not None for slide in cohort.slides):
        warnings.append(
            "The table's `split` column is not used: all slides went into the folds. --set folds.source=split scores "
            "its "
            "test part."
        )
    warnings += _typing_errors(Counter(str(item.slide.label) for item in audited.slides if item.slide.label))
    if all(item.slide.label is not None for item in audited.slides):
        idle = {"pseudo.method=confident": recipe.pseudo.method != "none"}
        idle["pretrain.use_unlabelled"] = recipe.pretrain.use_unlabelled
        warnings += [f"{key} had no effect: every slide has a label." for key, asked in idle.items() if asked]
    encoder = find_card(recipe.encoder.name)
    if recipe.network.pooling == "average" and pools_by_average(encoder):
        warnings.append(
            f"network.pooling=average had no effect: {encoder.name} pools so by itself. network.pooling=flatten is "
            "the other way."
        )
    if said := audited.inverted_masks():
        warnings.append(said)
    if audited.dropped:
        num = len(audited.dropped)
        warnings.append(f"The audit dropped {num} slide{'s' * (num > 1)}; audit/report.html shows which and why.")
    warnings += _not_by_mask(recipe, audited, tiles)
    if recipe.tiles.size_um is None:
        warnings += _magnification(recipe, audited)
    failed = {failure.item for failure in without_tiles(audited, tiles, recipe.tiles)}
    warnings += [
        f"{name} yields no tile and takes no part: {reason}."
        for name, reason in tiles.skipped.items()
        if name not in failed
    ]
    warnings += [record.sentence()] if record and record.left else []
    return tuple(warnings)


def _not_by_mask(recipe: Recipe, audited: AuditedCohort, tiles: TileSet) -> list[str]:
    """Masks that were of no use, and slides without one among slides that have one."""
    masked = {item.slide_id: item.use_mask for item in audited.slides if item.slide.mask_path is not None}
    if not masked:
        return []  # there are no masks: nothing happened to them
    instead = "tissue" if recipe.tiles.fallback == "tissue" else "the whole slide"
    counts = Counter(_trouble(masked.get(name)) for name in tiles.fallbacks)
    warnings = []
    for (verb, verb_of_many), num in counts.items():
        many = num > 1
        warnings.append(
            f"The mask{'s' * many} of {num} slide{'s' * many} {verb_of_many if many else verb}; tiles were cut from "
            f"{instead} instead."
        )
    if num := len(tiles.small_boxes):
        warnings.append(
            f"No box of the mask reaches tiles.component_box_min={recipe.tiles.component_box_min} on {num} "
            f"slide{'s' * (num > 1)}; the largest box was taken there."
        )
    return warnings


def _trouble(use_mask: bool | None) -> tuple[str, str]:
    """Why a mask, None where there is none, cut no tile: said of one and of several."""
    if use_mask is None:
        return "is missing", "are missing"
    # One that the audit let pass marks too little for the tiles that are asked for.
    return ("yields no tile", "yield no tile") if use_mask else ("could not be used", "could not be used")


def _magnification(recipe: Recipe, audited: AuditedCohort) -> list[str]:
    """Slides of different scales, whose tiles are cut by pixels, and whether the scale gives the label away."""
    groups = scales({item.slide_id: item.mpp for item in audited.slides})
    if len(groups) < 2:
        return []
    labels = {item.slide_id: item.slide.label for item in audited.slides}
    classes = [{labels[name] for name in names} - {None} for _, names in groups]
    apart = all(not one & two for one, two in combinations(classes, 2)) and sum(map(bool, classes)) > 1
    size_um = recipe.tiles.size_px * groups[0][0]
    counts = ", ".join(f"{len(names)} with {mpp:.3g}" for mpp, names in groups)
    tied = ", so that the magnification tells the class" * apart
    warning = (
        f"Slides have different magnifications ({counts} microns a pixel) and tiles are cut by pixels{tied}; "
        f"--set tiles.size_um={size_um:.3g} makes their tiles show equal lengths."
    )
    return [warning]


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
