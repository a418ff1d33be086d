"""How many items a task on a cluster takes: enough to be worth sending, fewer towards the end."""

from __future__ import annotations

import math
from collections import deque

# Below ten seconds, sending a task and its result is a visible part of it; below one, most of it.
_TARGET_S, _LEAST_S = 10.0, 1.0
_REMEMBERED = 4


class BundleSizes:
    """Sizes of bundles, by how long the items of the last few took."""

    def __init__(self) -> None:
        self._reports: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)

    def note(self, num_items: int, seconds: float) -> None:
        """A bundle took so long, whatever came before and after its items left out."""
        self._reports.append((num_items, seconds))

    def size(self, num_left: int, num_slots: int) -> int:
        """Items of the next bundle: one until something is measured, then ten seconds of them.

        Each slot gets two bundles or more of what is left, so that one slow item holds back few others, unless these
        would take less than a second.

        Args:
            num_left: items that no task has yet.
            num_slots: tasks that run at a time.
        """
        num_items = sum(num for num, _ in self._reports)
        if not num_items or num_left < 1:
            return 1
        seconds = max(sum(seconds for _, seconds in self._reports) / num_items, 1e-6)
        share = math.ceil(num_left / (2 * num_slots))
        return max(1, min(int(_TARGET_S / seconds), max(share, int(_LEAST_S / seconds)), num_left))
