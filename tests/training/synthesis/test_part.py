"""A train part with composed tiles: pairs of one class, as many as asked for, nothing else looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.synthesis.slides_of import CLASSES, draw, part_of
from tilewise.errors import TrainingError, UsageError
from tilewise.inference.slide_tiles import SlideTiles
from tilewise.training.networks.data import TilePart
from tilewise.training.synthesis import (
    SynthesisConfig,
    SyntheticTiles,
    find_generator,
    register_generator,
    registry,
    synthesize_part,
)
from tilewise.training.synthesis.generator import Example, Pixels
from tilewise.training.synthesis.part import num_wanted

TEXTURE = SynthesisConfig(method="texture", add="share", share=1.5)


@dataclass
class Toy:
    """Black tiles; remembers what it was given."""

    colour: int = 0
    pairs: list[tuple[str, str]] = field(default_factory=list)
    change: Callable[[Pixels], Pixels] = lambda pixels: pixels

    @property
    def signature(self) -> Mapping[str, Any]:
        return {"toy": self.colour}

    def make(self, texture: Example, shape: Example, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        self.pairs.append((texture.slide_id, shape.slide_id))
        return self.change(np.full_like(shape.image_CHW, self.colour)), shape.mask_HW


def composed(
    classes: str, config: SynthesisConfig = TEXTURE, *, seed: int = 0, toy: Any = None, **drawn: Any
) -> SyntheticTiles:
    return synthesize_part(part_of(*draw(classes, **drawn)), CLASSES, config, toy or find_generator(config), seed=seed)


def pixels(part: TilePart) -> list[torch.Tensor]:
    batch = part.batch(np.arange(len(part)))
    assert batch.masks_BHW is not None
    return [batch.images_BSCHW, batch.masks_BHW]


def test_own_tiles_stay_and_composed_ones_come_after_among_those_of_their_shape() -> None:
    before = part_of(*draw("ABAB"))
    synthetic = composed("ABAB")
    assert synthetic.num_added == {"A": 6, "B": 6}
    assert synthetic.notes == ()
    assert len(synthetic.part) == 8 + 12
    for own, now in zip(pixels(before), pixels(synthetic.part), strict=True):
        assert torch.equal(now[:8], own)
    assert synthetic.part.slide_data.slide_ids == before.slide_data.slide_ids
    assert synthetic.part.slide_data.labels_S.tolist() == before.slide_data.labels_S.tolist()
    labels_N = synthetic.part.slide_data.labels_S[synthetic.part.slide_data.tile_slide_N]
    assert np.bincount(labels_N).tolist() == [10, 10]
    # Each has the mask of a tile of the slide it counts among, and its ground.
    images, masks = pixels(synthetic.part)
    for index in range(8, 20):
        own = np.flatnonzero(before.slide_data.tile_slide_N == synthetic.part.slide_data.tile_slide_N[index])
        (twin,) = [one for one in own if torch.equal(masks[one], masks[index])]
        outside = masks[twin] == 0
        assert torch.equal(images[index, 0][:, outside], images[twin, 0][:, outside])
        assert not torch.equal(images[index], images[twin])
    assert before.tiles_index_N is None


def test_pairs_are_two_slides_of_one_class() -> None:
    toy = Toy()
    synthetic = composed("ABCABCAB", toy=toy)
    label_of = dict(zip((f"s{i}" for i in range(8)), "ABCABCAB", strict=True))
    assert len(toy.pairs) == sum(synthetic.num_added.values()) == 24
    assert all(label_of[texture] == label_of[shape] and texture != shape for texture, shape in toy.pairs)
    assert {name for pair in toy.pairs for name in pair} == set(label_of)


def test_slides_are_drawn_before_tiles() -> None:
    toy = Toy()
    composed("AAA", SynthesisConfig(method="texture", add="share", share=4.0), toy=toy, num_tiles=(40, 2, 2))
    share = np.mean([shape == "s0" for _, shape in toy.pairs])
    assert len(toy.pairs) == 176
    assert 0.2 < share < 0.47


def test_rare_classes_are_filled_up_and_the_commonest_gets_none() -> None:
    synthetic = composed("AAAABBCC", SynthesisConfig(method="texture"), num_tiles=(3, 3, 3, 3, 2, 2, 1, 1))
    assert synthetic.num_added == {"B": 8, "C": 10}
    half = composed("AAAABBCC", SynthesisConfig(method="texture", share=0.5), num_tiles=(3, 3, 3, 3, 2, 2, 1, 1))
    assert half.num_added == {"B": 2, "C": 4}


def test_the_same_seed_gives_the_same_bytes_and_another_others() -> None:
    first, again, other = (pixels(composed("ABAB", seed=seed).part) for seed in (0, 0, 1))
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


class Guarded(dict[str, SlideTiles]):
    """Slides of the train part; any other may not be asked for."""

    def __init__(self, slides: Mapping[str, SlideTiles], allowed: set[str]) -> None:
        super().__init__(slides)
        self._allowed = allowed

    def __getitem__(self, name: str) -> SlideTiles:
        assert name in self._allowed, f"{name} was looked at"
        return super().__getitem__(name)

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("all slides were gone through")


def test_nothing_but_the_train_part_is_looked_at() -> None:
    slides, labels = draw("ABABAB")
    guarded = Guarded(slides, {"s0", "s1", "s2", "s3"})
    part = TilePart.of(guarded, ("s0", "s1", "s2", "s3"), labels)
    synthetic = synthesize_part(part, CLASSES, TEXTURE, find_generator(TEXTURE), seed=0)
    alone = synthesize_part(part_of(*draw("ABAB")), CLASSES, TEXTURE, find_generator(TEXTURE), seed=0)
    assert all(torch.equal(one, two) for one, two in zip(pixels(synthetic.part), pixels(alone.part), strict=True))
    with pytest.raises(AssertionError, match="s4 was looked at"):
        TilePart.of(guarded, ("s3", "s4"), labels)


def test_composed_tiles_keep_the_view_of_the_whole_slide() -> None:
    slides, labels = draw("AABB")
    tiles = {
        name: replace(one, wide_CHW=np.full((3, 16, 16), number, np.uint8))
        for number, (name, one) in enumerate(slides.items())
    }
    synthetic = synthesize_part(part_of(tiles, labels), CLASSES, TEXTURE, Toy(), seed=0)
    batch = synthetic.part.batch(np.arange(len(synthetic.part)))
    assert batch.wides_BCHW is not None
    assert batch.wides_BCHW[:, 0, 0, 0].tolist() == synthetic.part.slide_data.tile_slide_N.tolist()


def test_a_class_without_two_slides_to_pair_is_named_and_the_others_go_on() -> None:
    synthetic = composed("AABCC", whole="C")
    assert set(synthetic.num_added) == {"A"}
    assert [note.split(":")[0] for note in synthetic.notes] == ["class B", "class C"]


def test_where_no_class_can_be_composed_it_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"synthesis\.method=texture has no effect .*class A.*tiles\.strategy"):
        composed("AAB", whole="AB")


def test_tiles_that_cannot_be_composed_are_refused() -> None:
    slides, labels = draw("AABB")
    bare = {name: replace(one, masks_THW=None) for name, one in slides.items()}
    with pytest.raises(TrainingError, match="slide s0: its tiles have no masks"):
        synthesize_part(part_of(bare, labels), CLASSES, TEXTURE, Toy(), seed=0)
    two = {name: replace(one, images_TSCHW=np.repeat(one.images_TSCHW, 2, axis=1)) for name, one in slides.items()}
    with pytest.raises(TrainingError, match="slide s0: its tiles have 2 fields of view"):
        synthesize_part(part_of(two, labels), CLASSES, TEXTURE, Toy(), seed=0)
    with pytest.raises(TrainingError, match=r"synthesis\.share=1\.5 .*cache_megabytes allows 0"):
        synthesize_part(part_of(slides, labels), CLASSES, TEXTURE, Toy(), seed=0, most_megabytes=0.01)


def test_a_balanced_train_part_is_left_as_it_is() -> None:
    part = part_of(*draw("AABB"))
    synthetic = synthesize_part(part, CLASSES, SynthesisConfig(method="texture"), Toy(), seed=0)
    assert synthetic == SyntheticTiles(part, {}, ())


@given(counts=st.lists(st.integers(0, 500), min_size=2, max_size=6).filter(any), share=st.floats(0.01, 1.0))
def test_nothing_is_made_of_nothing_and_no_class_outgrows_the_commonest(counts: list[int], share: float) -> None:
    counts_C = np.array(counts)
    for add in ("balance", "share"):
        wanted_C = num_wanted(
            counts_C, SynthesisConfig.model_validate({"method": "texture", "add": add, "share": share})
        )
        assert (wanted_C >= 0).all()
        assert (wanted_C[counts_C == 0] == 0).all()
    filled_C = counts_C + num_wanted(counts_C, SynthesisConfig(method="texture", share=share))
    assert filled_C.max() == counts_C.max()
    short_C = (counts_C > 0) & (counts_C < share * counts_C.max() - 1)
    assert (abs(filled_C - share * counts_C.max())[short_C] <= 0.5).all()


@pytest.fixture
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_REGISTERED", {})


@pytest.mark.usefixtures("_registry")
def test_a_registered_generator_makes_the_tiles() -> None:
    register_generator("toy", lambda config: Toy(colour=7 if config.share == 1.5 else 0))
    config = SynthesisConfig(method="toy", add="share", share=1.5)
    synthetic = composed("AABB", config)
    images, _ = pixels(synthetic.part)
    assert (images[8:] == 7).all()
    assert len(images) == 8 + 12
    with pytest.raises(UsageError, match="'texture' is tilewise's own"):
        register_generator("texture", lambda _: Toy())
    with pytest.raises(UsageError, match=r"synthesis\.method=other: no such tile generator; known here: texture, toy"):
        find_generator(SynthesisConfig(method="other"))


@pytest.mark.usefixtures("_registry")
def test_an_installed_package_makes_its_generator_known_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        name = "installed"

        def load(self) -> Callable[[SynthesisConfig], Toy]:
            return lambda _: Toy(colour=9)

    monkeypatch.setattr(registry, "entry_points", lambda group: [Entry()] if group == registry.ENTRY_POINTS else [])
    assert find_generator(SynthesisConfig(method="installed")).signature == {"toy": 9}


@pytest.mark.parametrize("change", [lambda image: image[:, 1:], lambda image: image.astype(np.float32)])
def test_pixels_of_another_kind_name_the_generator(change: Callable[[Pixels], Pixels]) -> None:
    with pytest.raises(TrainingError, match=r"synthesis\.method=texture made pixels .* of the shape of slide s\d"):
        composed("AABB", toy=Toy(change=change))
