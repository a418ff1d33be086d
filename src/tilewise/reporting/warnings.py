"""What a reader must know before the scores: the sentences of the report's first box."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tilewise.folds import Folds
from tilewise.reporting.text import number
from tilewise.tiles.tileset import TileSet
from tilewise.wording import count

# The schema that `tilewise synth` writes; its package stands above this one, so a test keeps the two equal.
TRUTH_SCHEMA = "tilewise.synthetic_truth"
_ENCODER_RANDOM = "random"
_INSTEAD = {"tissue": "cut from the tissue found by its colour instead", "slide": "cut from the whole slide instead"}


@dataclass(frozen=True, eq=False)
class Facts:
    """What the caveats follow from.

    Attributes:
        root: folder of the cohort.
        encoder: how the encoder was made and run.
        split_from: where the recipe takes the parts from; None where the folds are drawn.
        has_groups: whether the table said which slides belong together.
        slides: the audit's slide table.
        tiles: what was cut.
        folds: the parts.
        num_lost: pictures that could not be drawn.
        stain: which slides keep their own stain although they were to be normalised; '' where none does.
        masks: how masks were made, if they were; '' otherwise.
        inverted: that most masks were the wrong way round; '' otherwise.
        notes: what was changed about the recipe because this machine lacks something.
    """

    root: Path
    encoder: Mapping[str, Any]
    split_from: str | None
    has_groups: bool
    slides: pd.DataFrame
    tiles: TileSet
    folds: Folds
    num_lost: int = 0
    stain: str = ""
    masks: str = ""
    inverted: str = ""
    notes: tuple[str, ...] = ()


def report_warnings(facts: Facts) -> tuple[str, ...]:
    """One or two sentences each, what weighs most first."""
    said = [*facts.notes, *drawn_cohort(facts.root)]
    if str(facts.encoder.get("weights", "")).startswith(_ENCODER_RANDOM):
        said.append("The encoder has random weights: it was never trained. The scores say nothing about the method.")
    if not facts.has_groups:
        said.append(
            "No patient or group column: every slide counts as its own patient. If some patients have several slides, "
            "the score is too high and its interval too narrow; add a `group` column."
        )
    if facts.split_from is None and facts.slides["split"].notna().any():
        said.append(
            "The table's `split` column was not used: all slides went into the folds. `--set folds.source=split` "
            "scores "
            "its test part."
        )
    said += without_mask(facts.slides, facts.tiles)
    said += [sentence for sentence in (facts.inverted, facts.masks, facts.stain) if sentence]
    unselected = [str(fold) for fold, parts in enumerate(facts.folds.folds) if not parts.validation]
    if unselected:
        folds = "Fold" if len(unselected) == 1 else "Folds"
        verb = "has" if len(unselected) == 1 else "have"
        said.append(f"{folds} {', '.join(unselected)} {verb} no validation part: training ran to its last epoch.")
    if facts.num_lost:
        lost = "picture is missing because its slide is" if facts.num_lost == 1 else "pictures are missing: slides are"
        said.append(f"{facts.num_lost} {lost} not where the run found them.")
    return tuple(said)


def drawn_cohort(root: Path) -> list[str]:
    """That a computer drew the slides, and what could be reached on them at best; nothing for any other cohort."""
    try:
        truth = json.loads((root / "truth" / "truth.json").read_text("utf-8"))
        if truth["schema"] != TRUTH_SCHEMA:
            return []
        best = number(float(truth["best_reachable"]["macro_f1"]), 3)
    except (OSError, ValueError, KeyError, TypeError):  # no such file, or another one of that name
        return []
    drawn = "These slides were drawn by a computer; the labels mean nothing medical."
    return [f"{drawn} The best macro F1 anyone could reach on such slides is {best}."]


def without_mask(slides: pd.DataFrame, tiles: TileSet) -> list[str]:
    """How many slides have no mask that tiles could be cut by, and what became of them."""
    names = {str(name) for name in slides.loc[~slides["use_mask"].astype(bool), "slide"]}
    names |= tiles.fallbacks.keys() | tiles.skipped.keys()
    region_of = tiles.table.drop_duplicates("slide").set_index("slide")["region"]
    names -= set(region_of[region_of == "mask"].index)  # a mask was made for them
    names &= set(region_of.index) | tiles.skipped.keys()  # slides that failed on the way are named elsewhere
    if not names:
        return []
    regions = Counter(region_of[region_of.index.isin(names)])
    parts = [f"{regions[region]} {words}" for region, words in _INSTEAD.items() if regions[region]]
    if left_out := names & tiles.skipped.keys():
        parts.append(f"{len(left_out)} left out, without any tile")
    subject = f"{len(names)} of {count(len(slides), 'slide')} {'has' if len(names) == 1 else 'have'}"
    why = "no usable mask (missing, empty, at fault or too small for a tile)"
    return [f"{subject} {why}: {', '.join(parts)}."]
