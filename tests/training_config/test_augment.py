"""Bounds and cross-checks of the augment section."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tilewise.training.augment import AugmentConfig


def test_all_is_off_until_it_is_asked_for() -> None:
    assert AugmentConfig().is_off
    assert not AugmentConfig(vertical_flip=0.1).is_off
    for section in ("affine", "elastic", "color", "hed", "blur"):
        assert not AugmentConfig.model_validate({section: {"probability": 0.1}}).is_off
    assert not AugmentConfig.model_validate({"policy": {"kind": "aug_mix"}}).is_off


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"affine": {"scale": (1.2, 0.8)}}, r"augment\.affine\.scale: the first must not exceed the second"),
        ({"blur": {"sigma_px": (2.0, 1.0)}}, r"augment\.blur\.sigma_px"),
        (
            {"policy": {"kind": "trivial_augment", "magnitude": 5}},
            r"magnitude has no effect with `kind: trivial_augment`",
        ),
        ({"policy": {"severity": 5}}, r"severity has no effect with `kind: none`"),
        ({"policy": {"kind": "aug_mix", "operations": ("invert",)}}, "Input should be 'identity'"),
        ({"horizontal_flip": 1.5}, "less than or equal to 1"),
        ({"flip": 0.5}, "Extra inputs"),
    ],
)
def test_faults_are_named(values: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AugmentConfig.model_validate(values)
