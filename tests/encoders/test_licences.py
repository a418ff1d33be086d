"""A licence is shown first, accepted once, and remembered."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tilewise.encoders import accept_licence, cards, find_card, licence_needed, licence_text
from tilewise.encoders.licences import check_licence
from tilewise.errors import ArtifactError, EncoderUnavailable, LicenceNotAccepted
from tilewise.store import cache_dir

RESTRICTED = [card for card in cards().values() if card.gated or card.non_commercial]


@pytest.mark.parametrize("card", RESTRICTED, ids=lambda card: card.name)
def test_restricted_encoder_is_refused_until_accepted(card) -> None:
    assert licence_needed(card)
    with pytest.raises(LicenceNotAccepted) as caught:
        check_licence(card)
    assert f"tilewise encoders accept {card.name}" in str(caught.value)
    assert licence_text(card) in str(caught.value)
    accept_licence(card)
    assert not licence_needed(card)
    check_licence(card)


def test_free_encoders_ask_nothing_and_write_nothing() -> None:
    card = find_card("resnet50")
    assert not licence_needed(card)
    assert accept_licence(card) is None
    assert not cache_dir().joinpath("licences.json").exists()


def test_acceptance_is_remembered_per_encoder_and_beside_others() -> None:
    accept_licence(find_card("uni"))
    path = accept_licence(find_card("phikon"))
    assert path is not None
    assert json.loads(path.read_text())["accepted"].keys() == {"uni", "phikon"}
    assert licence_needed(find_card("uni2_h"))


def test_a_changed_licence_asks_again() -> None:
    card = find_card("h_optimus_0")
    accept_licence(card)
    assert licence_needed(replace(card, licence="CC-BY-NC-ND-4.0", non_commercial=True))


def test_the_text_says_what_matters() -> None:
    assert "Not for commercial use" in licence_text(find_card("lunit_vits16_dino"))
    text = licence_text(find_card("prov_gigapath"))
    assert "registration" in text
    assert "research use only" in text


def test_a_damaged_memory_is_named(tmp_path: Path) -> None:
    path = accept_licence(find_card("uni"))
    assert path is not None
    path.write_text("{")
    with pytest.raises(ArtifactError, match=r"licences\.json"):
        licence_needed(find_card("uni"))


def test_not_accepted_is_wrong_use_with_exit_code_2() -> None:
    assert issubclass(LicenceNotAccepted, EncoderUnavailable)
