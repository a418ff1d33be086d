"""The checks: pure functions from the cohort's facts to findings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from tilewise.audit.config import AuditConfig
from tilewise.audit.facts import SlideFacts
from tilewise.audit.finding import Finding
from tilewise.cohort import Slide
from tilewise.execution import Failure

# Masks that cover nearly nothing or nearly everything are equal by chance, not because one was copied.
_TELLING_SHARE = (1e-4, 0.98)


def unreadable(failures: tuple[Failure, ...]) -> Iterator[Finding]:
    """Slides whose file could not be read."""
    for failure in failures:
        yield Finding(failure.item, "unreadable", "", "drop", 1.0, failure.message)


def masks(slides: Mapping[str, Slide], facts: Mapping[str, SlideFacts]) -> Iterator[Finding]:
    """Masks that are missing, at fault, or empty; the tile stage's fallback looks at tissue instead."""
    for name, fact in facts.items():
        if slides[name].mask_path is None:
            yield Finding(name, "mask-missing", "", "fix-mask", 1.0, "no mask; tiles come from the fallback")
        elif fact.mask_fault is not None:
            yield Finding(name, "mask-fault", "", "fix-mask", 1.0, fact.mask_fault)
        elif fact.mask_share == 0.0:
            yield Finding(
                name, "mask-empty", "", "fix-mask", 1.0, "the mask marks no pixel; tiles come from the fallback"
            )


def copies(slides: Mapping[str, Slide], facts: Mapping[str, SlideFacts], config: AuditConfig) -> Iterator[Finding]:
    """Slides with exactly the same pixels, whatever their files. The one to keep has a label and a mask if any has."""

    def usefulness(name: str) -> tuple[bool, bool, str]:
        return slides[name].label is None, not facts[name].mask_share, name

    for alike in _alike({name: fact.pixel_digest for name, fact in facts.items()}):
        names = sorted(alike, key=usefulness)
        labels = {slides[name].label for name in names}
        conflict = len(labels - {None}) > 1
        for position, name in enumerate(names):
            other = names[0] if position else names[1]
            drop = config.copies == "drop" and (conflict or position > 0)
            what = f"conflicting labels {sorted(map(str, labels))}" if conflict else "the same label"
            evidence = f"all pixels equal those of {other}; {what}"
            yield Finding(name, "exact-copy", other, "drop" if drop else "keep", 1.0, evidence)


def shared_masks(slides: Mapping[str, Slide], facts: Mapping[str, SlideFacts]) -> Iterator[Finding]:
    """Different slides with exactly the same mask: one is probably made from the other."""
    low, high = _TELLING_SHARE
    digests = {
        name: fact.mask_digest
        for name, fact in facts.items()
        if fact.mask_digest is not None and low < (fact.mask_share or 0.0) < high
    }
    for names in _alike(digests):
        labels = {slides[name].label for name in names} - {None}
        what = f"labels conflict: {sorted(map(str, labels))}" if len(labels) > 1 else "same label"
        for position, name in enumerate(names):
            other = names[0] if position else names[1]
            if facts[name].pixel_digest != facts[other].pixel_digest:
                evidence = f"the mask equals that of {other} pixel for pixel; {what}"
                yield Finding(name, "shared-mask", other, "keep", 1.0, evidence)


def labels(slides: Mapping[str, Slide]) -> Iterator[Finding]:
    """Slides without a label: they are kept, and no part of any fold."""
    for name, slide in slides.items():
        if slide.label is None:
            yield Finding(name, "label-missing", "", "keep", 1.0, "no label; the slide takes no part in training")


def _alike(digests: Mapping[str, str]) -> list[list[str]]:
    sets = defaultdict(list)
    for name, digest in digests.items():
        sets[digest].append(name)
    return [sorted(names) for names in sets.values() if len(names) > 1]
