"""Files that a person may edit: whether one is as tilewise wrote it, and where an edited one is kept.

A hidden file in the folder holds the digest of each as it was written. Of a file it does not name nobody knows.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from tilewise.store.atomic import atomic_path, write_text
from tilewise.store.digest import digest_bytes, digest_file

_log = logging.getLogger(__name__)

_RECORD = ".written.json"


def is_as_written(path: Path) -> bool:
    """Whether a file has the very bytes that `write_editable` or `record_written` left."""
    return path.is_file() and _read(path.parent).get(path.name) == digest_file(path)


def is_recorded(path: Path, root: Path) -> bool:
    """Whether a folder from that of the file up to `root` remembers how the file was written."""
    folders = [folder for folder in path.parents if folder.is_relative_to(root)]
    return any(path.relative_to(folder).as_posix() in _read(folder) for folder in folders)


def edited_files(folder: Path) -> list[Path]:
    """Files of a folder whose bytes are no more those that were recorded, sorted; missing ones are not among them."""
    recorded = _read(folder)
    paths = [folder / name for name in sorted(recorded)]
    return [
        path for path in paths if path.is_file() and digest_file(path) != recorded[path.relative_to(folder).as_posix()]
    ]


def record_written(folder: Path, paths: Iterable[Path]) -> None:
    """Remember the bytes of files below a folder, and of no others."""
    _write(folder, {path.relative_to(folder).as_posix(): digest_file(path) for path in paths})


def forget_written(folder: Path) -> None:
    """Remember nothing of a folder: it is being written to."""
    (folder / _RECORD).unlink(missing_ok=True)


def write_editable(path: Path, text: str) -> None:
    """Write UTF-8 text; a file that somebody else wrote or edited there is kept beside it, see `keep_edited`.

    Where the file and its record hold this very text already, nothing is written.
    """
    data = text.encode("utf-8")
    is_same = path.is_file() and path.read_bytes() == data
    if is_same and is_as_written(path):
        return
    if path.is_file() and not is_same and not is_as_written(path):
        keep_edited(path)
    # The digest comes first: if the write is lost, an old file counts as edited, which loses nothing.
    _write(path.parent, _read(path.parent) | {path.name: digest_bytes(data)})
    write_text(path, text)


def keep_edited(path: Path) -> Path:
    """Copy a file to NAME.DATE.SUFFIX beside it, by the date of its last change; returns where."""
    date = datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()
    number, target = 1, path.with_name(f"{path.stem}.{date}{path.suffix}")
    while target.exists() and target.read_bytes() != path.read_bytes():
        number += 1
        target = path.with_name(f"{path.stem}.{date}-{number}{path.suffix}")
    with atomic_path(target) as temporary:
        shutil.copyfile(path, temporary)
    _log.warning("%s was edited since tilewise wrote it; it is kept as %s", path, target.name)
    return target


def _read(folder: Path) -> dict[str, str]:
    with contextlib.suppress(OSError, ValueError):
        data = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        if isinstance(data, dict):
            return {str(name): str(digest) for name, digest in data.items()}
    return {}


def _write(folder: Path, record: dict[str, str]) -> None:
    write_text(folder / _RECORD, json.dumps(dict(sorted(record.items())), indent=0) + "\n")
