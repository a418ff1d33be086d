"""What a person must know of the masks and tiles of a run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Final

import pandas as pd

from tilewise.auditing.magnification import scales
from tilewise.score_warnings.run_facts import RunFacts
from tilewise.tiles.outside import without_outside
from tilewise.tiles.tileset import TileSet
from tilewise.wording import count

_SET_ASIDE: Final = re.compile(r"its mask was set aside by decision \(([^)]+)\)")
_INSTEAD = {"tissue": "cut from the tissue found by its colour instead", "slide": "cut from the whole slide instead"}
_MOST_NAMED = 5


def tile_warnings(facts: RunFacts) -> Iterator[str]:
    """Which slides tiles could not be cut of as asked for, and what became of them."""
    yield from _without_mask(facts.slides, facts.tiles)
    yield from _without_outside(facts)
    yield from _small_masks(facts)
    yield from filter(None, (facts.audit.get("inverted_masks", ""), facts.masks, facts.stain))
    yield from _magnifications(facts)
    yield from _without_tiles(facts)


def _without_mask(slides: pd.DataFrame, tiles: TileSet) -> Iterator[str]:
    """How many slides have no mask that tiles could be cut by, why, and what became of them."""
    region_of = tiles.table.drop_duplicates("slide").set_index("slide")["region"]
    # A slide with a tile of its mask had one that could be used.
    cut_by_mask = set(region_of[region_of == "mask"].index)
    rows = slides[slides["slide"].isin((tiles.fallbacks.keys() | tiles.skipped.keys()) - cut_by_mask)]
    if rows.empty:
        return
    texts = rows["slide"].map(tiles.fallbacks | tiles.skipped)
    reasons = Counter(map(_mask_fault, rows["mask"].notna(), rows["use_mask"], texts))
    regions = Counter(region_of.reindex(rows["slide"]).dropna())
    outcomes = [f"{regions[region]} {words}" for region, words in _INSTEAD.items() if regions[region]]
    if num := int(rows["slide"].isin(tiles.skipped.keys()).sum()):
        outcomes.append(f"{num} left out, without any tile")
    verb = "has" if len(rows) == 1 else "have"
    yield (
        f"{len(rows)} of {count(len(slides), 'slide')} {verb} no usable mask ({_listed(reasons)}): "
        f"{', '.join(outcomes)}."
    )


def _without_outside(facts: RunFacts) -> Iterator[str]:
    """How many slides have tiles, and none beside their mask."""
    if facts.outside is None:
        return
    names = list(dict.fromkeys(facts.tiles.table["slide"]))
    if num := len(without_outside(names, facts.outside)):
        yield (
            f"{num} of {count(len(names), 'slide')} {'has' if num == 1 else 'have'} no tissue outside a usable mask: "
            f"features.context={facts.recipe['features']['context']} says nothing of them."
        )


def _mask_fault(has_mask: bool, use_mask: bool, reason: str) -> str:
    """What is wrong with a mask, in the words of its finding where `reason` names one."""
    if not has_mask:
        return "missing"
    if use_mask:  # one that the audit let pass marks too little for the tiles that are asked for
        return "too small for a tile"
    if reason.startswith("its mask is empty"):
        return "empty"
    kinds = _SET_ASIDE.match(reason)
    return kinds[1].replace("mask-", "").replace("-", " ") if kinds else "empty or at fault"


def _listed(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{num} {reason}" for reason, num in sorted(reasons.items()))


def _small_masks(facts: RunFacts) -> Iterator[str]:
    if num := len(facts.tiles.small_masks):
        yield (
            f"On {count(num, 'slide')} the mask is smaller than tiles ask for (tiles.component_box_min, "
            "tiles.min_mask_ratio); what comes nearest was taken there."
        )


def _magnifications(facts: RunFacts) -> Iterator[str]:
    """Slides of different scales, whose tiles are cut by pixels, and whether the scale gives the label away."""
    tiles, slides = facts.recipe["tiles"], facts.slides
    if (
        tiles["size_um"] is not None or tiles.get("magnification") is not None or "mpp" not in slides
    ):  # a table of an earlier version knows no scales
        return
    mpp = {str(name): float(mpp) for name, mpp in zip(slides["slide"], slides["mpp"], strict=True) if pd.notna(mpp)}
    groups = scales(mpp)
    if len(groups) < 2:
        return
    labels = slides.set_index("slide")["label"].dropna()
    classes = [set(labels.reindex(list(names)).dropna()) for _, names in groups]
    apart = all(not one & two for one, two in combinations(classes, 2)) and sum(map(bool, classes)) > 1
    counts = ", ".join(f"{len(names)} with {mpp:.3g}" for mpp, names in groups)
    tied = ", so that the magnification tells the class" * apart
    yield (
        f"Slides have different magnifications ({counts} microns a pixel) and tiles are cut by pixels{tied}; "
        f"--set tiles.size_um={tiles['size_px'] * groups[0][0]:.3g} makes their tiles show equal lengths."
    )


def _without_tiles(facts: RunFacts) -> Iterator[str]:
    reasons = {name: reason for name, reason in facts.tiles.skipped.items() if name not in facts.failed}
    if not reasons:
        return
    named = "; ".join(f"{name} ({reason})" for name, reason in [*reasons.items()][:_MOST_NAMED])
    more = f"; and {len(reasons) - _MOST_NAMED} more" if len(reasons) > _MOST_NAMED else ""
    verb = "yields no tile and takes" if len(reasons) == 1 else "yield no tile and take"
    yield f"{count(len(reasons), 'slide')} {verb} no part: {named}{more}."
