"""How tiles were cut, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from tilewise.reporting.text import count
from tilewise.tiles.config import TileConfig
from tilewise.tiles.window import Boxes

_FIRST_TILES = 1000
_INSTEAD = {
    "tissue": "Where a mask cannot be used, tissue found by its colour stands in for it.",
    "slide": "Where a mask cannot be used, tiles come from the whole slide.",
    "exclude": "A slide whose mask cannot be used is left out.",
}
_FITS = {
    "stretch": "distorted to a square",
    "pad": "filled up to a square",
    "reflect": "filled up with its mirror image",
    "crop": "cut to the square in its middle",
}
NAMES: dict[str, str] = {
    "window": "window",
    "component_center": "component centre",
    "component_box": "component box",
    "random_views": "random views",
    "grid": "grid",
    "whole": "whole slide",
}


def describe_tiling(config: TileConfig) -> str:
    """How tiles are cut, as a paragraph for a report."""
    return " ".join([*_strategies(config), *_shared(config)])


def _strategies(config: TileConfig) -> Iterator[str]:
    for strategy in config.strategy:
        words = _strategy(strategy, config) if strategy in NAMES else f"Tiles are cut by the plugin {strategy}"
        under = _under(config) if strategy in {"window", "component_center", "random_views"} else ""
        yield f"{words}{under}."


def _strategy(strategy: str, config: TileConfig) -> str:
    size, step = _size(config), _step(config)
    if strategy == "window":
        over = {
            "slide": "",
            "mask_box": " over the bounding box of the mask",
            "component_boxes": " over the bounding box of each region of the mask",
        }[config.window_over]
        return f"Tiles are squares of {size} on a grid of {step}{over}"
    if strategy == "grid":
        share = config.grid_min_tissue_ratio
        condition = f"at least {_percent(share)} of it is tissue" if share else "it holds any tissue"
        return f"A grid of squares of {size}, {step} apart, lies over the whole slide; a tile is kept where {condition}"
    if strategy == "component_center":
        most = config.component_center_most
        tiles = "One square tile" if most == 1 else f"Up to {most} square tiles"
        where = "is centred on each region" if most == 1 else "are centred on the parts of each region"
        return f"{tiles} of {size} {where} of the mask of {config.min_component_px} px up"
    if strategy == "component_box":
        unit = "px of length" if config.component_box_min_by == "side" else "px of area"
        return (
            f"The bounding box of each region of the mask is a tile, from {config.component_box_min} {unit} up, "
            f"{_FITS[config.fit]} of {config.size_px} px"
        )
    if strategy == "random_views":
        return f"{count(config.random_views_num, 'view')} of {size} are drawn at random around the mask"
    return f"The whole slide is one tile, {_FITS[config.fit]} of {config.size_px} px"


def _size(config: TileConfig) -> str:
    if config.side_um is None:
        return f"{config.size_px} px"
    return f"{config.side_um:g} µm, scaled to {config.size_px} px"


def _step(config: TileConfig) -> str:
    if config.side_um is not None:
        return f"{config.side_um * (1 - (config.overlap or 0.0)):g} µm"
    return f"{config.compute_stride_l0(config.size_px)} px"


def _percent(ratio: float) -> str:
    """An option as it was set, not rounded: 0.025 is `2.5 %`."""
    return f"{100.0 * ratio:g} %"


def _under(config: TileConfig) -> str:
    ratio = config.min_mask_ratio
    return f"; at least {_percent(ratio)} of a tile lies under the mask" if ratio else "; the mask touches each tile"


def _shared(config: TileConfig) -> Iterator[str]:
    if len(config.field_scales) > 1:
        around = " and ".join(f"{scale:g}" for scale in config.field_scales[1:])
        yield f"Around each tile its centre is seen in fields of {around} times its side as well."
    made_ready = [
        words
        for px, words in (
            (config.mask_closing_px, f"closed by {config.mask_closing_px} px"),
            (config.mask_dilation_px, f"grown by {config.mask_dilation_px} px"),
        )
        if px
    ]
    if made_ready:
        yield f"The mask is {' and '.join(made_ready)} first."
    if config.mask_filter != "none":
        colour = "the colour of the glass" if config.mask_filter == "background" else config.mask_filter
        yield f"What lies outside the mask is {colour}."
    filters = [
        words
        for value, words in (
            (config.min_tissue_ratio, f"with less than {_percent(config.min_tissue_ratio or 0.0)} of tissue"),
            (config.min_sharpness, f"of a sharpness below {config.min_sharpness}"),
            (config.max_similarity, f"alike another by more than {config.max_similarity}"),
        )
        if value is not None
    ]
    if filters:
        yield f"Tiles {' or '.join(filters)} are dropped."
    if config.max_tiles is not None:
        yield f"A slide has at most {config.max_tiles}."
    if config.strategy != ("whole",) or config.mask_filter != "none":
        yield _INSTEAD[config.fallback]


def overlapping(boxes: Boxes) -> bool:
    """Whether any two of a slide's first tiles overlap; rows of a grid stand together, so the first ones tell."""
    x, y, width, height = boxes[:_FIRST_TILES].T
    across = (x[:, None] < (x + width)[None]) & (x[None] < (x + width)[:, None])
    down = (y[:, None] < (y + height)[None]) & (y[None] < (y + height)[:, None])
    return int((across & down).sum()) > len(x)  # each tile overlaps itself
