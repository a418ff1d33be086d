"""The encoder's part of a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tilewise.encoders import EncoderConfig


def test_the_default_needs_no_download() -> None:
    assert EncoderConfig().name == "texture"


@pytest.mark.parametrize(
    "fields",
    [
        {"nmae": "texture"},
        {"engine": "onnx"},
        {"batch_size": 0},
        {"threads": 0},
        {"precision": "int8"},
        {"init": "zero"},
    ],
)
def test_mistakes_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EncoderConfig.model_validate(fields)


def test_random_weights_have_no_file() -> None:
    with pytest.raises(ValidationError, match="init` is random"):
        EncoderConfig(name="resnet18", init="random", weights=Path("a.pth"))


def test_every_field_says_what_it_means() -> None:
    for name, field in EncoderConfig.model_fields.items():
        assert field.description, name
