"""From tiles to slides: means over tiles and views, and nothing of one slide in another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.one_thread import one_thread  # noqa: F401 - used by every test here
from tests.training.networks.drawn import CLASSES, cnn, draw_slide
from tilewise.errors import UsageError
from tilewise.execution import Failure
from tilewise.inference import network as inference
from tilewise.inference.network import InferenceOptions, predict_slides, tile_batch
from tilewise.inference.slide_tiles import SlideTiles
from tilewise.models import HeadConfig
from tilewise.models.networks import NetworkModel, TileBatch
from tilewise.models.views import ViewsConfig

View = Callable[[np.ndarray], np.ndarray]

GONE = Failure("gone", "tiles", "SlideUnreadable", "gone: no such file")


@dataclass(frozen=True)
class InMemoryStore:
    """Slides that are decoded already, in place of a store."""

    slides: Mapping[str, SlideTiles | Failure]

    def each(self, slide_ids: Sequence[str]) -> Iterator[tuple[str, SlideTiles | Failure]]:
        for name in slide_ids:
            yield name, self.slides[name]


def model(seed: int = 0, **network: Any) -> NetworkModel:
    """A network whose head says something: it starts at zero."""
    made = cnn(HeadConfig(kind="mlp", hidden_sizes=(8,)), seed=seed, **network)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return NetworkModel.of(made.eval(), CLASSES)


def slides(*nums: int, seed: int = 0, **options: Any) -> dict[str, SlideTiles]:
    rng = np.random.default_rng(seed)
    return {
        f"s{index}": draw_slide(index % 2, rng, num_tiles=num, signal="mask", **options)
        for index, num in enumerate(nums)
    }


def softmax_of(one: NetworkModel, images: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
    """By the network itself, in float64, tile by tile."""
    batch = TileBatch(torch.from_numpy(images.copy()), None if masks is None else torch.from_numpy(masks.copy()))
    with torch.inference_mode():
        logits = one.build()(batch).double().numpy()
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def test_a_slide_is_the_mean_over_its_tiles_by_each_network() -> None:
    tiles_by_slide, models = slides(3, 1, 5), [model(0), model(1)]
    prediction = predict_slides(models, InMemoryStore(tiles_by_slide), list(tiles_by_slide))
    assert prediction.slide_ids == ("s0", "s1", "s2")
    assert prediction.num_tiles_S.tolist() == [3, 1, 5]
    assert prediction.probabilities_MSC.shape == (2, 3, 2)
    for member, one in enumerate(models):
        for row, tiles in enumerate(tiles_by_slide.values()):
            expected = softmax_of(one, tiles.images_TSCHW, None).mean(axis=0)
            np.testing.assert_allclose(prediction.probabilities_MSC[member, row], expected, atol=1e-5)
    assert np.ptp(prediction.probabilities_MSC[:, :, 0]) > 0.01


def turned(num_turns: int, *, flipped: bool = False) -> View:
    return lambda pixels: np.rot90(pixels[..., ::-1] if flipped else pixels, num_turns, (-2, -1))


VIEWS: dict[str, list[View]] = {
    "flips": [lambda a: a, lambda a: a[..., ::-1], lambda a: a[..., ::-1, :], lambda a: a[..., ::-1, ::-1]],
    "turns": [turned(num_turns) for num_turns in range(4)],
    "dihedral": [turned(num_turns, flipped=flipped) for num_turns in range(4) for flipped in (False, True)],
}


@pytest.mark.parametrize("kind", VIEWS)
def test_views_are_averaged_and_masks_turn_with_their_tiles(kind: str) -> None:
    tiles_by_slide, one = slides(3), model(input="mask_channel", mask_weights="mean")
    # What is dark and what is masked is one corner: looked at apart, they would not meet.
    tiles_by_slide["s0"].images_TSCHW[..., :20, :12] //= 8
    tiles_by_slide["s0"].masks_THW[...] = 0
    tiles_by_slide["s0"].masks_THW[:, :20, :12] = 255
    prediction = predict_slides(
        [one], InMemoryStore(tiles_by_slide), ["s0"], InferenceOptions(ViewsConfig(kind=kind))
    ).probabilities_MSC[0, 0]
    tiles = tiles_by_slide["s0"]
    by_view = [softmax_of(one, view(tiles.images_TSCHW), view(tiles.masks_THW)) for view in VIEWS[kind]]
    np.testing.assert_allclose(prediction, np.mean(by_view, axis=(0, 1)), atol=1e-5)
    plain = predict_slides([one], InMemoryStore(tiles_by_slide), ["s0"]).probabilities_MSC[0, 0]
    assert np.abs(prediction - plain).max() > 1e-4
    apart = [softmax_of(one, view(tiles.images_TSCHW), tiles.masks_THW) for view in VIEWS[kind]]
    assert np.abs(prediction - np.mean(apart, axis=(0, 1))).max() > 1e-4


def test_seen_from_all_sides_a_turned_slide_is_the_same() -> None:
    tiles_by_slide, one = slides(4, has_wide=True), model(input="dual_stream")
    tiles = tiles_by_slide["s0"]
    quarter = replace(
        tiles,
        images_TSCHW=np.rot90(tiles.images_TSCHW, 1, (-2, -1)).copy(),
        wide_CHW=np.rot90(tiles.wide_CHW, 1, (-2, -1)).copy(),
    )
    both = InMemoryStore({"s0": tiles, "quarter": quarter})
    for kind, same in (("one", False), ("dihedral", True)):
        prediction = predict_slides(
            [one], both, ["s0", "quarter"], InferenceOptions(ViewsConfig(kind=kind))
        ).probabilities_MSC[0]
        assert (np.abs(prediction[0] - prediction[1]).max() < 1e-6) == same


def test_a_slide_depends_on_nothing_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    tiles_by_slide, one = slides(37, 1, 5), model()
    whole = predict_slides([one], InMemoryStore(tiles_by_slide), ["s0", "s1", "s2"]).probabilities_MSC[0]
    alone = [
        predict_slides([one], InMemoryStore(tiles_by_slide), [name]).probabilities_MSC[0, 0]
        for name in ("s2", "s0", "s1")
    ]
    assert np.array_equal(np.stack(alone), whole[[2, 0, 1]])
    monkeypatch.setattr(inference, "_CHUNK", 16)
    assert np.array_equal(
        predict_slides([one], InMemoryStore(tiles_by_slide), list(tiles_by_slide)).probabilities_MSC[0], whole
    )


def test_slides_that_cannot_be_read_are_named_and_pictures_left_alone_counted() -> None:
    tiles_by_slide = slides(2, 2)
    tiles_by_slide["s1"] = replace(tiles_by_slide["s1"], num_unnormalised=2)
    prediction = predict_slides([model()], InMemoryStore({**tiles_by_slide, "gone": GONE}), ["s0", "gone", "s1"])
    assert (prediction.slide_ids, prediction.failures) == (("s0", "s1"), (GONE,))
    assert prediction.num_unnormalised_S.tolist() == [0, 2]
    nothing = predict_slides([model()], InMemoryStore({"gone": GONE}), ["gone"])
    assert nothing.probabilities_MSC.shape == (1, 0, 2)


def test_a_batch_of_a_slide_has_what_belongs_to_its_tiles() -> None:
    tiles = slides(5, has_wide=True)["s0"]
    batch = tile_batch(tiles, np.array([4, 1]))
    assert np.array_equal(batch.images_BSCHW.numpy(), tiles.images_TSCHW[[4, 1]])
    assert np.array_equal(batch.masks_BHW.numpy(), tiles.masks_THW[[4, 1]])
    assert np.array_equal(batch.wides_BCHW.numpy(), np.stack([tiles.wide_CHW] * 2))
    assert not np.shares_memory(batch.images_BSCHW.numpy(), tiles.images_TSCHW)


def test_a_graphics_card_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="sees no graphics card"):
        predict_slides([model()], InMemoryStore(slides(1)), ["s0"], InferenceOptions(device="cuda"))
