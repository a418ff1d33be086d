"""The manifest of a run: every file with its size and digest, so that `verify` can tell damage from truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tilewise.errors import ArtifactError
from tilewise.store.artifact import read_json, write_json
from tilewise.store.atomic import write_bytes
from tilewise.store.checksummed import MANIFEST_NAME
from tilewise.store.digest import digest_bytes, digest_file

_SCHEMA = "tilewise.manifest"
_VERSION = 1
# A folder of what people add to a run once it is finished: no part of it.
REVIEW = "review"
# Of a file that is being written again: the digest of the old one, or none where there was no file.
_BEFORE = "before"


@dataclass(frozen=True)
class Damage:
    """One file that is not as the manifest says: `missing`, `changed` or `unlisted`."""

    path: str
    what: str


@dataclass(frozen=True)
class Manifest:
    """Files of a run, relative to its folder, with size in bytes and digest; and what the run was made from."""

    files: dict[str, dict[str, Any]]
    inputs: dict[str, Any]

    @classmethod
    def of(cls, root: Path, paths: Iterable[Path], inputs: dict[str, Any]) -> Manifest:
        """Digest the given files, which lie under `root`."""
        files = {
            path.relative_to(root).as_posix(): {"bytes": path.stat().st_size, "digest": digest_file(path)}
            for path in sorted(paths)
        }
        return cls(files, inputs)

    @classmethod
    def of_folder(cls, root: Path, inputs: dict[str, Any]) -> Manifest:
        """Digest every file under `root`; hidden ones are locks, or what a killed write left."""
        return cls.of(root, (root / name for name in _present(root)), inputs)

    def write(self, root: Path) -> None:
        """Write `manifest.json` into the run's folder."""
        write_json(root / MANIFEST_NAME, {"inputs": self.inputs, "files": self.files}, schema=_SCHEMA, version=_VERSION)

    @classmethod
    def rewrite(cls, root: Path, path: Path, data: bytes) -> None:
        """Write a file of a finished run again, or a new one, and list it.

        Killed at any moment, the file is the old one or the new one, and the manifest knows both.

        Raises:
            ArtifactError: the run has no manifest, or it is damaged.
        """
        manifest, name = cls.read(root), path.relative_to(root).as_posix()
        entry: dict[str, Any] = {"bytes": len(data), "digest": digest_bytes(data)}
        either = entry | {_BEFORE: digest_file(path) if path.is_file() else None}
        manifest.listing(name, either).write(root)
        write_bytes(path, data)
        manifest.listing(name, entry).write(root)

    def listing(self, name: str, entry: dict[str, Any]) -> Manifest:
        """The same with another file, or another entry of one."""
        return Manifest(dict(sorted((self.files | {name: entry}).items())), self.inputs)

    @classmethod
    def read(cls, root: Path) -> Manifest:
        """Read a run's manifest.

        Raises:
            ArtifactError: there is none, or it is damaged.
        """
        data = read_json(root / MANIFEST_NAME, schema=_SCHEMA, version=_VERSION)
        files, inputs = data.get("files"), data.get("inputs")
        if not isinstance(files, dict) or not isinstance(inputs, dict) or not all(map(_is_inside, files)):
            raise ArtifactError(f"{root / MANIFEST_NAME} is damaged; `tilewise verify {root} --repair` makes it again")
        return cls(files, inputs)


def verify(root: Path) -> list[Damage]:
    """Compare a run's files with its manifest; an empty list means all is well.

    Files the manifest does not list are reported as `unlisted` only where they could be mistaken for the run's own
    (hidden and temporary files are passed over).

    Raises:
        ArtifactError: the run has no manifest, so it never finished.
    """
    manifest = Manifest.read(root)
    damage = []
    for name, entry in manifest.files.items():
        path = root / name
        expected = (entry["digest"], entry.get(_BEFORE, entry["digest"]))
        if not path.is_file():
            damage += [Damage(name, "missing")] if None not in expected else []
        elif digest_file(path) not in expected:
            damage.append(Damage(name, "changed"))
    damage += [Damage(name, "unlisted") for name in sorted(_present(root) - manifest.files.keys())]
    return damage


def _is_inside(name: str) -> bool:
    """Whether a name in a manifest, which may be a stranger's, stays in its folder."""
    path = Path(name)
    return not path.anchor and ".." not in path.parts


def _present(root: Path) -> set[str]:
    """Every file but the manifest, hidden ones and those of the review, relative to `root`."""
    names = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    own = (name for name in names if name.parts[0] != REVIEW and not any(part.startswith(".") for part in name.parts))
    return {name.as_posix() for name in own} - {MANIFEST_NAME}
