"""Cut groups into parts of any size so that every part holds its share of every class.

A greedy start (groups that hold most of a class first) is improved by moving and swapping groups until nothing helps,
from several starts. What counts is, in this order: the bounds on how many groups of a class a part holds, and the sum
over parts and classes of the squared difference between a part's share of the class and the share it should have.
Because each class is counted in shares of itself, a class of five slides weighs as much as one of five hundred.

The objective is that of scikit-learn's StratifiedGroupKFold, extended to parts of unequal size and to bounds.
Groups that hold the same number of slides of every class are interchangeable, so that the search runs over kinds of
group, which makes a cohort of single slides a problem of as many kinds as there are classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Membership = NDArray[np.bool_]

_SIZE_WEIGHT = 1e-3  # the part's whole size only breaks ties between classes
_STARTS = 8
_STARTS_OF_MANY = 2
_STARTS_ANEW = 32  # of a cut that should differ from earlier ones
_FEW = 100  # kinds of group, up to where so many starts take seconds at most
_WORSE = 1.25  # times the least deviation, which a cut that differs from earlier ones may have
_MANY = 300  # kinds of group, from where one start is good enough and slow
_MAX_SWEEPS = 60
_MAX_PARTNERS = 400  # kinds of group tried as partners of one swap
_TINY = 1e-12


@dataclass(frozen=True)
class PartRule:
    """What one part should get.

    Attributes:
        share: of every class and of all slides, between 0 and 1; the shares of all parts add up to 1.
        least: groups the part should hold, one number per class and one for all classes together.
        most: groups the part should hold at most, likewise.
        least_priority: breaking a bound of higher priority is worse than breaking any number of lower ones.
        most_priority: likewise.
    """

    share: float
    least: tuple[int, ...]
    most: tuple[int, ...]
    least_priority: int = 0
    most_priority: int = 0


def partition(
    counts_GC: Counts, rules: tuple[PartRule, ...], *, seed: tuple[int, ...], earlier_PG: Membership | None = None
) -> Counts:
    """The part of each group.

    Args:
        counts_GC: slides of each class in each group.
        rules: one per part.
        seed: the same counts, rules, seed and earlier parts give the same parts.
        earlier_PG: which groups the parts of earlier cuts hold. Of cuts about as good as the best, the one that repeats
            the fewest whole parts of them is taken, then the fewest pairs of groups that shared one. None: the best.

    Returns:
        part_G, indices into `rules`.
    """
    rng = np.random.default_rng(list(seed))
    kinds_TC, kind_G, number_T = np.unique(counts_GC, axis=0, return_inverse=True, return_counts=True)
    kind_G = kind_G.reshape(-1)
    problem = _Problem.of(kinds_TC, number_T, rules)
    if earlier_PG is not None:
        return _cut_anew(problem, number_T, kind_G, rng, earlier_PG)
    best: _State | None = None
    for _ in range(_STARTS if len(number_T) < _MANY else _STARTS_OF_MANY):
        state = _greedy(problem, number_T, rng)
        _improve(problem, state, rng)
        if best is None or problem.cost(state) < problem.cost(best):
            best = state
        if problem.as_good_as_whole_slides_allow(best):
            break
    assert best is not None
    return _hand_out(best.number_TP, kind_G, rng)


def _cut_anew(
    problem: _Problem, number_T: Counts, kind_G: Counts, rng: np.random.Generator, earlier_PG: Membership
) -> Counts:
    num_kinds = len(number_T)
    cuts: list[tuple[tuple[int, float], Counts]] = []
    for _ in range(_STARTS_ANEW if num_kinds <= _FEW else _STARTS if num_kinds < _MANY else _STARTS_OF_MANY):
        state = _greedy(problem, number_T, rng)
        _improve(problem, state, rng)
        cuts.append((problem.cost(state), _hand_out(state.number_TP, kind_G, rng)))
    least_broken, least_deviation = min(cost for cost, _ in cuts)
    good = [part_G for (broken, off), part_G in cuts if broken == least_broken and off <= _WORSE * least_deviation]
    return min(good, key=lambda part_G: _recurrence(part_G, earlier_PG))


def _recurrence(part_G: Counts, earlier_PG: Membership) -> tuple[int, int]:
    """How many parts are those of an earlier cut, and how many pairs of groups share a part again."""
    part_GP = part_G[:, None] == np.arange(part_G.max() + 1)
    shared_EP = earlier_PG.astype(np.int64) @ part_GP.astype(np.int64)
    is_same_EP = (shared_EP == part_GP.sum(axis=0)) & (shared_EP == earlier_PG.sum(axis=1)[:, None])
    return int(is_same_EP.any(axis=0).sum()), int((shared_EP * (shared_EP - 1) // 2).sum())


@dataclass
class _State:
    """How many groups of each kind each part holds, with the sums that follow from it."""

    number_TP: Counts
    slides_PC: Counts
    groups_PC: Counts

    def move(self, problem: _Problem, kind: int, source: int, target: int) -> None:
        self.number_TP[kind, source] -= 1
        self.number_TP[kind, target] += 1
        self.slides_PC[source] -= problem.slides_TC[kind]
        self.slides_PC[target] += problem.slides_TC[kind]
        self.groups_PC[source] -= problem.groups_TC[kind]
        self.groups_PC[target] += problem.groups_TC[kind]


@dataclass(frozen=True)
class _Problem:
    """Kinds of group (the last is the empty one, so that a move is a swap with nothing) and what the parts should get.

    The last column of every class axis stands for all classes together.
    """

    slides_TC: Counts
    groups_TC: Counts
    target_PC: NDArray[np.float64]
    weight_C: NDArray[np.float64]
    least_PC: Counts
    most_PC: Counts
    cap: int
    least_weight_P: Counts
    most_weight_P: Counts

    @classmethod
    def of(cls, kinds_TC: Counts, number_T: Counts, rules: tuple[PartRule, ...]) -> _Problem:
        slides_TC = np.pad(np.column_stack([kinds_TC, kinds_TC.sum(axis=1)]), ((0, 1), (0, 0)))
        total_C = number_T @ slides_TC[:-1]
        weight_C = 1.0 / np.maximum(total_C, 1) ** 2
        weight_C[-1] *= _SIZE_WEIGHT
        least_PC, most_PC = np.array([rule.least for rule in rules]), np.array([rule.most for rule in rules])
        # One bound of a priority outweighs all that can be broken below it (an excess counts up to the cap).
        cap = int(max(least_PC.max(), 1))
        base = 4 * cap * least_PC.size
        return cls(
            slides_TC=slides_TC,
            groups_TC=(slides_TC > 0).astype(np.int64),
            target_PC=np.array([[rule.share] for rule in rules]) * total_C,
            weight_C=weight_C,
            least_PC=least_PC,
            most_PC=most_PC,
            cap=cap,
            least_weight_P=np.array([base**rule.least_priority for rule in rules]),
            most_weight_P=np.array([base**rule.most_priority for rule in rules]),
        )

    def part_costs(self, slides: Counts, groups: Counts, part: int | slice) -> tuple[Counts, NDArray[np.float64]]:
        """Bounds broken (weighted) and squared deviation, for arrays whose last axis is the class."""
        short = np.maximum(self.least_PC[part] - groups, 0).sum(axis=-1) * self.least_weight_P[part]
        over = np.clip(groups - self.most_PC[part], 0, self.cap).sum(axis=-1) * self.most_weight_P[part]
        return short + over, (np.square(slides - self.target_PC[part]) * self.weight_C).sum(axis=-1)

    def cost(self, state: _State) -> tuple[int, float]:
        broken_P, deviation_P = self.part_costs(state.slides_PC, state.groups_PC, slice(None))
        return int(broken_P.sum()), round(float(deviation_P.sum()), 12)

    def as_good_as_whole_slides_allow(self, state: _State) -> bool:
        off_target = np.abs(state.slides_PC - self.target_PC).max()
        return self.cost(state)[0] == 0 and bool(off_target < 1.0)


def _greedy(problem: _Problem, number_T: Counts, rng: np.random.Generator) -> _State:
    # Of many interchangeable groups each part gets its whole share at once; what is left is handed out one by one.
    share_P = problem.target_PC[:, -1] / max(int(number_T @ problem.slides_TC[:-1, -1]), 1)
    number_TP = np.floor(number_T[:, None] * share_P).astype(np.int64)
    state = _State(number_TP, number_TP.T @ problem.slides_TC[:-1], number_TP.T @ problem.groups_TC[:-1])
    rest_T = number_T - number_TP.sum(axis=1)
    total_C = np.maximum(number_T @ problem.slides_TC[:-1, :-1], 1)
    hold_T = (problem.slides_TC[:-1, :-1] / total_C).max(axis=1)  # the largest share of any class in one group
    order = np.repeat(np.arange(len(number_T)), rest_T)
    order = order[np.argsort(-hold_T[order] * rng.uniform(0.8, 1.25, len(order)), kind="stable")]
    broken_P, deviation_P = problem.part_costs(state.slides_PC, state.groups_PC, slice(None))
    for kind in order:
        slides_PC = state.slides_PC + problem.slides_TC[kind]
        groups_PC = state.groups_PC + problem.groups_TC[kind]
        new_broken_P, new_deviation_P = problem.part_costs(slides_PC, groups_PC, slice(None))
        part = _first_best(new_broken_P - broken_P, new_deviation_P - deviation_P)
        state.number_TP[kind, part] += 1
        state.slides_PC[part], state.groups_PC[part] = slides_PC[part], groups_PC[part]
        broken_P[part], deviation_P[part] = new_broken_P[part], new_deviation_P[part]
    return state


def _improve(problem: _Problem, state: _State, rng: np.random.Generator) -> None:
    """Take the best move or swap of each kind of group in turn until a whole round brings nothing."""
    num_kinds = len(state.number_TP)
    for _ in range(_MAX_SWEEPS):
        partners = np.arange(num_kinds)
        if num_kinds > _MAX_PARTNERS:
            partners = np.sort(rng.choice(partners, _MAX_PARTNERS, replace=False))
        partners = np.append(partners, num_kinds)
        # A list, because `any` would stop at the first improvement of the round.
        improved = [
            _improve_one(problem, state, int(kind), partners, source=source)
            for kind in rng.permutation(num_kinds)
            for source in range(state.number_TP.shape[1])
        ]
        if not any(improved):
            return


def _improve_one(problem: _Problem, state: _State, kind: int, partners: Counts, *, source: int) -> bool:
    if state.number_TP[kind, source] == 0:
        return False
    slides_UC = problem.slides_TC[partners] - problem.slides_TC[kind]
    groups_UC = problem.groups_TC[partners] - problem.groups_TC[kind]
    here = problem.part_costs(state.slides_PC[source] + slides_UC, state.groups_PC[source] + groups_UC, source)
    there = problem.part_costs(state.slides_PC - slides_UC[:, None], state.groups_PC - groups_UC[:, None], slice(None))
    before = problem.part_costs(state.slides_PC, state.groups_PC, slice(None))
    broken_UP, deviation_UP = (here[i][:, None] + there[i] - before[i][source] - before[i][None, :] for i in (0, 1))
    allowed_UP = np.vstack([state.number_TP, np.ones((1, state.number_TP.shape[1]), dtype=np.int64)])[partners] > 0
    allowed_UP[:, source] = False
    candidates = np.flatnonzero(allowed_UP)
    best = candidates[_first_best(broken_UP.ravel()[candidates], deviation_UP.ravel()[candidates])]
    if broken_UP.flat[best] > 0 or (broken_UP.flat[best] == 0 and deviation_UP.flat[best] > -_TINY):
        return False
    partner, target = partners[best // state.number_TP.shape[1]], int(best % state.number_TP.shape[1])
    state.move(problem, kind, source, target)
    if partner < len(state.number_TP):
        state.move(problem, int(partner), target, source)
    return True


def _first_best(broken: Counts, deviation: NDArray[np.float64]) -> int:
    """Index of the fewest broken bounds, then of the least deviation, then the first."""
    fewest = np.flatnonzero(broken == broken.min())
    return int(fewest[np.argmin(np.round(deviation[fewest], 12))])


def _hand_out(number_TP: Counts, kind_G: Counts, rng: np.random.Generator) -> Counts:
    """Which of the interchangeable groups go where, by lot."""
    part_G = np.empty(len(kind_G), dtype=np.int64)
    for kind, number_P in enumerate(number_TP):
        members = rng.permutation(np.flatnonzero(kind_G == kind))
        part_G[members] = np.repeat(np.arange(len(number_P)), number_P)
    return part_G
