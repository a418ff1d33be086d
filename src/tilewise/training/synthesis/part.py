"""The train part of a fold with composed tiles among its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tilewise.errors import TrainingError
from tilewise.inference.slide_tiles import SlideTiles
from tilewise.training.networks.data import TilePart
from tilewise.training.synthesis.generator import Example, Pixels, TileGenerator
from tilewise.training.synthesis.geometry import largest_square
from tilewise.training_config.synthesis import SynthesisConfig

# A region that fills the tile, or hardly shows, has no shape to be filled.
_LEAST_INSIDE, _MOST_INSIDE = 0.05, 0.95
_LEAST_SQUARE = 1 / 8  # of the tile's side, from which a texture is seen


@dataclass(frozen=True)
class SyntheticTiles:
    """What came of it.

    Attributes:
        part: the train part with further tiles, each among those of the slide whose shape it has.
        num_added: class -> composed tiles.
        notes: classes that got none although they should.
    """

    part: TilePart
    num_added: Mapping[str, int]
    notes: tuple[str, ...]


def synthesize_part(
    part: TilePart,
    classes: Sequence[str],
    config: SynthesisConfig,
    generator: TileGenerator,
    *,
    seed: int,
    most_megabytes: float = 2000.0,
) -> SyntheticTiles:
    """Compose tiles of pairs of slides of one class, and add them to the part that is learnt from.

    A composed tile has the texture of one slide and shape and ground of another; slides are drawn first, then their
    tiles, so that a slide with many tiles is not drawn more often. It counts among the tiles of the slide whose shape
    it has: numbers of slides and their weights stay as they are. The same part, config, generator and seed give the
    same tiles.

    Args:
        part: tiles of the train part, with masks and one field of view.
        classes: in the order of class indices.
        config: how many tiles.
        generator: what makes them.
        seed: of pairs and of what the generator draws.
        most_megabytes: of composed tiles, in units of 10^6 bytes; they are held in memory.

    Raises:
        TrainingError: tiles have no masks or several fields of view, no class has two slides to make a tile of, the
            tiles take too much memory, or the generator gives tiles of another kind.
    """
    _check(part)
    labels_N = part.slide_data.labels_S[part.slide_data.tile_slide_N]
    wanted_C = num_wanted(np.bincount(labels_N, minlength=len(classes)), config)
    size = part.tiles[0].images_TSCHW[0].nbytes + part.tiles[0].images_TSCHW.shape[-1] ** 2
    if wanted_C.sum() * size > most_megabytes * 1e6:
        raise TrainingError(
            f"synthesis.share={config.share} asks for {wanted_C.sum()} tiles, {wanted_C.sum() * size / 1e6:.0f} MB, "
            f"and training.engine.cache_megabytes allows {most_megabytes:.0f}; lower the one or raise the other"
        )
    made: dict[int, list[tuple[Pixels, Pixels]]] = {}
    num_added, notes = {}, []
    for index in np.flatnonzero(wanted_C).tolist():
        pool = _Pool.of(part, index)
        if not pool.shapes:
            notes.append(
                f"class {classes[index]}: no tile was composed; it takes two train slides with a region that shows "
                "texture and an edge"
            )
            continue
        num_added[classes[index]] = int(wanted_C[index])
        for number in range(wanted_C[index]):
            rng = np.random.default_rng([seed, index, number])
            host, texture, shape = pool.draw(rng)
            made.setdefault(host, []).append(_checked(generator.make(texture, shape, rng), shape, config))
    if wanted_C.any() and not made:
        raise TrainingError(
            f"synthesis.method={config.method} has no effect on these slides: {'; '.join(notes)}; set "
            "synthesis.method=none, or cut tiles that show the edge of regions (tiles.strategy)"
        )
    return SyntheticTiles(_joined(part, made), num_added, tuple(notes))


def num_wanted(counts_C: NDArray[np.int64], config: SynthesisConfig) -> NDArray[np.int64]:
    """Tiles to compose of each class; of a class without tiles none.

    Args:
        counts_C: tiles that each class has.
        config: towards what they are filled up.
    """
    goal_C = config.share * counts_C if config.add == "share" else config.share * counts_C.max() - counts_C
    wanted_C: NDArray[np.int64] = np.where(counts_C > 0, np.rint(np.maximum(goal_C, 0.0)), 0).astype(np.int64)
    return wanted_C


@dataclass(frozen=True)
class _Pool:
    """Tiles of one class by slide: those that give a shape, and those that give a texture."""

    part: TilePart
    shapes: dict[int, list[int]]
    textures: dict[int, list[int]]

    @classmethod
    def of(cls, part: TilePart, label: int) -> _Pool:
        shapes: dict[int, list[int]] = {}
        textures: dict[int, list[int]] = {}
        for slide in np.flatnonzero(part.slide_data.labels_S == label).tolist():
            for place in part.place_N[part.slide_data.tile_slide_N == slide].tolist():
                masks_THW = part.tiles[slide].masks_THW
                assert masks_THW is not None
                inside_HW = masks_THW[place] > 0
                if _LEAST_INSIDE <= inside_HW.mean() <= _MOST_INSIDE:
                    shapes.setdefault(slide, []).append(place)
                if largest_square(inside_HW)[2] >= _LEAST_SQUARE * len(inside_HW):
                    textures.setdefault(slide, []).append(place)
        # A slide is no partner of itself.
        paired = {slide: places for slide, places in shapes.items() if textures.keys() - {slide}}
        return cls(part, paired, textures)

    def draw(self, rng: np.random.Generator) -> tuple[int, Example, Example]:
        """The slide of the shape, a texture and a shape."""
        host = int(rng.choice(list(self.shapes)))
        other = int(rng.choice([slide for slide in self.textures if slide != host]))
        shape = self._example(host, int(rng.choice(self.shapes[host])))
        return host, self._example(other, int(rng.choice(self.textures[other]))), shape

    def _example(self, slide: int, place: int) -> Example:
        tiles = self.part.tiles[slide]
        assert tiles.masks_THW is not None
        return Example(self.part.slide_data.slide_ids[slide], tiles.images_TSCHW[place, 0], tiles.masks_THW[place])


def _joined(part: TilePart, made: Mapping[int, Sequence[tuple[Pixels, Pixels]]]) -> TilePart:
    hosts = sorted(made)
    if not hosts:
        return part
    counts = [len(made[host]) for host in hosts]
    new = []
    for host in hosts:
        images, masks = (np.stack(pixels) for pixels in zip(*made[host], strict=True))
        whole = part.tiles[host]
        new.append(SlideTiles(f"{whole.key} composed", images[:, None], masks, whole.wide_CHW))
    before_N = part.slide_data.tile_slide_N
    slide_N = np.concatenate([before_N, np.repeat(np.array(hosts, dtype=np.int64), counts)])
    source_index_N = np.concatenate(
        [before_N, np.repeat(np.arange(len(hosts), dtype=np.int64) + len(part.tiles), counts)]
    )
    slide_data = replace(
        part.slide_data, features_ND=np.empty((len(slide_N), 0), dtype=np.float32), tile_slide_N=slide_N
    )
    place_N = np.concatenate([part.place_N, *(np.arange(count, dtype=np.int64) for count in counts)])
    return TilePart(slide_data, (*part.tiles, *new), place_N, source_index_N)


def _check(part: TilePart) -> None:
    for name, tiles in zip(part.slide_data.slide_ids, part.tiles, strict=True):
        if tiles.masks_THW is None:
            raise TrainingError(f"slide {name}: its tiles have no masks, and synthesis takes shapes from them")
        if tiles.images_TSCHW.shape[1] != 1:
            raise TrainingError(
                f"slide {name}: its tiles have {tiles.images_TSCHW.shape[1]} fields of view, and synthesis takes one; "
                "set synthesis.method=none or network.input=image"
            )


def _checked(made: tuple[Pixels, Pixels], shape: Example, config: SynthesisConfig) -> tuple[Pixels, Pixels]:
    for array, wanted in zip(made, (shape.image_CHW, shape.mask_HW), strict=True):
        if array.shape != wanted.shape or array.dtype != np.uint8:
            raise TrainingError(
                f"synthesis.method={config.method} made pixels {array.shape} {array.dtype} of the shape of slide "
                f"{shape.slide_id}, where {wanted.shape} uint8 is asked for; correct the generator"
            )
    return made
