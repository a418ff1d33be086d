"""Slides of different magnification in one cohort, as their files say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tilewise.auditing.finding import Finding

# Scanners of one magnification differ by up to a tenth (0.228 and 0.252 microns a pixel at 40x); steps are twofold.
_SAME_SCALE: Final = 1.25


def scales(mpps: Mapping[str, float | None]) -> list[tuple[float, tuple[str, ...]]]:
    """Slides by scale, the commonest scale first, of equally common ones the finer first.

    Args:
        mpps: slide -> microns per pixel; slides that do not know theirs are left out.

    Returns:
        Median microns per pixel of each scale, and its slides in the order of `mpps`.
    """
    known = sorted((mpp, name) for name, mpp in mpps.items() if mpp is not None)
    groups: list[list[tuple[float, str]]] = []
    for mpp, name in known:
        if not groups or mpp > _SAME_SCALE * groups[-1][0][0]:
            groups.append([])
        groups[-1].append((mpp, name))
    order = {name: place for place, name in enumerate(mpps)}
    sets = [
        (group[len(group) // 2][0], tuple(sorted((name for _, name in group), key=order.__getitem__)))
        for group in groups
    ]
    return sorted(sets, key=lambda item: (-len(item[1]), item[0]))


def magnification_findings(mpps: Mapping[str, float | None]) -> Iterator[Finding]:
    """Name slides whose scale is not that of most slides of the cohort.

    Args:
        mpps: slide -> microns per pixel; None where unknown.
    """
    groups = scales(mpps)
    if len(groups) < 2:
        return
    common, names = groups[0]
    num_known = sum(len(group) for _, group in groups)
    for mpp, others in groups[1:]:
        words = (
            f"{mpp:.3g} microns a pixel, and {len(names)} of {num_known} slides have {common:.3g}: tiles cut by pixels "
            f"show {mpp / common:.2g} times the width; tiles.size_um cuts all slides by microns"
        )
        for name in others:
            yield Finding(name, "magnification", "", "keep", 1.0, words)
