"""The options of masks: what is refused."""

import pytest
from pydantic import ValidationError

from tilewise.segment import SegmentConfig


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "none", "slides": "without_mask"}, "slides has no effect"),
        ({"method": "none", "mask_threshold": 0.3}, "mask_threshold has no effect"),
        ({"method": "tissue", "mask_threshold": 0.3}, "mask_threshold has no effect"),
        ({"method": "tissue", "unet": {"epochs": 3}}, "unet has no effect"),
        ({"method": "unet", "sam": {"max_prompts": 3}}, "sam has no effect"),
        ({"method": "unet", "unet": {"weights": "w.safetensors"}}, "`init` is random"),
        ({"method": "unet", "unet": {"networks": "n", "epochs": 3}}, "as they were trained"),
        ({"method": "unet", "unet": {"input_px": 100}}, "multiple of 32"),
        ({"method": "unet", "mask_threshold": 1.0}, "less than 1"),
        ({"method": "unet", "patience": 3}, "Extra inputs"),
    ],
)
def test_what_has_no_effect_or_no_sense_is_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        SegmentConfig.model_validate(options)


def test_nothing_is_made_unless_asked_for():
    assert SegmentConfig().method == "none"


@pytest.mark.parametrize(
    ("options", "revision"),
    [
        ({}, "70c1a07f894ebb5b307fd9eaaee97b9dfc16068f"),
        ({"revision": "main"}, "main"),
        ({"checkpoint": "wanglab/medsam-vit-base"}, "main"),
        ({"checkpoint": "wanglab/medsam-vit-base", "revision": "a" * 40}, "a" * 40),
    ],
)
def test_the_default_model_is_fetched_by_its_commit_and_others_as_they_are_named(options, revision):
    assert SegmentConfig(method="sam", sam=options).sam.hub_revision == revision


def test_what_runs_of_earlier_versions_wrote_down_is_no_option_without_effect():
    assert SegmentConfig.model_validate({"method": "none", "sam": {"revision": "main"}}).sam.revision == "main"
    with pytest.raises(ValidationError, match="has no effect"):
        SegmentConfig.model_validate({"method": "none", "sam": {"revision": "other"}})
