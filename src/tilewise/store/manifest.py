"""The manifest of a run: every file with its size and digest, so that `verify` can tell damage from truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tilewise.errors import ArtifactError
from tilewise.store.artifact import read_json, write_json
from tilewise.store.checksummed import MANIFEST_NAME
from tilewise.store.digest import digest_file

_SCHEMA = "tilewise.manifest"
_VERSION = 1
# A folder of what people add to a run once it is finished: no part of it.
REVIEW = "review"


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
    def relist(cls, root: Path, paths: Iterable[Path]) -> None:
        """Take files of a finished run that were written again, or are new, into its manifest.

        Raises:
            ArtifactError: the run has no manifest, or it is damaged.
        """
        before = cls.read(root)
        cls(dict(sorted((before.files | cls.of(root, paths, {}).files).items())), before.inputs).write(root)

    @classmethod
    def read(cls, root: Path) -> Manifest:
        """Read a run's manifest.

        Raises:
            ArtifactError: there is none, or it is damaged.
        """
        data = read_json(root / MANIFEST_NAME, schema=_SCHEMA, version=_VERSION)
        if not isinstance(data.get("files"), dict) or not isinstance(data.get("inputs"), dict):
            raise ArtifactError(f"{root / MANIFEST_NAME} is damaged; run `tilewise train` into this folder again")
        return cls(data["files"], data["inputs"])


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
        if not path.is_file():
            damage.append(Damage(name, "missing"))
        elif path.stat().st_size != entry["bytes"] or digest_file(path) != entry["digest"]:
            damage.append(Damage(name, "changed"))
    damage += [Damage(name, "unlisted") for name in sorted(_present(root) - manifest.files.keys())]
    return damage


def _present(root: Path) -> set[str]:
    """Every file but the manifest, hidden ones and those of the review, relative to `root`."""
    names = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    own = (name for name in names if name.parts[0] != REVIEW and not any(part.startswith(".") for part in name.parts))
    return {name.as_posix() for name in own} - {MANIFEST_NAME}
