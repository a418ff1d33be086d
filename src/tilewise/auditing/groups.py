"""Groups: what must never be split between the parts of a fold."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping

from tilewise.auditing.finding import Finding
from tilewise.cohort import Slide

JOINING = frozenset({"exact-copy", "near-copy", "shared-mask", "neighbouring-section"})
"""Kinds of findings whose two slides belong to one group."""


def join_all(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Union-find over pairs of names.

    Returns:
        Name -> the first name, in alphabetical order, of all that hang together with it; names of the pairs only.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for one, two in pairs:
        first, second = sorted((root(one), root(two)))
        parent[second] = first
    return {name: root(name) for name in list(parent)}


def infer_groups(slides: Mapping[str, Slide], findings: Iterable[Finding]) -> dict[str, str]:
    """Join the table's groups with the copies, shared masks and neighbouring sections that were found.

    Returns:
        Slide -> group: the table's own name where its members have one, else the first member's id.
    """
    by_table: dict[str, str] = {}
    pairs = [(name, name) for name in slides]
    for name, slide in slides.items():
        if slide.group is not None:
            pairs.append((name, by_table.setdefault(slide.group, name)))
    roots = join_all([*pairs, *_joined(findings, slides)])
    names: dict[str, str] = {}
    for name in sorted(slides):
        group = slides[name].group
        if group is not None:
            names.setdefault(roots[name], group)
    table_groups = set(by_table)
    for name in slides:
        # A slide called like somebody's group must not join it.
        root = roots[name]
        names.setdefault(root, f"slide {root}" if root in table_groups else root)
    return {name: names[roots[name]] for name in slides}


def _joined(findings: Iterable[Finding], slides: Container[str]) -> Iterator[tuple[str, str]]:
    """Pairs of slides that a finding puts into one group."""
    for finding in findings:
        if finding.kind in JOINING and finding.slide in slides and finding.other in slides:
            yield finding.slide, finding.other
