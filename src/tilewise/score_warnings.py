"""What a person must know before believing a score: one list for the command line, the report and the library."""

from __future__ import annotations

import csv
import difflib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pandas as pd

from tilewise.auditing.cohort import NO_GROUPS
from tilewise.auditing.magnification import scales
from tilewise.auditing.name_families import family_sentence
from tilewise.auditing.table import read_slides
from tilewise.encoders.catalogue import find_card
from tilewise.ensemble.record import RECORD_NAME, EnsembleRecord
from tilewise.errors import ArtifactError
from tilewise.execution import read_failures
from tilewise.folds import Folds
from tilewise.models.config import HIGHEST_TEMPERATURE
from tilewise.models.networks.check import pools_by_average
from tilewise.run_folder import RunFolder
from tilewise.segment.output import made_masks
from tilewise.shortcuts.find_shortcuts import Shortcuts
from tilewise.stain.record import StainRecord
from tilewise.store import read_json
from tilewise.tiles.outside import without_outside
from tilewise.tiles.tileset import TileSet
from tilewise.wording import count

# The schema that `tilewise synth` writes; its package stands above this one, so a test keeps the two equal.
TRUTH_SCHEMA = "tilewise.synthetic_truth"
_ENCODER_RANDOM = "random"
_SET_ASIDE: Final = re.compile(r"its mask was set aside by decision \(([^)]+)\)")
_INSTEAD = {"tissue": "cut from the tissue found by its colour instead", "slide": "cut from the whole slide instead"}
_FEW_SLIDES = 2
_MOST_NAMED = 5


@dataclass(frozen=True, eq=False)
class RunFacts:
    """What the warnings of a run follow from, as its files hold it.

    Attributes:
        root: folder of the cohort.
        recipe: the resolved recipe, as JSON.
        encoder: how the encoder was made and run.
        slides: the audit's table of the slides that were kept.
        audit: what the audit says of the cohort as a whole: has_groups, inverted_masks, dropped, leakage, notes.
        tiles: what was cut.
        folds: the parts.
        cohort_warnings: of the discovery, about mistakes in the table.
        failed: slides that failed, which are named elsewhere.
        stain: which slides keep their own stain although they were to be normalised; '' where none does.
        masks: how masks were made, if they were; '' otherwise.
        outside: what was cut outside the masks; None where nothing was to be.
        shortcuts: what tells the label besides the tissue; None in runs of earlier versions.
        temperatures: of each fold, with heads of kind lda; empty otherwise.
    """

    root: Path
    recipe: Mapping[str, Any]
    encoder: Mapping[str, Any]
    slides: pd.DataFrame
    audit: Mapping[str, Any]
    tiles: TileSet
    folds: Folds
    cohort_warnings: tuple[str, ...] = ()
    failed: frozenset[str] = field(default_factory=frozenset)
    stain: str = ""
    masks: str = ""
    outside: TileSet | None = None
    shortcuts: Shortcuts | None = None
    temperatures: tuple[float, ...] = ()

    @classmethod
    def read(cls, folder: RunFolder) -> RunFacts:
        """Read the files of a run that was trained.

        Raises:
            ArtifactError: a file of the run is missing or damaged.
        """
        identity, folds = folder.read_identity(), Folds.read(folder.folds)
        slides, audit = read_slides(folder.slides)
        return cls(
            root=Path(str(identity["cohort"]["root"])),
            recipe=identity["recipe"],
            encoder=read_json(folder.environment, schema="tilewise.environment", version=1)["encoder"],
            slides=slides,
            audit=audit,
            tiles=TileSet.read(folder.tiles)[0],
            folds=folds,
            cohort_warnings=tuple(identity.get("warnings", ())),
            failed=frozenset(failure.item for failure in read_failures(folder.failures)),
            stain=StainRecord.read(folder.stain).sentence() if folder.stain.is_file() else "",
            masks=made_masks(folder.segment),
            outside=TileSet.read(folder.outside)[0] if folder.outside.is_file() else None,
            shortcuts=Shortcuts.read(folder.shortcuts) if folder.shortcuts.is_file() else None,
            temperatures=tuple(_temperatures(folder, len(folds.folds))),
        )

    @property
    def has_groups(self) -> bool:
        """Whether the table said which slides belong together."""
        return bool(self.audit.get("has_groups", True))


