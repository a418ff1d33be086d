"""Groups of slides, as of one patient, with their classes: what folds are cut from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tilewise.folds.parts import FoldItem

if TYPE_CHECKING:
    from tilewise.folds.partition import PartRule


@dataclass(frozen=True)
class GroupTable:
    """Slides by group: those of one patient, copies and neighbouring sections, which share a part.

    Groups are sorted by name, so that the order of the input does not matter.
    """

    members: tuple[tuple[FoldItem, ...], ...]

    @classmethod
    def of(cls, items: Sequence[FoldItem]) -> GroupTable:
        """Gather labelled slides by their group."""
        by_key: dict[tuple[str, str], list[FoldItem]] = {}
        for item in sorted(items, key=lambda item: item.slide_id):
            by_key.setdefault(item.group_key, []).append(item)
        return cls(tuple(tuple(by_key[key]) for key in sorted(by_key)))

    @property
    def num_groups(self) -> int:
        """Groups in the table; a slide without a group is one."""
        return len(self.members)

    @property
    def slide_ids(self) -> tuple[str, ...]:
        """Every slide of the table, sorted."""
        return tuple(sorted(item.slide_id for group in self.members for item in group))

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that slides are stratified by, sorted."""
        return tuple(sorted({item.stratum for group in self.members for item in group}))

    @property
    def groups_per_class(self) -> tuple[int, ...]:
        """In how many groups each class occurs, in the order of `classes`."""
        return tuple(
            sum(any(item.stratum == name for item in group) for group in self.members) for name in self.classes
        )

    def without(self, other: GroupTable) -> GroupTable:
        """The groups that are not in the other table."""
        gone = set(other.members)
        return GroupTable(tuple(group for group in self.members if group not in gone))

    def rule(self, share: float, *, least: int, least_in_all: int, priority: int, spare: int = 0) -> PartRule:
        """What one part should get of this table.

        Args:
            share: of every class.
            least: groups of each class the part should hold, as far as the class has so many.
            least_in_all: groups the part should hold.
            priority: of these bounds against those of the other parts.
            spare: groups of each class that should be left to the other parts, as far as the class has one more. It
                comes before every bound of this priority.
        """
        from tilewise.folds.partition import PartRule

        groups = self.groups_per_class
        return PartRule(
            share=share,
            least=(*(min(least, number) for number in groups), least_in_all),
            most=(*(max(number - spare, 1) for number in groups), self.num_groups),
            least_priority=priority,
            most_priority=priority + 1,
        )

    def split(
        self, rules: tuple[PartRule, ...], *, seed: tuple[int, ...], earlier: Sequence[GroupTable] = ()
    ) -> tuple[GroupTable, ...]:
        """One table per rule; every group is in one of them. Parts like the `earlier` ones are avoided."""
        import numpy as np

        from tilewise.folds.partition import partition

        column = {name: index for index, name in enumerate(self.classes)}
        counts_GC = np.zeros((self.num_groups, len(column)), dtype=np.int64)
        for row, group in enumerate(self.members):
            for item in group:
                counts_GC[row, column[item.stratum]] += 1
        earlier_PG = np.array(
            [[group in part for group in self.members] for part in (set(part.members) for part in earlier)], dtype=bool
        )
        part_G = partition(counts_GC, rules, seed=seed, earlier_PG=earlier_PG if earlier else None)
        return tuple(
            GroupTable(tuple(self.members[row] for row in np.flatnonzero(part_G == part))) for part in range(len(rules))
        )
