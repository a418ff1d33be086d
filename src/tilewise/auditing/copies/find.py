"""Find the pairs among many slides, or between two cohorts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from tilewise.auditing.copies.compare import Pair, compare
from tilewise.auditing.copies.fingerprint import Fingerprint
from tilewise.auditing.copies.propose import Proposal, index_keypoints, propose
from tilewise.auditing.copies.sections import coarse_image, compare_structure, propose_sections

_NUM_THREADS = 2


def find_pairs(
    fingerprints: Mapping[str, Fingerprint], *, against: Mapping[str, Fingerprint] | None = None
) -> tuple[Pair, ...]:
    """Find copies and neighbouring sections.

    Args:
        fingerprints: slide -> fingerprint.
        against: another cohort; then only pairs of one of the first with one of the second are looked for.

    Returns:
        One pair at most for any two slides, in the order of the slides.
    """
    names = [*fingerprints, *(against or {})]
    slides = [*fingerprints.values(), *(against or {}).values()]
    num_first = None if against is None else len(fingerprints)
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        pairs = _same_cells(names, slides, propose(index_keypoints(slides), num_first=num_first), pool)
        for key, pair in _same_structure(names, slides, num_first, pool).items():
            pairs.setdefault(key, pair)
    return tuple(pairs[key] for key in sorted(pairs))


def _same_cells(
    names: Sequence[str], slides: Sequence[Fingerprint], proposals: Sequence[Proposal], pool: ThreadPoolExecutor
) -> dict[tuple[int, int], Pair]:
    best: dict[tuple[int, int], Pair] = {}
    compared = pool.map(
        lambda it: compare((names[it.one], names[it.two]), slides[it.one], slides[it.two], it.symmetry), proposals
    )
    for proposal, pair in zip(proposals, compared, strict=True):
        key = proposal.one, proposal.two
        if pair is not None and (key not in best or _rank(pair) > _rank(best[key])):
            best[key] = pair
    return best


def _same_structure(
    names: Sequence[str], slides: Sequence[Fingerprint], num_first: int | None, pool: ThreadPoolExecutor
) -> dict[tuple[int, int], Pair]:
    coarse_images = list(pool.map(coarse_image, slides))

    def confirm(proposed: tuple[int, int, float]) -> Pair | None:
        one, two = coarse_images[proposed[0]], coarse_images[proposed[1]]
        if one is None or two is None:
            return None
        agreement = compare_structure(one, two, turn=proposed[2])
        if agreement is None or not agreement.is_section:
            return None
        return Pair(
            slide=names[proposed[0]],
            other=names[proposed[1]],
            relation="section",
            transform=f"turned by about {round(proposed[2]) % 360} degrees and bent to fit",
            overlap=agreement.overlap,
            similarity=agreement.correlation,
            confidence=1.0 - math.exp(-agreement.certainty / 3),
            differs=1.0 - agreement.correlation,
            matrix=agreement.matrix,
        )

    proposals = propose_sections(coarse_images, num_first=num_first)
    confirmed = zip(proposals, pool.map(confirm, proposals), strict=True)
    return {proposed[:2]: pair for proposed, pair in confirmed if pair is not None}


def _rank(pair: Pair) -> tuple[bool, float]:
    return pair.relation == "copy", pair.overlap * (1 - pair.differs) * pair.similarity
