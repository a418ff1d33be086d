"""A damaged run in, the same run out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tilewise.auditing.decisions import digest_decisions
from tilewise.errors import ArtifactError, UsageError
from tilewise.folds import Folds
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.pipeline.train import train
from tilewise.recipe import parse_recipe
from tilewise.run_folder import IDENTITY_COPY, RunFolder
from tilewise.store import Damage, Manifest, remove_damaged, verify, write_text

StagesOf = Callable[[Mapping[str, Any], Path | None], SharedStages]


@dataclass(frozen=True)
class RunRepair:
    """What became of the damaged files of a run.

    Attributes:
        damage: as `verify` listed it before.
        remade: files that have the bytes again that they once had.
        differing: files of other bytes than before, damaged or not: another tilewise, library or machine made them.
        lost: files that training does not make; `tilewise curve` makes `learning_curve.json` again.
        copies: copies of damaged files that a person may have edited, by the file.
    """

    damage: tuple[Damage, ...] = ()
    remade: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    copies: Mapping[str, Path] = field(default_factory=dict)


def repair_run(folder: RunFolder, stages_of: StagesOf) -> RunRepair:
    """Remove what is damaged and train on from what is whole; nothing that a person may have edited is lost.

    Args:
        folder: of a finished run.
        stages_of: from a run's identity, and the decisions it was made with if its own table is whole, to its cohort
            and machine.

    Raises:
        UsageError: the run is not finished, was combined of others, or its cohort has changed or is not there.
        ArtifactError: nothing says any more what the run was made from.
    """
    with folder.locked():
        manifest, damage = _read_damage(folder)
        if not damage:
            return RunRepair()
        identity = _identity(folder, manifest, damage)
        changed = {one.path for one in damage if one.what in {"changed", "missing"}}
    if "ensemble" in identity:
        raise UsageError(
            f"{folder.root} was combined of other runs; give its `tilewise ensemble` command again, which makes "
            "damaged files again"
        )
    recipe = parse_recipe(identity["recipe"], str(folder.identity))
    decisions = folder.audit / "decisions.csv"
    is_decided = identity.get("decisions") is not None and "audit/decisions.csv" not in changed
    shared = stages_of(identity, decisions if is_decided else None)
    _check_decisions(folder, identity, None if is_decided else shared.decisions, is_decided=is_decided)
    # Folds may have been given, as a sweep does; a U-Net is cross-fitted by folds that are cut before there are tiles.
    if "folds.json" not in changed and recipe.segment.method != "unet":
        shared.folds = Folds.read(folder.folds)
    shared.audit(recipe.audit)  # before anything is taken away: the cohort may be gone
    with folder.locked():
        again = [one for one in damage if one.path != folder.identity.name]  # that one is whole by now
        copies = remove_damaged(folder.root, again, editable=True)
        if manifest is None:
            (folder.root / "manifest.json").unlink(missing_ok=True)
    train(recipe, folder.root, shared, identity=_plain(identity))
    after = Manifest.read(folder.root).files
    before = {} if manifest is None else manifest.files
    return RunRepair(
        damage=damage,
        remade=tuple(sorted(name for name in changed & after.keys() if after[name] == before.get(name, after[name]))),
        differing=tuple(sorted(name for name in before.keys() & after.keys() if before[name] != after[name])),
        lost=tuple(sorted(changed - after.keys())),
        copies={name: path for name, path in copies.items() if path is not None},
    )


def _read_damage(folder: RunFolder) -> tuple[Manifest | None, tuple[Damage, ...]]:
    if not folder.is_finished:
        folder.require_finished()
    try:
        manifest = Manifest.read(folder.root)
    except ArtifactError:
        return None, (Damage("manifest.json", "changed"),)
    return manifest, tuple(one for one in verify(folder.root) if one.what != "unlisted")


def _identity(folder: RunFolder, manifest: Manifest | None, damage: tuple[Damage, ...]) -> dict[str, Any]:
    """What the run was made from; a damaged `run.json` is written again from its copy in the manifest."""
    if folder.identity.name in {one.path for one in damage}:
        copy = None if manifest is None else manifest.inputs.get(IDENTITY_COPY)
        if not isinstance(copy, str):
            raise ArtifactError(
                f"{folder.identity} is damaged, and this run is of a tilewise that kept no copy of it; restore it from "
                "a backup, or train into another folder"
            )
        write_text(folder.identity, copy)
    return folder.read_identity()


def _check_decisions(
    folder: RunFolder, identity: Mapping[str, Any], decisions: Path | None, *, is_decided: bool
) -> None:
    """The decisions of the run, as its own table or as the file that it was made with; or none."""
    if is_decided or identity.get("decisions") is None:
        return
    if decisions is None or digest_decisions(decisions) != identity["decisions"]:
        raise UsageError(
            f"{folder.root} was made with a table of decisions, and its own copy of them is damaged; give the very "
            "same file with --decisions"
        )


def _plain(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Without what `run.json` says of itself."""
    own = {"schema", "schema_version", "tilewise_version", "file_digest"}
    return {key: value for key, value in identity.items() if key not in own}
