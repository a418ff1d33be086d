"""Find the pairs among many slides, or between two cohorts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

from tilewise.auditing.copies.compare import Pair, compare
from tilewise.auditing.copies.fingerprint import Fingerprint
from tilewise.auditing.copies.propose import Proposal, index_keypoints, propose
from tilewise.auditing.copies.sections import coarse_image, compare_structure, propose_sections

_NUM_THREADS = 2
_ITEMS_AT_ONCE = 1024

Item = TypeVar("Item")
Result = TypeVar("Result")


def find_pairs(
    fingerprints: Mapping[str, Fingerprint], *, against: Mapping[str, Fingerprint] | None = None
) -> tuple[Pair, ...]:
    """Find copies and neighbouring sections.

    Fingerprints are looked up when they are needed, some of them again, and not held: a mapping may read them.

    Args:
        fingerprints: slide -> fingerprint.
        against: another cohort; then only pairs of one of the first with one of the second are looked for.

    Returns:
        One pair at most for any two slides, in the order of the slides.
    """
    slides = _Slides(fingerprints, against or {})
    num_first = None if against is None else len(fingerprints)
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        proposals = propose(index_keypoints(slides, num_slides=len(slides)), num_first=num_first)
        pairs = _same_cells(slides, proposals, pool)
        for key, pair in _same_structure(slides, num_first, pool).items():
            pairs.setdefault(key, pair)
    return tuple(pairs[key] for key in sorted(pairs))


class _Slides(Sequence[Fingerprint]):
    """Fingerprints of all slides by number, those of the other cohort last."""

    def __init__(self, *cohorts: Mapping[str, Fingerprint]) -> None:
        self.names = [name for cohort in cohorts for name in cohort]
        self._cohorts = [cohort for cohort in cohorts for _ in cohort]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, number: Any) -> Any:
        return self._cohorts[number][self.names[number]]


def _same_cells(
    slides: _Slides, proposals: Sequence[Proposal], pool: ThreadPoolExecutor
) -> dict[tuple[int, int], Pair]:
    def confirm(proposal: Proposal) -> Pair | None:
        one, two = proposal.one, proposal.two
        return compare((slides.names[one], slides.names[two]), slides[one], slides[two], proposal.symmetry)

    best: dict[tuple[int, int], Pair] = {}
    for proposal, pair in _each(pool, confirm, proposals):
        key = proposal.one, proposal.two
        if pair is not None and (key not in best or _rank(pair) > _rank(best[key])):
            best[key] = pair
    return best


def _same_structure(slides: _Slides, num_first: int | None, pool: ThreadPoolExecutor) -> dict[tuple[int, int], Pair]:
    images = [image for _, image in _each(pool, lambda number: coarse_image(slides[number]), range(len(slides)))]

    def confirm(proposed: tuple[int, int, float]) -> Pair | None:
        one, two, turn = proposed
        image, other_image = images[one], images[two]
        if image is None or other_image is None:
            return None
        agreement = compare_structure((slides[one], slides[two]), (image, other_image), turn=turn)
        if agreement is None or not agreement.is_section:
            return None
        return Pair(
            slide=slides.names[one],
            other=slides.names[two],
            relation="section",
            transform=f"turned by about {round(turn) % 360} degrees and bent to fit",
            overlap=agreement.overlap,
            similarity=agreement.correlation,
            confidence=1.0 - math.exp(-agreement.certainty / 3),
            differs=1.0 - agreement.correlation,
            matrix=agreement.matrix,
        )

    confirmed = _each(pool, confirm, propose_sections(images, num_first=num_first))
    return {proposed[:2]: pair for proposed, pair in confirmed if pair is not None}


def _each(
    pool: ThreadPoolExecutor, function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[tuple[Item, Result]]:
    """Items and what a function makes of them, some at a time: a pool would take all of them at once."""
    remaining = iter(items)
    while some := list(islice(remaining, _ITEMS_AT_ONCE)):
        yield from zip(some, pool.map(function, some), strict=True)


def _rank(pair: Pair) -> tuple[bool, float]:
    return pair.relation == "copy", pair.overlap * (1 - pair.differs) * pair.similarity
