"""Files that hold the digest of all their bytes, so that damage is noticed before a parser sees it.

A parser is no check: damaged files have made HDF5 spin for ever and crash. The digest is in the file's own metadata,
so that other programs still read the file as the JSON, Parquet or safetensors it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tilewise.errors import ArtifactError
from tilewise.store.digest import digest_bytes

_MARK: Final = b"tilewise-blake2b-160="
_LENGTH: Final = 40
PLACEHOLDER: Final = _MARK.decode() + "0" * _LENGTH
"""Stands for the digest until `add_checksum` replaces it."""

CHECKSUM_KEY: Final = "file_digest"
"""Name of the digest in a file's metadata."""

MANIFEST_NAME: Final = "manifest.json"
_MOST_LEVELS: Final = 8


def add_checksum(data: bytes) -> bytes:
    """The bytes of a file with their digest in place of the first `PLACEHOLDER`."""
    start = data.index(PLACEHOLDER.encode()) + len(_MARK)
    return b"".join([data[:start], _digest(data, start), data[start + _LENGTH :]])


def read_checksummed(path: Path, *, again: str | None = None, or_plain: bool = False) -> bytes:
    """The bytes of a file, compared with the digest inside it.

    Earlier versions wrote no digest into the file; those files are compared with the manifest of their run.

    Args:
        path: of a file that `add_checksum` made.
        again: what to do about a file that cannot be used; None follows from the folder.
        or_plain: whether a file without any digest is read too.

    Raises:
        ArtifactError: the file is missing, cannot be read, or is not what was written.
    """
    data = read_file(path, again=again)
    start = data.find(_MARK)
    if start >= 0:
        start += len(_MARK)
        is_whole = data[start : start + _LENGTH] == _digest(data, start)
    else:
        listed = _listed_digest(path)
        is_plain = or_plain and listed is None and CHECKSUM_KEY.encode() not in data
        is_whole = is_plain or listed == digest_bytes(data)
    if not is_whole:
        raise ArtifactError(f"{path} is damaged: it is not what was written; {again or next_step(path)}")
    return data


def read_file(path: Path, *, again: str | None = None) -> bytes:
    """The bytes of a file whose digest the caller knows; arguments and errors as in `read_checksummed`."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} is missing; {again or 'run the command that makes it again'}") from error
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error}); {again or next_step(path)}") from error


def next_step(path: Path) -> str:
    """What to do about a file that cannot be used: in a finished run, list all that is damaged."""
    run = _run_of(path)
    if run is None:
        return "delete it and run the same command again"
    return (
        f"`tilewise verify {run}` lists every damaged file of this run, and `tilewise verify {run} --repair` makes "
        "them again"
    )


def _digest(data: bytes, start: int) -> bytes:
    """Of everything but the digest itself."""
    view = memoryview(data)
    return digest_bytes(view[:start], view[start + _LENGTH :]).encode()


def _run_of(path: Path) -> Path | None:
    """The folder of the finished run that a file lies in."""
    for folder in path.absolute().parents[:_MOST_LEVELS]:
        try:
            if b'"tilewise.manifest"' in (folder / MANIFEST_NAME).read_bytes():
                return folder
        except OSError:
            continue
    return None


def _listed_digest(path: Path) -> str | None:
    """The digest in the manifest of a file's run; None where there is none."""
    run = _run_of(path)
    if run is None:
        return None
    try:
        files = json.loads((run / MANIFEST_NAME).read_bytes())["files"]
        return str(files[path.absolute().relative_to(run).as_posix()]["digest"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
