"""How a network is run: by rule, the same every time."""

from __future__ import annotations

import pytest

from tilewise.encoders import EncoderConfig, find_card, plan
from tilewise.encoders.plan import make_plan
from tilewise.errors import UsageError

CARD = find_card("resnet50")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    def set_up(*, openvino: bool = True, bfloat16: bool = True, cuda: bool = False) -> None:
        monkeypatch.setattr(plan, "find_spec", lambda _: object() if openvino else None)
        monkeypatch.setattr(plan, "computes_bfloat16", lambda: bfloat16)
        monkeypatch.setattr(plan, "instruction_set", lambda: "avx512_bf16" if bfloat16 else "avx2")
        monkeypatch.setattr(plan, "default_threads", lambda: 2)
        monkeypatch.setattr(plan, "_has_cuda", lambda: cuda)
        monkeypatch.setattr(plan, "_cuda_computes_bfloat16", lambda: bfloat16)

    set_up()
    return set_up


@pytest.mark.parametrize(
    ("has", "expected"),
    [
        ({}, ("openvino", "cpu", "bfloat16", 8)),
        ({"openvino": False}, ("torch", "cpu", "bfloat16", 32)),
        ({"bfloat16": False}, ("openvino", "cpu", "float32", 8)),
        ({"openvino": False, "bfloat16": False}, ("torch", "cpu", "float32", 32)),
        ({"cuda": True}, ("torch", "cuda", "bfloat16", 128)),
        ({"cuda": True, "bfloat16": False}, ("torch", "cuda", "float32", 128)),
    ],
)
def test_rule(machine, has, expected) -> None:
    machine(**has)
    chosen = make_plan(CARD, EncoderConfig(name="resnet50"))
    assert (chosen.engine, chosen.device, chosen.precision, chosen.batch_size) == expected
    assert chosen == make_plan(CARD, EncoderConfig(name="resnet50"))


def test_a_family_that_rounding_hurts_runs_in_float32(machine) -> None:
    chosen = make_plan(find_card("mobilenet_v1"), EncoderConfig(name="mobilenet_v1"))
    assert (chosen.engine, chosen.precision) == ("openvino", "float32")
    asked = EncoderConfig(name="mobilenet_v1", precision="bfloat16")
    assert make_plan(find_card("mobilenet_v1"), asked).precision == "bfloat16"


def test_what_the_config_says_is_kept(machine) -> None:
    config = EncoderConfig(name="resnet50", engine="torch", precision="float32", batch_size=5, threads=1)
    chosen = make_plan(CARD, config)
    assert (chosen.engine, chosen.precision, chosen.batch_size, chosen.threads) == ("torch", "float32", 5, 1)


def test_openvino_beside_a_gpu_runs_on_the_processor(machine) -> None:
    machine(cuda=True)
    assert make_plan(CARD, EncoderConfig(name="resnet50", engine="openvino")).device == "cpu"


def test_a_missing_engine_is_named(machine) -> None:
    machine(openvino=False)
    with pytest.raises(UsageError, match=r"tilewise\[fast\]"):
        make_plan(CARD, EncoderConfig(name="resnet50", engine="openvino"))


def test_bfloat16_is_not_silently_something_else(machine) -> None:
    machine(bfloat16=False)
    with pytest.raises(UsageError, match="does not compute in bfloat16"):
        make_plan(CARD, EncoderConfig(name="resnet50", engine="openvino", precision="bfloat16"))


def test_the_library_and_its_version_are_part_of_the_plan() -> None:
    from importlib.metadata import version

    chosen = make_plan(CARD, EncoderConfig(name="resnet50", engine="torch"))
    assert chosen.library == f"torch {version('torch')}, BatchNorm folded"
