"""Options of pseudo-labels: bounds, and none that would have no effect."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tilewise.training.pseudo import PseudoConfig


@pytest.mark.parametrize("option", [{"threshold": 0.8}, {"most_per_class": 3}, {"balance": True}, {"rounds": 2}])
def test_an_option_that_would_have_no_effect_is_refused_by_both_names(option: dict[str, object]) -> None:
    (name,) = option
    with pytest.raises(ValidationError, match=rf"pseudo\.{name} has no effect with pseudo\.method=none"):
        PseudoConfig.model_validate(option)
    assert getattr(PseudoConfig.model_validate({"method": "confident"} | option), name) == option[name]


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0.49}, {"threshold": 1.01}, {"rounds": 0}, {"rounds": 6}, {"most_per_class": 0}, {"x": 1}]
)
def test_bounds_are_kept(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        PseudoConfig.model_validate({"method": "confident"} | wrong)
