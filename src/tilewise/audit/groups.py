"""Groups: what must never be split between the parts of a fold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tilewise.audit.finding import Finding
from tilewise.cohort import Slide

_JOINING = {"exact-copy", "shared-mask"}


def infer_groups(slides: Mapping[str, Slide], findings: Iterable[Finding]) -> dict[str, str]:
    """Join the table's groups with the copies and shared masks that were found (union-find).

    Returns:
        Slide -> group: the table's own name where its members have one, else the first member's id.
    """
    parent = {name: name for name in slides}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    def join(one: str, two: str) -> None:
        first, second = sorted((root(one), root(two)))
        parent[second] = first

    by_table: dict[str, str] = {}
    for name, slide in slides.items():
        if slide.group is not None:
            join(name, by_table.setdefault(slide.group, name))
    for finding in findings:
        if finding.kind in _JOINING and finding.slide in parent and finding.other in parent:
            join(finding.slide, finding.other)
    names: dict[str, str] = {}
    for name in sorted(slides):
        group = slides[name].group
        if group is not None:
            names.setdefault(root(name), group)
    taken = set(by_table)
    for name in slides:
        # A slide called like somebody's group must not join it.
        names.setdefault(root(name), f"slide {root(name)}" if root(name) in taken else root(name))
    return {name: names[root(name)] for name in slides}
