"""Options of composed tiles: bounds, and none that would have no effect."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tilewise.training.synthesis import SynthesisConfig


@pytest.mark.parametrize("option", [{"add": "share"}, {"share": 0.5}, {"feather": 0.1}])
def test_an_option_that_would_have_no_effect_is_refused_by_both_names(option: dict[str, object]) -> None:
    (name,) = option
    with pytest.raises(ValidationError, match=rf"synthesis\.{name} has no effect with synthesis\.method=none"):
        SynthesisConfig.model_validate(option)
    assert getattr(SynthesisConfig.model_validate({"method": "texture"} | option), name) == option[name]


def test_the_seam_is_that_of_texture_alone() -> None:
    with pytest.raises(ValidationError, match=r"synthesis\.feather has no effect with synthesis\.method=mine"):
        SynthesisConfig(method="mine", feather=0.1)
    assert SynthesisConfig(method="mine", share=0.5).share == 0.5


def test_a_rare_class_is_not_made_the_commonest() -> None:
    with pytest.raises(ValidationError, match=r"synthesis\.share above 1 .* synthesis\.add=share"):
        SynthesisConfig(method="texture", share=1.5)
    assert SynthesisConfig(method="texture", add="share", share=1.5).share == 1.5


@pytest.mark.parametrize(
    "wrong", [{"share": 0.0}, {"share": 11.0}, {"feather": 0.6}, {"feather": -0.1}, {"method": "Two words"}, {"x": 1}]
)
def test_bounds_are_kept(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        SynthesisConfig.model_validate({"method": "texture", "add": "share"} | wrong)
