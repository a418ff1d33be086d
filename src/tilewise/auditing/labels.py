"""What the table alone tells: missing and conflicting labels, names that belong together."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from tilewise.auditing.finding import Finding
from tilewise.auditing.name_families import name_families
from tilewise.cohort import Slide

# What people and their file managers append to the name of a copy.
_COPY_MARK = re.compile(r"([ _-]*(\(\d+\)|copy( ?\d+)?|kopie|copie|copia|duplicate|dup))+$", re.IGNORECASE)


def missing_label_findings(slides: Mapping[str, Slide]) -> Iterator[Finding]:
    """Slides without a label, where others have one: they are kept, and no part of any fold."""
    if all(slide.label is None for slide in slides.values()):
        return
    for name, slide in slides.items():
        if slide.label is None:
            yield Finding(name, "label-missing", "", "keep", 1.0, "no label; the slide is in no part of any fold")


def label_conflict_findings(slides: Mapping[str, Slide], groups: Mapping[str, str]) -> Iterator[Finding]:
    """Groups whose slides carry different labels: right for some questions, an error for most.

    Args:
        slides: by id.
        groups: slide -> group, as inferred.
    """
    members = defaultdict(list)
    for name, group in groups.items():
        if slides[name].label is not None:
            members[group].append(name)
    for group, names in members.items():
        counts = Counter(str(slides[name].label) for name in names)
        if len(counts) > 1:
            labels = ", ".join(f"{label} ({num})" for label, num in sorted(counts.items()))
            for name in names:
                other = next(one for one in names if slides[one].label != slides[name].label)
                text = (
                    f"group {group} carries several labels: {labels}; normal in a tissue block, but relabel what is "
                    "wrong in copies"
                )
                yield Finding(name, "label-conflict", other, "keep", 0.5, text)


def is_named_like_copy(name: str) -> bool:
    """Whether a slide's name ends as file managers and people mark copies: `img_1 (2).png`."""
    return _COPY_MARK.search(PurePosixPath(name).stem) is not None


def name_family_findings(slides: Mapping[str, Slide]) -> Iterator[Finding]:
    """Names that look like copies (`img_1 (2).png`), or like several slides of one patient where no table says so."""
    originals = _originals(slides)
    for name in sorted(originals):
        yield Finding(name, "name-family", originals[name], "keep", 0.5, f"named like a copy of {originals[name]}")
    if any(slide.group is not None for slide in slides.values()):
        return
    for prefix, names in name_families({name: PurePosixPath(name).stem for name in slides}).items():
        text = (
            f"{len(names)} slides are named {prefix}...; if they are of one patient, add a `group` column, for "
            "otherwise folds may put them on both sides"
        )
        for name in names:
            if name not in originals:
                yield Finding(name, "name-family", next(one for one in names if one != name), "keep", 0.3, text)


def _originals(slides: Iterable[str]) -> dict[str, str]:
    """Slides that are named like a copy of another one -> that one."""
    by_stem = defaultdict(list)
    for name in slides:
        by_stem[_COPY_MARK.sub("", PurePosixPath(name).stem)].append(name)
    return {
        name: next(one for one in names if one != name)
        for names in by_stem.values()
        for name in names
        if len(names) > 1 and is_named_like_copy(name)
    }
