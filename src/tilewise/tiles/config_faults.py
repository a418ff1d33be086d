"""Which options of the tile stage go together: none may be accepted and then ignored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# Options that only these strategies look at. `stride_px` and `min_component_px` are left out: recipes set them beside
# any strategy, so that `--set tiles.strategy=` alone is enough to compare two.
_OWNERS = {
    "overlap": ("window", "grid"),
    "window_over": ("window",),
    "component_center_most": ("component_center",),
    "component_box_min": ("component_box",),
    "component_box_min_by": ("component_box",),
    "random_views_num": ("random_views",),
    "random_views_epochs": ("random_views",),
    "random_views_seed": ("random_views",),
    "grid_min_tissue_ratio": ("grid",),
}

# Strategies whose tiles lie under the mask where there is one.
BY_MASK = frozenset({"window", "component_center", "component_box", "random_views"})


def config_faults(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    """Sentences about options that do not go together; empty where all is well.

    Args:
        config: the tile options as plain data.
        defaults: the same keys with their defaults.
    """
    strategies = config["strategy"]
    strategies = (strategies,) if isinstance(strategies, str) else tuple(strategies)
    return [*_strategy_faults(strategies, config, defaults), *_size_faults(config), *_other_faults(strategies, config)]


def _strategy_faults(
    strategies: tuple[str, ...], config: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Iterator[str]:
    if not strategies:
        yield "strategy: give at least one"
    if len(set(strategies)) < len(strategies):
        yield "strategy: each may stand there once"
    for key, owners in _OWNERS.items():
        if config[key] != defaults[key] and not set(owners) & set(strategies):
            yield f"{key} is an option of {' and '.join(owners)}; leave it out, or add the strategy"


def _size_faults(config: Mapping[str, Any]) -> Iterator[str]:
    if config["stride_px"] is not None and config["overlap"] is not None:
        yield "give stride_px or overlap, not both (--set tiles.stride_px=null takes the step out)"
    by_length = config["size_um"] is not None or config["magnification"] is not None
    if config["size_um"] is not None and config["magnification"] is not None:
        yield "give size_um or magnification, not both"
    if by_length and config["stride_px"] is not None:
        key = "size_um" if config["size_um"] is not None else "magnification"
        yield f"with {key} the step is given as overlap (--set tiles.stride_px=null takes stride_px out)"
    if not by_length and config["assumed_mpp"] is not None:
        yield "assumed_mpp is of use with size_um or magnification only"


def _other_faults(strategies: tuple[str, ...], config: Mapping[str, Any]) -> Iterator[str]:
    several = len(config["field_scales"]) > 1
    if several and "whole" in strategies:
        yield "field_scales: there is nothing around a whole slide; leave out whole, or the scales"
    if several and config["fit"] == "crop":
        yield "fit=crop would move the centre of fields that reach beyond the slide; take pad, reflect or stretch"
    if config["fit"] != "pad" and config["pad_color"] != "white":
        yield "pad_color is of use with fit=pad only"
    if config["max_tiles"] is not None and config["max_tiles"] < len(config["field_scales"]):
        yield "max_tiles has to allow for all field_scales of one tile"
    if tuple(strategies) == ("whole",) and config["max_similarity"] is not None:
        yield "max_similarity compares tiles of one slide; whole yields only one"
