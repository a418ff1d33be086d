"""Different slides with one mask: one of them was made from the other."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from tilewise.auditing.copies import Pair
from tilewise.auditing.facts import SlideFacts
from tilewise.auditing.finding import Finding
from tilewise.auditing.histology import histology_score
from tilewise.auditing.relations import Suspects, alike
from tilewise.cohort import Slide

# Masks that cover nearly nothing or nearly everything are equal by chance, not because one was copied.
_TELLING_SHARE = (1e-4, 0.98)
# Of two slides with one mask, the one whose histology score lies this far below the other's is not tissue.
_CLEARLY_LESS = 0.4
# One mask fits one slide: of two that share it, the one this much farther from the cohort than the other is the fake.
# A mask that many slides share is a template, and says nothing of that kind.
_FAR, _TIMES_FARTHER, _TEMPLATE = 1.5, 1.5, 5


def shared_masks(
    slides: Mapping[str, Slide], facts: Mapping[str, SlideFacts], pairs: Iterable[Pair], suspects: Suspects
) -> Iterator[Finding]:
    """Different slides with exactly the same mask: one is probably made from the other, and that one should go.

    Args:
        slides: by id.
        facts: of those that could be read.
        pairs: near copies among them; a copy has its original's mask by right.
        suspects: what else is known.
    """
    low, high = _TELLING_SHARE
    digests = {
        name: fact.mask.digest
        for name, fact in facts.items()
        if fact.mask is not None and fact.mask.digest is not None and low < (fact.mask.share or 0.0) < high
    }
    copies = {frozenset({pair.slide, pair.other}) for pair in pairs if pair.relation == "copy"}
    for names in alike(digests):
        labels = {slides[name].label for name in names} - {None}
        what = f"conflicting labels ({', '.join(sorted(map(str, labels)))})" if len(labels) > 1 else "the same label"
        fakes = _fakes(names, facts, copies, suspects)
        genuine = [name for name in names if name not in fakes]
        for name in names:
            other = next((one for one in (genuine or names) if one != name), next(one for one in names if one != name))
            if facts[name].pixel_digest == facts[other].pixel_digest:
                continue
            text = f"the mask equals that of {other} pixel for pixel"
            if name in fakes:
                text += f"; {fakes[name]}, so this slide was made from the other"
            confidence = 1.0 if name in suspects.not_histology or not fakes else 0.9
            yield Finding(
                name, "shared-mask", other, "drop" if name in fakes else "keep", confidence, f"{text}; {what}"
            )


def _fakes(
    names: Sequence[str], facts: Mapping[str, SlideFacts], copies: Container[frozenset[str]], suspects: Suspects
) -> dict[str, str]:
    """Members of a set with one mask that are not what the mask was drawn on, and why."""
    fakes = {name: "here it does not lie on tissue" for name in names if name in suspects.not_histology}
    if fakes:
        return fakes
    scores = {name: histology_score(facts[name].histology) for name in names}
    best = max(scores.values())
    for name in names:
        if scores[name] < best - _CLEARLY_LESS:
            fakes[name] = "here it hardly lies on tissue"
        elif (times := _times_farther(name, names, facts, copies, suspects)) >= _TIMES_FARTHER:
            fakes[name] = f"this slide lies {times:.1f} times as far from the rest of the cohort"
    return fakes


def _times_farther(
    name: str, names: Sequence[str], facts: Mapping[str, SlideFacts], copies: Container[frozenset[str]],
    suspects: Suspects,
) -> float:  # fmt: skip
    """How many times as far from the cohort a slide lies as another with its mask that shows other tissue; 0 if near.

    Another stain, or an ink, puts a slide far off as well, and is answered by checks of its own.
    """
    far = suspects.distances.get(name, 0.0)
    digests = {facts[one].pixel_digest for one in names}
    if far < _FAR or len(digests) > _TEMPLATE or name in suspects.other_stain or name in suspects.inked:
        return 0.0
    others = [one for one in names if one != name and frozenset({one, name}) not in copies]
    return max((far / max(suspects.distances[one], 1.0) for one in others if one in suspects.distances), default=0.0)
