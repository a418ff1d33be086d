"""All tiles of one slide as a network on pixels is shown them, decoded once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.cohort import AuditedSlide
from tilewise.encoders import EncoderConfig, find_card
from tilewise.errors import RecipeError
from tilewise.models.networks import NetworkConfig
from tilewise.slides import SlideReader, open_slide
from tilewise.stain.normalise import AnyNormaliser, TileNormaliser
from tilewise.store import digest_bytes, digest_config
from tilewise.tiles.config import TileConfig
from tilewise.tiles.cut_tiles import cut_mask_tiles, cut_tiles
from tilewise.tiles.plan import plan_tiles
from tilewise.tiles.region import Region, SlideRegions
from tilewise.tiles.rows import TileRows
from tilewise.tiles.strategies import TileRequest
from tilewise.tiles.window import Frame, Mask

Pixels = npt.NDArray[np.uint8]

_CODE_VERSION = 1
_WHITE = 255
# These cut without looking at the mask, which is there all the same.
_MASK_ASIDE = ("grid", "whole")


@dataclass(frozen=True)
class InputSpec:
    """What a network is shown of a tile.

    Attributes:
        num_fields: fields of view around one place that make one tile; 1 takes every field as a tile of its own.
        masks: whether it takes the mask beside the tile.
        wide_px: side of the square that the whole slide is shown in; None where it is not shown.
    """

    num_fields: int = 1
    masks: bool = False
    wide_px: int | None = None

    @classmethod
    def by(cls, network: NetworkConfig, encoder: EncoderConfig, tile_config: TileConfig) -> Self:
        """What the network of a recipe is shown.

        Raises:
            RecipeError: it takes another number of fields of view than tiles are cut with.
        """
        num_fields = network.num_fields if network.input == "multi_scale" else 1
        if network.input == "multi_scale" and num_fields != len(tile_config.field_scales):
            raise RecipeError(
                f"network.num_fields: the network takes {num_fields} fields of view and tiles are cut with "
                f"{len(tile_config.field_scales)} (tiles.field_scales: {list(tile_config.field_scales)}); make them "
                f"the same"
            )
        side = network.input_px or find_card(encoder.name).input_px
        return cls(
            num_fields=num_fields,
            masks=network.input in ("mask_channel", "dual_branch"),
            wide_px=side if network.input == "dual_stream" else None,
        )


@dataclass(frozen=True)
class SlideTiles:
    """The T tiles of one slide; uint8, channels before rows.

    Attributes:
        key: digest of everything the pixels follow from.
        images_TSCHW: S fields of view of each tile, RGB.
        masks_THW: 255 inside the region; None where the network takes none.
        wide_CHW: the whole slide, filled up with white to a square; None likewise.
        num_unnormalised: pictures that keep their own colours although each was to be normalised by itself.
    """

    key: str
    images_TSCHW: Pixels
    masks_THW: Pixels | None = None
    wide_CHW: Pixels | None = None
    num_unnormalised: int = 0

    def __len__(self) -> int:
        return len(self.images_TSCHW)


@dataclass(frozen=True)
class TileSource:
    """What the tiles of one slide are made from.

    Attributes:
        slide: whose tiles.
        rows: all of them, as they were planned; fields of one place together.
        tile_config: that they were planned with.
        input_spec: what the network is shown of them.
        stain: what its pixels are normalised by, an object of the slide's own; None leaves them as they are.
    """

    slide: AuditedSlide
    rows: TileRows
    tile_config: TileConfig
    input_spec: InputSpec
    stain: AnyNormaliser | None = None

    def __len__(self) -> int:
        """T."""
        return len(self.rows) // self.input_spec.num_fields

    @property
    def num_bytes(self) -> int:
        """Of the tiles once they are decoded."""
        pixels = self.tile_config.size_px**2
        num_wide = 3 * (self.input_spec.wide_px or 0) ** 2
        return len(self) * pixels * (3 * self.input_spec.num_fields + self.input_spec.masks) + num_wide

    @property
    def key(self) -> str:
        """Digest of everything the pixels follow from: slide, tiles, how they are read, normalised and shown."""
        tile_config, rows = self.tile_config, self.rows
        reading = {name: getattr(tile_config, name) for name in ("size_px", "fit", "pad_color", "mask_filter")}
        if self.input_spec.masks or tile_config.mask_filter != "none":
            reading |= {name: getattr(tile_config, name) for name in ("mask_closing_px", "mask_dilation_px")}
            reading["regions"] = [rows.region.tolist(), self.slide.use_mask]
        where = [digest_bytes(rows.boxes.tobytes()), digest_bytes(rows.fields.tobytes()), rows.padding.tolist()]
        input_spec = [self.input_spec.num_fields, self.input_spec.masks, self.input_spec.wide_px]
        changes = [self.stain.signature] if self.stain is not None and self.stain.signature["method"] != "none" else []
        return digest_config([self.slide.content, where, reading, input_spec, _CODE_VERSION, *changes])

    def redrawn(self, draw: int) -> TileSource:
        """The same slide with other random views; as it is where they yield no tile.

        Args:
            draw: number of the views, as `TileRequest.epoch`; these are of 0.

        Raises:
            SlideError: the slide or its mask cannot be read.
        """
        rows = plan_tiles(TileRequest(self.slide, self.tile_config, draw)).rows
        return replace(self, rows=rows) if len(rows) else self

    def decode(self) -> SlideTiles:
        """Decode the slide and cut all of its tiles.

        Raises:
            SlideError: the slide or its mask cannot be read.
            ValueError: a place has another number of fields than the network is shown.
        """
        rows, input_spec, tile_config = self.rows, self.input_spec, self.tile_config
        if input_spec.num_fields > 1 and not np.array_equal(
            rows.scale, np.tile(np.arange(input_spec.num_fields), len(self))
        ):
            raise ValueError(f"{self.slide.slide_id}: its tiles have not {input_spec.num_fields} fields of view each")
        with _opened(self.slide) as reader:
            masks = self._masks(reader)
            before = _num_left(self.stain)
            tiles_NHWC = cut_tiles(reader, rows, tile_config, masks, stain=self.stain)
            wide_CHW = self._wide(reader) if input_spec.wide_px else None
            num_unnormalised = _num_left(self.stain) - before
        images = np.ascontiguousarray(tiles_NHWC.transpose(0, 3, 1, 2))
        return SlideTiles(
            self.key,
            images.reshape(len(self), input_spec.num_fields, *images.shape[1:]),
            cut_mask_tiles(
                self._masked_rows[:: input_spec.num_fields], tile_config, masks, Frame.of_slide(self.slide.size)
            )
            if input_spec.masks
            else None,
            wide_CHW,
            num_unnormalised,
        )

    @property
    def _masked_rows(self) -> TileRows:
        """The tiles with the region that the network is shown beside each."""
        aside = np.isin(self.rows.strategy.astype(str), _MASK_ASIDE) & self.slide.use_mask & self.input_spec.masks
        return replace(self.rows, region=np.where(aside, "mask", self.rows.region))

    def _masks(self, reader: SlideReader) -> dict[str, Mask]:
        if not self.input_spec.masks and self.tile_config.mask_filter == "none":
            return {}
        regions = SlideRegions(self.slide, self.tile_config, reader=reader)
        tiles_or_failure: list[Region] = sorted(
            {*self.rows.region.tolist(), *self._masked_rows.region.tolist()} - {"slide"}
        )
        return {region: regions[region] for region in tiles_or_failure}

    def _wide(self, reader: SlideReader) -> Pixels:
        """The slide in the middle of a white square, at the scale at which its longer side fills it."""
        side = self.input_spec.wide_px
        assert side is not None
        rgb_HWC = reader.thumbnail(side)
        scale = side / max(rgb_HWC.shape[:2])
        if scale > 1.0:
            width, height = (max(1, round(length * scale)) for length in (rgb_HWC.shape[1], rgb_HWC.shape[0]))
            rgb_HWC = cv2.resize(rgb_HWC, (width, height), interpolation=cv2.INTER_LINEAR)
        if self.stain is not None:
            rgb_HWC = self.stain.of(rgb_HWC).apply(rgb_HWC)
        square = np.full((side, side, 3), _WHITE, dtype=np.uint8)
        top, left = ((side - length) // 2 for length in rgb_HWC.shape[:2])
        square[top : top + rgb_HWC.shape[0], left : left + rgb_HWC.shape[1]] = rgb_HWC
        return np.ascontiguousarray(square.transpose(2, 0, 1))


@contextmanager
def _opened(slide: AuditedSlide) -> Iterator[SlideReader]:
    # The audit has let this size pass.
    with open_slide(slide.slide.path, max_pixels=slide.size.area) as reader:
        yield reader


def _num_left(stain: AnyNormaliser | None) -> int:
    return stain.num_unnormalised if isinstance(stain, TileNormaliser) else 0
