"""Faults of a cohort, collected and raised at once, not one per run."""

from __future__ import annotations

from collections.abc import Sequence

from tilewise.errors import CohortError

_MOST_LISTED = 10


class Faults:
    """Faults so far; each is one sentence that names the slide or field, and the next step."""

    def __init__(self) -> None:
        self._kinds: dict[str, list[str]] = {}

    def add(self, kind: str, text: str) -> None:
        """Record a fault; at most ten of each kind are shown."""
        self._kinds.setdefault(kind, []).append(text)

    def raise_if_any(self, where: object) -> None:
        """Raise what was recorded.

        Raises:
            CohortError: there is at least one fault.
        """
        total = sum(map(len, self._kinds.values()))
        if not total:
            return
        lines = []
        for texts in self._kinds.values():
            lines += texts[:_MOST_LISTED]
            if len(texts) > _MOST_LISTED:
                lines.append(f"... and {len(texts) - _MOST_LISTED} more of this kind")
        if total == 1:
            raise CohortError(f"{where}: {lines[0]}")
        raise CohortError(f"{where}: {total} faults\n" + "\n".join(f"  - {line}" for line in lines))


def abbreviate(names: Sequence[object], *, most: int = 3) -> str:
    """The first few names and how many more there are: `a, b, c and 4 more`."""
    listed = ", ".join(str(name) for name in names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"