def read_warnings(folder: RunFolder) -> tuple[str, ...]:
    """The warnings of a run, trained or combined, from its files alone.

    Raises:
        ArtifactError: a file of the run is missing or damaged.
    """
    if (folder.root / RECORD_NAME).is_file():
        record = EnsembleRecord.read(folder.root / RECORD_NAME)
        return (*record.sentences()[1:], *record.warnings)
    return run_warnings(RunFacts.read(folder))


def joined_warnings(folders: Sequence[RunFolder], names: Sequence[str]) -> tuple[str, ...]:
    """The warnings of several trained runs; one that only some of them have begins with their names."""
    runs_of: dict[str, list[str]] = {}
    for folder, name in zip(folders, names, strict=True):
        for sentence in run_warnings(RunFacts.read(folder)):
            runs_of.setdefault(sentence, []).append(name)
    return tuple(
        sentence if len(runs) == len(folders) else f"{', '.join(runs)}: {sentence}"
        for sentence, runs in runs_of.items()
    )


def run_warnings(facts: RunFacts) -> tuple[str, ...]:
    """One or two sentences each: what this machine changed of the recipe, what weighs most, then stage by stage."""
    return (
        *facts.recipe.get("notes", ()),
        *_drawn_cohort(facts.root),
        *_random_weights(facts.encoder),
        *facts.cohort_warnings,
        *_groups_and_split(facts),
        *(facts.shortcuts.warnings() if facts.shortcuts else ()),
        *_typing_errors(Counter(facts.slides["label"].dropna().astype(str))),
        *_dropped(facts.audit.get("dropped", ()), facts.recipe),
        *_relabelled(facts.audit.get("relabelled", {})),
        *_without_mask(facts.slides, facts.tiles),
        *_without_outside(facts),
        *_small_masks(facts),
        *(sentence for sentence in (facts.audit.get("inverted_masks", ""), facts.masks, facts.stain) if sentence),
        *_magnifications(facts),
        *_without_tiles(facts),
        *_without_validation(facts),
        *_flat_probabilities(facts.temperatures),
        *_retested(facts.folds),
        *_without_effect(facts),
    )


def _drawn_cohort(root: Path) -> Iterator[str]:
    """That a computer drew the slides, and what could be reached on them at best; nothing for any other cohort."""
    try:
        truth = json.loads((root / "truth" / "truth.json").read_text("utf-8"))
        if truth["schema"] != TRUTH_SCHEMA:
            return
        best = float(truth["best_reachable"]["macro_f1"])
    except (OSError, ValueError, KeyError, TypeError):  # no such file, or another one of that name
        return
    yield (
        "These slides were drawn by a computer; the labels mean nothing medical. The best macro F1 anyone could reach "
        f"on such slides is {best:.3f}."
    )


def _random_weights(encoder: Mapping[str, Any]) -> Iterator[str]:
    if str(encoder.get("weights", "")).startswith(_ENCODER_RANDOM):
        yield "The encoder has random weights: it was never trained. The scores say nothing about the method."


def _groups_and_split(facts: RunFacts) -> Iterator[str]:
    if not facts.has_groups:
        yield NO_GROUPS
    names = facts.slides["group" if facts.has_groups else "slide"].astype(str)
    if families := family_sentence(names, are_groups=facts.has_groups):
        yield families
    if facts.recipe["folds"]["source"] is None and facts.slides["split"].notna().any():
        yield (
            "The table's `split` column was not used: all slides went into the folds. `--set folds.source=split` "
            "scores its test part."
        )


def _typing_errors(counts: Mapping[str, int]) -> Iterator[str]:
    """Classes of a slide or two that are spelled almost like a common one."""
    for rare, num in counts.items():
        if num > _FEW_SLIDES:
            continue
        common = [name for name in counts if counts[name] > _FEW_SLIDES * num]
        for name in difflib.get_close_matches(rare, common, n=1, cutoff=0.9):
            yield (
                f"Class {rare!r} has {count(num, 'slide')} and is spelled almost like {name!r} with {counts[name]}; if "
                "that is a typing error, correct the table, or relabel it in decisions.csv."
            )


