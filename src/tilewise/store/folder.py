"""Folders that results go to: nothing in them that is not ours is written over."""

from __future__ import annotations

from pathlib import Path

from tilewise.errors import UsageError


def visible_names(folder: Path) -> list[str]:
    """What lies in a folder, sorted, hidden names left out; nothing where there is no folder."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []


def check_out(out: Path, *, mark: str, contents: str) -> None:
    """Refuse a folder that holds anything but what an earlier call of the same command wrote.

    Args:
        out: the folder, which need not be there.
        mark: name of a file that such a call always leaves.
        contents: what is to be written, for messages.

    Raises:
        UsageError: it is a file, or holds other things.
    """
    if out.is_file():
        raise UsageError(f"--out {out} is a file; name a folder for the {contents}")
    foreign = visible_names(out)
    if foreign and not (out / mark).is_file():
        raise UsageError(f"--out {out}: it holds other files ({foreign[0]}); choose a new or empty folder")
