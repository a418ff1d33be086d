"""Damaged files of a run: taken away, so that whoever makes the run makes them again."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tilewise.store.edited import is_recorded, keep_edited
from tilewise.store.manifest import Damage

_log = logging.getLogger(__name__)

# What nobody edits by hand.
_MADE_BY_TILEWISE: Final = frozenset({".json", ".parquet", ".safetensors", ".html"})


def remove_damaged(root: Path, damage: Iterable[Damage], *, editable: bool) -> dict[str, Path | None]:
    """Remove the changed files of a run; of tables, recipes and pictures, which a person may have edited, a copy stays.

    Args:
        root: folder of the run.
        damage: of which only the kind `changed` is looked at.
        editable: also those that `write_editable` or `record_written` wrote, which their own commands look after.

    Returns:
        Name of each removed file -> where its copy is, see `keep_edited`, or None.
    """
    removed: dict[str, Path | None] = {}
    for name in (one.path for one in damage if one.what == "changed"):
        path = root / name
        if not editable and is_recorded(path, root):
            continue
        removed[name] = None if path.suffix in _MADE_BY_TILEWISE else keep_edited(path)
        path.unlink()
        _log.warning("%s is damaged and is made again", path)
    return removed
