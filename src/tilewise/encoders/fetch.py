"""Weights to this machine, to be used here or carried to one without internet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tilewise.encoders.card import EncoderCard
from tilewise.encoders.config import EncoderConfig
from tilewise.encoders.find_weights import check_digest, find_weights, local_weights, packaged_weights, sha256_of
from tilewise.encoders.licences import check_licence

WeightsStatus = Literal["computed", "installed", "here", "fetched"]


@dataclass(frozen=True)
class FetchedWeights:
    """Where an encoder's weights lie.

    Attributes:
        name: of the encoder.
        status: `computed` needs no weights, `installed` came with a Python package, `here` was on this machine before.
        path: of the file; None for `computed`.
        sha256: of the file.
        revision: of the hub repository, or release, that the file is from; None where it was put here by hand.
        carry_as: what the file has to be called in a folder of another machine that `$TILEWISE_WEIGHTS` names.
    """

    name: str
    status: WeightsStatus
    path: Path | None = None
    sha256: str | None = None
    revision: str | None = None
    carry_as: str | None = None


def fetch_weights(card: EncoderCard) -> FetchedWeights:
    """Get the weights of a card's pinned revision, where they are not on this machine, and check their digest.

    Raises:
        LicenceNotAccepted: the licence has to be read first; nothing is fetched before.
        EncoderUnavailable: there are no trained weights, they cannot be fetched, or the file is another one.
    """
    check_licence(card)
    if not card.is_network:
        return FetchedWeights(card.name, "computed")
    is_local = local_weights(card) is not None
    path = find_weights(card, EncoderConfig(name=card.name))
    check_digest(card, path)
    status: WeightsStatus = "here" if is_local else "fetched"
    revision = _revision(card, path, is_local=is_local)
    if path == packaged_weights(card):
        assert card.packaged is not None
        status, revision = "installed", f"{card.packaged.package} {card.packaged.version}"
    return FetchedWeights(card.name, status, path, sha256_of(path), revision, card.name + path.suffix)


def _revision(card: EncoderCard, path: Path, *, is_local: bool) -> str | None:
    if path.parent.parent.name == "snapshots":  # the hub's cache calls a folder after the commit
        return path.parent.name
    return None if is_local else card.revision