def _dropped(names: Sequence[str], recipe: Mapping[str, Any]) -> Iterator[str]:
    if not names:
        return
    by_label = (
        " With `audit.conflicts=drop` labels have a say in that, those of test slides as well: the score says nothing "
        "of slides whose label is in doubt."
    )
    conflicts = recipe.get("audit", {}).get("conflicts")
    yield (
        f"The audit dropped {count(len(names), 'slide')}; audit/report.html shows which and why."
        f"{by_label if conflicts == 'drop' else ''}"
    )


def _relabelled(labels: Mapping[str, str]) -> Iterator[str]:
    if labels:
        verb = "carries a label" if len(labels) == 1 else "carry labels"
        yield (
            f"{count(len(labels), 'slide')} {verb} of decisions.csv, and the score is on those. Relabelling slides "
            "that a model gets confidently wrong raises it, even if every new label is wrong: give the score on the "
            "table's own labels beside it."
        )


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


def _without_validation(facts: RunFacts) -> Iterator[str]:
    has_epochs = facts.recipe["head"]["kind"] in ("linear", "mlp")
    numbers = [str(number) for number, parts in enumerate(facts.folds.folds) if not parts.validation]
    if numbers and has_epochs:
        subject, verb = ("Fold", "has") if len(numbers) == 1 else ("Folds", "have")
        yield f"{subject} {', '.join(numbers)} {verb} no validation part: training ran to its last epoch."


def _temperatures(folder: RunFolder, num_folds: int) -> Iterator[float]:
    """Of the folds' kept fits, as their `history.csv` has them."""
    for path in (folder.fold(number) / "history.csv" for number in range(num_folds)):
        try:
            with path.open(encoding="utf-8", newline="") as stream:
                best = [row for row in csv.DictReader(stream) if row.get("kept") == "1"]
            yield from (float(row["temperature"]) for row in best if row.get("temperature"))
        except (OSError, ValueError, csv.Error) as error:
            raise ArtifactError(
                f"{path} is missing or damaged ({error}); give the `tilewise train` command of the run again"
            ) from error


def _flat_probabilities(temperatures: Sequence[float]) -> Iterator[str]:
    """Folds of lda whose inner folds were predicted best by the classes' shares."""
    num = sum(temperature > 0.99 * HIGHEST_TEMPERATURE for temperature in temperatures)
    if num:
        yield (
            f"In {num} of {count(len(temperatures), 'fold')} the head found next to nothing: over the inner folds "
            "nothing did better than to give every slide the classes' shares. Probabilities of these folds say almost "
            "nothing."
        )


def _retested(folds: Folds) -> Iterator[str]:
    if folds.retested:
        num_tested = len({name for fold in folds.folds for name in fold.test})
        yield (
            f"{len(folds.retested)} of {count(num_tested, 'slide')} ({len(folds.retested) / num_tested:.0%}) "
            f"{'is' if len(folds.retested) == 1 else 'are'} tested with exactly the same slides in several of the "
            f"{folds.num_repeats} repeats of the folds: there are too few groups to cut them otherwise each time, so "
            "that repeats say less about the chance of the cut."
        )


def _without_effect(facts: RunFacts) -> Iterator[str]:
    """Keys of the recipe that had no effect on this cohort."""
    recipe = facts.recipe
    if facts.slides["label"].notna().all():
        keys = {
            "pseudo.method=confident": recipe["pseudo"]["method"] != "none",
            "pretrain.use_unlabelled": recipe["pretrain"].get("use_unlabelled"),
        }
        for key, is_set in keys.items():
            if is_set:
                yield f"{key} had no effect: every slide has a label."
    if recipe["head"].get("refit") and not any(parts.validation for parts in facts.folds.folds):
        yield "head.refit had no effect: no fold has a validation part."
    if recipe["network"].get("pooling") == "average":
        encoder = find_card(recipe["encoder"]["name"])
        if pools_by_average(encoder):
            yield (
                f"network.pooling=average had no effect: {encoder.name} pools so by itself. network.pooling=flatten is "
                "the other way."
            )
