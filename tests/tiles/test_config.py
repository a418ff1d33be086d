import pytest
from pydantic import ValidationError

from tilewise.tiles.config import TileConfig


def test_a_single_strategy_is_written_as_one_and_a_list_as_a_list():
    assert TileConfig().model_dump()["strategy"] == "window"
    assert TileConfig(strategy="whole").strategy == ("whole",)
    several = TileConfig(strategy=["component_center", "window"])
    assert several.strategy == ("component_center", "window")
    assert several.model_dump(mode="json")["strategy"] == ["component_center", "window"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strategy": ["grid", "random_views"], "random_views_num": 3, "grid_min_tissue_ratio": 0.1},
        {"size_um": 100.0, "overlap": 0.5, "assumed_mpp": 0.5, "field_scales": [1, 4]},
        {"strategy": "component_box", "fit": "reflect", "component_box_min_by": "area", "component_box_min": 9},
    ],
)
def test_what_is_written_with_every_default_is_read_again(options):
    config = TileConfig(**options)
    assert TileConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": []}, "at least one"),
        ({"strategy": ["window", "window"]}, "once"),
        ({"strategy": "windows"}, "window"),
        ({"window_over": "mask_box", "strategy": "grid"}, "window_over is an option of window"),
        ({"overlap": 0.5, "strategy": "whole"}, "overlap is an option of window and grid"),
        ({"component_center_most": 4}, "component_center_most is an option of component_center"),
        ({"component_box_min": 4}, "component_box_min is an option of component_box"),
        ({"component_box_min_by": "area"}, "component_box_min_by"),
        ({"random_views_num": 4}, "random_views_num"),
        ({"random_views_seed": 4}, "random_views_seed"),
        ({"strategy": "random_views", "random_views_balance": True}, "random_views_balance"),
        ({"grid_min_tissue_ratio": 0.1}, "grid_min_tissue_ratio"),
        ({"stride_px": 8, "overlap": 0.5}, "not both"),
        ({"size_um": 100.0, "stride_px": 8}, "overlap"),
        ({"assumed_mpp": 0.5}, "size_um or magnification only"),
        ({"size_um": 64.0, "magnification": 20.0}, "size_um or magnification, not both"),
        ({"magnification": 20.0, "stride_px": 64}, "with magnification the step is given as overlap"),
        ({"strategy": "whole", "field_scales": [1, 2]}, "nothing around a whole slide"),
        ({"fit": "crop", "field_scales": [1, 2]}, "crop"),
        ({"fit": "stretch", "pad_color": "black"}, "pad_color"),
        ({"field_scales": [1, 2, 4], "max_tiles": 2}, "max_tiles"),
        ({"strategy": "whole", "max_similarity": 0.9}, "only one"),
        ({"field_scales": [2, 1]}, "the first"),
        ({"field_scales": []}, "the first"),
        ({"field_scales": [1, 1]}, "different"),
    ],
)
def test_options_that_would_be_ignored_or_contradict_each_other_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        TileConfig(**options)


def test_a_key_that_earlier_versions_wrote_with_its_value_is_passed_over():
    assert TileConfig.model_validate({"random_views_balance": False}) == TileConfig()


def test_sizes_in_microns_need_a_scale():
    config = TileConfig(size_um=112.0, overlap=0.5)
    assert config.compute_size_l0(0.5) == 224
    assert config.compute_size_l0(None) is None
    assert config.compute_stride_l0(224) == 112
    assert TileConfig(size_um=112.0, assumed_mpp=0.25).compute_size_l0(None) == 448
    assert TileConfig(size_um=112.0, assumed_mpp=0.25).compute_size_l0(0.5) == 224
    assert TileConfig().compute_size_l0(None) == 128
