"""The warnings of a run, stage by stage."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tilewise.auditing.cohort import NO_GROUPS
from tilewise.auditing.name_families import family_sentence
from tilewise.encoders.catalogue import find_card
from tilewise.ensemble.record import RECORD_NAME, EnsembleRecord
from tilewise.folds import Folds
from tilewise.models.config import HIGHEST_TEMPERATURE
from tilewise.models.networks.check import pools_by_average
from tilewise.run_folder import RunFolder
from tilewise.score_warnings.run_facts import RunFacts
from tilewise.score_warnings.tile_warnings import tile_warnings
from tilewise.wording import count

# The schema that `tilewise synth` writes; its package stands above this one, so a test keeps the two equal.
TRUTH_SCHEMA = "tilewise.synthetic_truth"
_ENCODER_RANDOM = "random"
_FEW_SLIDES = 2


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
        *tile_warnings(facts),
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
        near = difflib.get_close_matches(rare, common, n=1, cutoff=0.9) or [
            name for name in common if _lacks_a_letter(rare, name) or _lacks_a_letter(name, rare)
        ]
        for name in near[:1]:
            yield (
                f"Class {rare!r} has {count(num, 'slide')} and is spelled almost like {name!r} with {counts[name]}; if "
                "that is a typing error, correct the table, or relabel it in decisions.csv."
            )


def _lacks_a_letter(shorter: str, longer: str) -> bool:
    """Whether a word is another without one of its letters; `grade 1` and `grade 11` differ in a number."""
    places = range(len(longer)) if len(longer) == len(shorter) + 1 > 3 else ()
    return any(longer[place].isalpha() and longer[:place] + longer[place + 1 :] == shorter for place in places)


def _dropped(names: Sequence[str], recipe: Mapping[str, Any]) -> Iterator[str]:
    if not names:
        return
    by_label = (
        " With `audit.conflicts=drop` labels have a say in that, those of test slides as well: the score says nothing "
        "of slides whose label is in doubt."
    )
    conflicts = recipe.get("audit", {}).get("conflicts")
    yield (
        f"{count(len(names), 'slide')} dropped, by the audit or by decisions; audit/report.html shows which and why."
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


def _without_validation(facts: RunFacts) -> Iterator[str]:
    has_epochs = facts.recipe["head"]["kind"] in ("linear", "mlp")
    numbers = [str(number) for number, parts in enumerate(facts.folds.folds) if not parts.validation]
    if numbers and has_epochs:
        subject, verb = ("Fold", "has") if len(numbers) == 1 else ("Folds", "have")
        yield f"{subject} {', '.join(numbers)} {verb} no validation part: training ran to its last epoch."


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
