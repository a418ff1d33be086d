"""Licences that have to be read first: what they say, and which the user of this machine has accepted.

Acceptance is remembered in `licences.json` in the cache folder, per encoder and licence, so that a card whose licence
changes asks again. Nothing is accepted by importing, configuring or running: only `accept_licence` does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tilewise.encoders.card import EncoderCard
from tilewise.errors import LicenceNotAccepted
from tilewise.store import cache_dir, digest_config, read_json, write_json

_SCHEMA = "tilewise.licences"
_VERSION = 1


@dataclass(frozen=True)
class Licence:
    """A licence in a few sentences; the text at `address` is what binds.

    Attributes:
        title: its name.
        address: where it can be read; empty where it stands on the card's own page.
        summary: what matters to somebody about to use the encoder.
    """

    title: str
    address: str
    summary: str


LICENCES = {
    "Apache-2.0": Licence(
        "Apache License 2.0",
        "https://www.apache.org/licenses/LICENSE-2.0",
        "Any use is allowed, commercial use too; keep the notices.",
    ),
    "BSD-3-Clause": Licence(
        "BSD 3-Clause License",
        "https://github.com/pytorch/vision/blob/main/LICENSE",
        "Any use is allowed, commercial use too; keep the copyright notice.",
    ),
    "CC-BY-NC-ND-4.0": Licence(
        "Creative Commons Attribution-NonCommercial-NoDerivatives 4.0",
        "https://creativecommons.org/licenses/by-nc-nd/4.0/legalcode",
        "No commercial use. Changed versions, such as a fine-tuned network, must not be passed on. Name the authors.",
    ),
    "Lunit-Public-License": Licence(
        "Lunit Inc. Public License for Benchmarking Self-supervised Learning on Diverse Pathology Datasets",
        "https://github.com/lunit-io/benchmark-ssl-pathology/blob/main/LICENSE",
        "No commercial use, and no use in connection with a patent application. Weights and what is derived from them "
        "may be shared for non-commercial purposes, with attribution and this licence.",
    ),
    "Owkin-non-commercial": Licence(
        "Owkin non-commercial licence",
        "https://github.com/owkin/HistoSSLscaling/blob/main/LICENSE.txt",
        "Research by non-profit entities only; no commercial use, and none in connection with a patent application. "
        "What is derived from the weights, and results obtained with them, are bound by it too.",
    ),
    "GPL-3.0-academic": Licence(
        "GNU General Public License 3, for non-commercial academic purposes",
        "https://www.gnu.org/licenses/gpl-3.0.html",
        "The authors release their work under GPL-3.0 and make it available for non-commercial academic purposes. "
        "tilewise contains none of it; what you distribute together with the weights may fall under the GPL.",
    ),
    "KimiaNet-End-User-Agreement": Licence(
        "KimiaNet End User Agreement",
        "https://github.com/KimiaLabMayo/KimiaNet/blob/main/agreement.pdf",
        "Read the agreement before the weights are used; they come without any guarantee.",
    ),
}


def licence_of(card: EncoderCard) -> Licence:
    """The licence a card names; a plugin's may be one of which nothing is known here."""
    unknown = Licence(card.licence, card.address or "", "tilewise does not know this licence; read it first.")
    return LICENCES.get(card.licence, unknown)


def licence_text(card: EncoderCard) -> str:
    """What a user has to have seen before accepting, in a few lines."""
    licence = licence_of(card)
    lines = [f"{card.name}: {licence.title}", licence.summary, licence.address and f"Full text: {licence.address}"]
    if card.gated:
        lines.append(f"The weights are given after registration at {card.address}; that page may hold further terms.")
        lines.append(card.notes)
    if card.non_commercial:
        lines.append("Not for commercial use.")
    return "\n".join(filter(None, lines))


def licence_needed(card: EncoderCard) -> bool:
    """Whether the licence still has to be accepted on this machine."""
    return (card.gated or card.non_commercial) and _accepted().get(card.name, {}).get("terms") != _terms(card)


def accept_licence(card: EncoderCard) -> Path | None:
    """Remember that the user has read and accepted the licence of this card.

    Returns:
        The file it is remembered in; None where the card asks for no acceptance.
    """
    if not (card.gated or card.non_commercial):
        return None
    entry = {
        "licence": card.licence,
        "terms": _terms(card),
        "accepted": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    accepted = _accepted() | {card.name: entry}
    write_json(_file(), {"accepted": accepted}, schema=_SCHEMA, version=_VERSION)
    return _file()


def check_licence(card: EncoderCard) -> None:
    """Let pass what is free or accepted.

    Raises:
        LicenceNotAccepted: with what the licence says, and the command that accepts it.
    """
    if licence_needed(card):
        raise LicenceNotAccepted(
            f"encoder {card.name}: its licence has to be read and accepted first.\n{licence_text(card)}\n"
            f"To accept it: tilewise encoders accept {card.name}"
        )


def _terms(card: EncoderCard) -> str:
    licence = licence_of(card)
    return digest_config([licence.title, licence.address, card.gated, card.non_commercial])


def _accepted() -> dict[str, Any]:
    if not _file().is_file():
        return {}
    accepted = read_json(_file(), schema=_SCHEMA, version=_VERSION).get("accepted")
    return accepted if isinstance(accepted, dict) else {}


def _file() -> Path:
    return cache_dir() / "licences.json"
