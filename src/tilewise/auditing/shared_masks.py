"""Different slides with one mask: one of them was made from the other."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from tilewise.auditing.copies import Pair
from tilewise.auditing.facts import SlideFacts
from tilewise.auditing.finding import Action, Finding
from tilewise.auditing.histology import histology_score
from tilewise.auditing.pair_findings import SlideFaults, conflicting, distinct_labels, equal_sets
from tilewise.cohort import Slide

# Masks that cover nearly nothing or nearly everything are equal by chance, not because one was copied.
_TELLING_SHARE = (1e-4, 0.98)
# Of two slides with one mask, the one whose histology score lies this far below the other's is not tissue.
_CLEARLY_LESS = 0.4
# One mask fits one slide: of two that share it, the one this much farther from the cohort than the other is the fake.
# A mask that many slides share is a template, and says nothing of that kind.
_FAR, _TIMES_FARTHER, _TEMPLATE = 1.5, 1.5, 5


def shared_mask_findings(
    slides: Mapping[str, Slide], facts: Mapping[str, SlideFacts], pairs: Iterable[Pair], faults: SlideFaults
) -> Iterator[Finding]:
    """Different slides with exactly the same mask: one is probably made from the other, and that one should go.

    Args:
        slides: by id.
        facts: of those that could be read.
        pairs: near copies among them; a copy has its original's mask by right.
        faults: of single slides.
    """
    copies = {frozenset({pair.slide, pair.other}) for pair in pairs if pair.relation == "copy"}
    for names in equal_sets(_mask_digests(facts)):
        labels = distinct_labels(names, slides)
        label_words = conflicting(labels) if len(labels) > 1 else "the same label"
        fakes = _fakes(names, facts, copies, faults)
        for name in names:
            other = _original(name, names, fakes)
            if facts[name].pixel_digest == facts[other].pixel_digest:
                continue
            text = f"the mask equals that of {other} pixel for pixel"
            if name in fakes:
                text += f"; {fakes[name]}, so this slide was made from the other"
            confidence = 1.0 if name in faults.not_histology or not fakes else 0.9
            action: Action = "drop" if name in fakes else "keep"
            yield Finding(name, "shared-mask", other, action, confidence, f"{text}; {label_words}")


def _mask_digests(facts: Mapping[str, SlideFacts]) -> dict[str, str]:
    """Digests of the masks that are not equal by chance."""
    low, high = _TELLING_SHARE
    masks = {name: fact.mask for name, fact in facts.items() if fact.mask is not None}
    return {
        name: mask.digest
        for name, mask in masks.items()
        if mask.digest is not None and low < (mask.share or 0.0) < high
    }


def _original(name: str, names: Sequence[str], fakes: Container[str]) -> str:
    """The first other slide that the mask may have been drawn on; where there is none, the first other one."""
    others = [one for one in names if one != name]
    return next((one for one in others if one not in fakes), others[0])


def _fakes(
    names: Sequence[str], facts: Mapping[str, SlideFacts], copies: Container[frozenset[str]], faults: SlideFaults
) -> dict[str, str]:
    """Members of a set with one mask that are not what the mask was drawn on, and why."""
    fakes = {name: "here it does not lie on tissue" for name in names if name in faults.not_histology}
    if fakes:
        return fakes
    scores = {name: histology_score(facts[name].histology) for name in names}
    best = max(scores.values())
    for name in names:
        if scores[name] < best - _CLEARLY_LESS:
            fakes[name] = "here it hardly lies on tissue"
        elif (times := _times_farther(name, names, facts, copies, faults)) >= _TIMES_FARTHER:
            fakes[name] = f"this slide lies {times:.1f} times as far from the rest of the cohort"
    return fakes


def _times_farther(
    name: str, names: Sequence[str], facts: Mapping[str, SlideFacts], copies: Container[frozenset[str]],
    faults: SlideFaults,
) -> float:  # fmt: skip
    """How many times as far from the cohort a slide lies as another with its mask that shows other tissue; 0 if near.

    Another stain, or an ink, puts a slide far off as well, and is answered by checks of its own.
    """
    far = faults.distances.get(name, 0.0)
    digests = {facts[one].pixel_digest for one in names}
    if far < _FAR or len(digests) > _TEMPLATE or name in faults.other_stain or name in faults.inked:
        return 0.0
    others = [one for one in names if one != name and frozenset({one, name}) not in copies]
    return max((far / max(faults.distances[one], 1.0) for one in others if one in faults.distances), default=0.0)
