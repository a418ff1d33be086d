"""Fixed views: how many, which, and that tile and mask move together."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tilewise.training.augment import ViewsConfig, each_view

Batch = Callable[..., tuple[torch.Tensor, torch.Tensor]]


@pytest.mark.parametrize(("kind", "num"), [("one", 1), ("flips", 4), ("turns", 4), ("dihedral", 8)])
def test_views_are_different_and_masks_move_along(kind: str, num: int, batch: Batch) -> None:
    images, masks = batch()
    config = ViewsConfig(kind=kind)
    found = list(each_view(images, masks, config))
    assert len(found) == config.num_views == num
    assert torch.equal(found[0][0], images)
    assert len({image.numpy().tobytes() for image, _ in found}) == num
    for image, mask in found:
        assert torch.equal(image[:, 0, 1], 255 - mask)
        assert image.shape == images.shape


def test_views_are_a_group_so_any_view_of_a_tile_has_the_same_views(batch: Batch) -> None:
    images, _ = batch()
    for kind in ("flips", "turns", "dihedral"):
        config = ViewsConfig(kind=kind)
        of_one = {image.numpy().tobytes() for image, _ in each_view(images, None, config)}
        for image, mask in each_view(images, None, config):
            assert mask is None
            assert {each.numpy().tobytes() for each, _ in each_view(image, None, config)} == of_one


def test_which_they_are(batch: Batch) -> None:
    images, _ = batch(width=40, height=32)
    flips = [image for image, _ in each_view(images, None, ViewsConfig(kind="flips"))]
    for found, expected in zip(flips, (images, images.flip(-1), images.flip(-2), images.flip(-1, -2)), strict=True):
        assert torch.equal(found, expected)
    turns = [image for image, _ in each_view(images, None, ViewsConfig(kind="turns"))]
    for number, found in enumerate(turns):
        assert torch.equal(found, torch.rot90(images, number, (-2, -1)))
