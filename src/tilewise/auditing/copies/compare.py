"""Pairs of slides that show the same tissue: a proposed pair is confirmed or refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tilewise.auditing.copies.agree import Agreement, compare_textures
from tilewise.auditing.copies.align import Alignment, align
from tilewise.auditing.copies.derive import derived_side
from tilewise.auditing.copies.fingerprint import Fingerprint
from tilewise.auditing.copies.symmetry import WORDS

#: Share of the smaller tissue two slides must have in common to be copies; below it they are fields that overlap.
COPY_OVERLAP = 0.6
# Share of that which may differ: a third of the tissue under a blob, its halo, and what a second paste takes.
_MOST_DIFFERING = 0.6
# Much of what is called tissue must show something that agrees: two smooth pictures agree nowhere.
_FEWEST_AGREEING_PX, _LEAST_AGREED = 150, 0.2
_LEAST_SIMILARITY = 0.7


@dataclass(frozen=True)
class Pair:
    """What two slides have to do with each other.

    Attributes:
        slide, other: their names, in the order they came.
        relation: `copy`: the same pixels once, whatever was done to them; `section`: other pixels of the same tissue,
            a neighbouring section or a field that overlaps in part.
        transform: how `slide` lies on `other`, in words.
        overlap: share of the smaller tissue that both show, 0..1.
        similarity: correlation where the content is the same, 0..1; of cells, or of gross structure for neighbouring
            sections.
        confidence: 0..1.
        differs: share of the overlap whose content differs, 0..1: something was pasted there.
        derived: which of the two was made from the other, where that can be told.
        reason: why, as a clause; empty without `derived`.
        matrix: how pixels of `slide` lie on pixels of `other`, (2, 3) row by row; both without their padding.
    """

    slide: str
    other: str
    relation: Literal["copy", "section"]
    transform: str
    overlap: float
    similarity: float
    confidence: float
    differs: float
    derived: str | None = None
    reason: str = ""
    matrix: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

    @property
    def both_ways(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Each of the two slides, and the other one."""
        return (self.slide, self.other), (self.other, self.slide)


def compare(names: tuple[str, str], one: Fingerprint, two: Fingerprint, symmetry: int) -> Pair | None:
    """Lay `one` onto `two`, turned as told, and compare their cells; None where these are not the same."""
    alignment = align(one, two, symmetry)
    if alignment is None:
        return None
    agreement = compare_textures(one, two, alignment.matrix)
    if (
        agreement.agreeing.sum() < _FEWEST_AGREEING_PX
        or agreement.agreed < _LEAST_AGREED
        or agreement.differs > _MOST_DIFFERING
        or agreement.similarity < _LEAST_SIMILARITY
    ):
        return None
    return _as_pair(names, one, two, alignment, agreement)


def _as_pair(
    names: tuple[str, str], one: Fingerprint, two: Fingerprint, alignment: Alignment, agreement: Agreement
) -> Pair:
    copy = agreement.overlap >= COPY_OVERLAP
    derived = derived_side(one, two, agreement, alignment.scale) if copy else None
    return Pair(
        slide=names[0],
        other=names[1],
        relation="copy" if copy else "section",
        transform=_words(one, two, alignment, agreement, copy=copy),
        overlap=agreement.overlap,
        similarity=float(np.clip(agreement.similarity, 0.0, 1.0)),
        confidence=_confidence(alignment, agreement),
        differs=agreement.differs,
        derived=None if derived is None else names[derived[0]],
        reason="" if derived is None else derived[1],
        matrix=tuple(alignment.matrix.ravel().tolist()),
    )


def _confidence(alignment: Alignment, agreement: Agreement) -> float:
    """More keypoints and more agreeing area than chance ever gave make it certain."""
    keypoints = 1.0 - 0.5 ** (alignment.num_inliers / 4)
    return float(np.clip(keypoints * (0.5 + 0.5 * agreement.similarity) + 0.1 * (1 - agreement.differs), 0.0, 0.999))


def _words(one: Fingerprint, two: Fingerprint, alignment: Alignment, agreement: Agreement, *, copy: bool) -> str:
    words = WORDS[alignment.symmetry]
    if not 0.95 < alignment.scale < 1.05:
        words += f", scaled by {alignment.scale:.2f}"
    if not copy:
        return f"{words}, a field that overlaps by {agreement.overlap:.0%}"
    share = float(one.size.prod()) * alignment.scale**2 / float(two.size.prod())
    if share < 0.97:
        words += f", {share:.0%} of the other"
    elif share > 1 / 0.97:
        words += f", the other is {1 / share:.0%} of it"
    if agreement.differs > 0.02:
        words += f", {agreement.differs:.0%} of it differs"
    return words
