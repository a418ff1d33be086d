"""How tiles are cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)

from tilewise.plugins import PluginName
from tilewise.tiles.config_faults import config_faults

Strategy = Literal["window", "component_center", "component_box", "random_views", "grid", "whole"]
_NAME = PluginName(get_args(Strategy), "tilewise.tile_strategies")


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _plain(value: tuple[str, ...]) -> str | list[str]:
    # One strategy is written as a recipe usually spells it.
    return value[0] if len(value) == 1 else list(value)


class _OneOrSeveral:
    """JSON schema of one name or a list of several."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        names = {"enum": _NAME.names()}
        return {"anyOf": [names, {"type": "array", "items": names, "minItems": 1, "uniqueItems": True}]}


Strategies = Annotated[
    tuple[Annotated[str, _NAME], ...],
    BeforeValidator(_listed),
    PlainSerializer(_plain),
    _OneOrSeveral(),
]


class TileConfig(BaseModel):
    """Options of the tile stage. Lengths are level-0 pixels unless the name says microns.

    Every tile comes out of the stage as a square of `size_px`, whatever it covers on the slide.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: Strategies = Field(
        ("window",),
        description="One, or a list of several whose tiles are joined. window: a sliding window, kept where the mask "
        "covers enough of it; component_center: tiles centred on the connected components of the mask; component_box: "
        "the bounding box of each component; random_views: tiles around pixels of the mask drawn at random; grid: a "
        "window over the whole slide, kept where there is tissue, the mask aside; whole: the slide as one tile. "
        "Plugins have names with a dot.",
    )
    size_px: int = Field(
        128,
        ge=16,
        le=8192,
        description="Side of a tile as encoders get it; where size_um is null, also its side on the slide.",
    )
    size_um: float | None = Field(
        None,
        gt=0.0,
        le=100_000.0,
        description="Side of a tile on the slide in microns, scaled to size_px. A slide that does not know its scale "
        "is left out and named, unless assumed_mpp is given. null: tiles are cut by pixels.",
    )
    magnification: float | None = Field(
        None,
        gt=0.0,
        le=200.0,
        description="In the place of size_um: tiles are read at this objective's scale, 10 / magnification microns a "
        "pixel (40: 0.25, 20: 0.5), so that they are size_px of these wide.",
    )
    assumed_mpp: float | None = Field(
        None,
        gt=0.0,
        le=1000.0,
        description="With size_um or magnification: microns per pixel of slides whose file and table (column mpp) do "
        "not say theirs.",
    )
    stride_px: int | None = Field(
        None,
        ge=4,
        le=8192,
        description="window, grid: step of the window; null goes by overlap. Without size_um only.",
    )
    overlap: float | None = Field(
        None,
        ge=0.0,
        le=0.95,
        description="window, grid: share of a tile that it has in common with its neighbour; null is 0 where stride_px "
        "is null as well, so that tiles do not overlap.",
    )
    min_mask_ratio: float = Field(
        0.25,
        ge=0.0,
        le=1.0,
        description="window, component_center, random_views: share of a tile that the mask has to cover. 0 keeps every "
        "tile it touches.",
    )
    window_over: Literal["slide", "mask_box", "component_boxes"] = Field(
        "slide",
        description="window: where it slides. slide: over the whole slide; mask_box: over the bounding box of the "
        "mask; component_boxes: over the bounding box of each of its components.",
    )
    min_component_px: int = Field(
        64,
        ge=1,
        description="component_center, component_box, window over component_boxes: components of fewer pixels than "
        "this are passed over.",
    )
    component_center_most: int = Field(
        1,
        ge=1,
        le=256,
        description="component_center: a component of more pixels than a tile is parted, and one tile centred on each "
        "part: as many as tiles fit its area, at most this many. 1 takes the component's own centre.",
    )
    component_box_min: int = Field(
        200,
        ge=0,
        description="component_box: boxes below this are passed over; pixels of length or of area, as "
        "component_box_min_by says. 0 keeps every box.",
    )
    component_box_min_by: Literal["side", "area"] = Field(
        "side", description="component_box: component_box_min is meant for the box's longer side, or for its area."
    )
    random_views_num: int = Field(10, ge=1, le=10_000, description="random_views: tiles per slide.")
    random_views_epochs: int = Field(
        1,
        ge=0,
        le=100_000,
        description="random_views, networks on pixels: epochs that learn from the same views, before new ones are "
        "drawn and decoded; 0: the first ones all the time. Scoring, prediction and heads on features take the first "
        "ones.",
    )
    random_views_seed: int = Field(
        0, ge=0, description="random_views: seed. Each slide has views of its own (by its pixels), in each draw others."
    )
    grid_min_tissue_ratio: float = Field(
        0.5, ge=0.0, le=1.0, description="grid: share of a tile that has to be tissue. 0 keeps every tile it touches."
    )
    field_scales: tuple[float, ...] = Field(
        (1.0,),
        description="Fields around the centre of each tile, as multiples of its side on the slide; the first is 1, the "
        "tile itself. All are scaled to size_px and delivered together. Not for whole.",
    )
    fit: Literal["stretch", "pad", "reflect", "crop"] = Field(
        "pad",
        description="Where a tile is no square or reaches beyond the slide (component_box, whole, large fields, slides "
        "smaller than a tile). stretch: distorted to a square; pad: filled up to a square with pad_color; reflect: "
        "filled up with its own mirror image; crop: the square in its middle. pad and reflect never enlarge.",
    )
    pad_color: Literal["white", "black", "background"] = Field(
        "white", description="With fit=pad: the colour around a tile; background: that of the slide's own glass."
    )
    mask_closing_px: int = Field(
        0, ge=0, le=1024, description="Gaps of the mask up to twice this wide are closed before it is used."
    )
    mask_dilation_px: int = Field(0, ge=0, le=1024, description="The mask grows by this much, after closing.")
    mask_filter: Literal["none", "black", "white", "background"] = Field(
        "none",
        description="What a tile shows outside the mask (or the tissue that stands in for it): the slide, or one "
        "colour; background: that of the slide's own glass.",
    )
    min_tissue_ratio: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="Blank tiles: those with a smaller share of tissue are dropped; null keeps all.",
    )
    min_sharpness: float | None = Field(
        None,
        gt=0.0,
        le=2.0,
        description="Blurred tiles: those whose finest detail is less than this share of the next coarser are dropped "
        "(in focus 0.45 to 1.3, below 0.3 hopeless); null keeps all.",
    )
    max_similarity: float | None = Field(
        None,
        gt=0.0,
        lt=1.0,
        description="Near-duplicates: a tile that correlates with an earlier one of its slide by more than this is "
        "dropped (0.98, say); null drops only tiles of the same place.",
    )
    max_tiles: int | None = Field(
        None, ge=1, description="At most this many tiles per slide, spread evenly over it; null keeps all."
    )
    fallback: Literal["tissue", "slide", "exclude"] = Field(
        "tissue",
        description="What becomes of a slide whose mask is missing, empty or yields no tile. tissue: where no box "
        "of the mask reaches component_box_min, its largest one is taken; where no window reaches min_mask_ratio, "
        "those with at least half as much mask as the fullest one; otherwise tissue found by optical density stands "
        "in for the mask, and the whole slide where that yields no tile either; slide: the whole slide does; "
        "exclude: the slide is left out and named.",
    )

    @field_validator("field_scales")
    @classmethod
    def _scales(cls, scales: tuple[float, ...]) -> tuple[float, ...]:
        if not scales or scales[0] != 1.0:
            raise ValueError("the first of field_scales is 1, the tile itself; [1, 2, 4] for example")
        if len(scales) > 8 or len(set(scales)) < len(scales) or not all(0.05 <= scale <= 64 for scale in scales):
            raise ValueError("field_scales are at most 8 different numbers from 0.05 to 64")
        return scales

    @model_validator(mode="before")
    @classmethod
    def _without_former_keys(cls, values: Any) -> Any:
        """Runs of earlier versions name every key with its value."""
        if isinstance(values, Mapping) and values.get("random_views_balance") is False:
            return {key: value for key, value in values.items() if key != "random_views_balance"}
        return values

    @model_validator(mode="after")
    def _combination(self) -> Self:
        faults = config_faults(
            self.model_dump(), {name: field.default for name, field in type(self).model_fields.items()}
        )
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def side_um(self) -> float | None:
        """Side of a tile on the slide in microns; None where tiles are cut by pixels."""
        return self.size_um if self.magnification is None else self.size_px * 10.0 / self.magnification

    def compute_size_l0(self, mpp: float | None) -> int | None:
        """`size_px` on a slide of so many microns per pixel, in its level-0 pixels; None where that is unknown."""
        if self.side_um is None:
            return self.size_px
        mpp = self.assumed_mpp if mpp is None else mpp
        return None if mpp is None else max(1, round(self.side_um / mpp))

    def compute_stride_l0(self, size_l0: int) -> int:
        """Step of a window of this size, both in level-0 pixels."""
        if self.stride_px is not None:
            return self.stride_px
        return max(1, round(size_l0 * (1.0 - (self.overlap or 0.0))))
