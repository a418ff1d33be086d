"""Fixed views: how many, which, and that tile and mask move together."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from tilewise.models.views import ViewsConfig, each_view


def draw(width: int = 48, height: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
    """Tiles of two fields whose green channel is 255 - mask."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(60, 230, (6, 2, 3, height, width), generator=generator, dtype=torch.uint8)
    masks = 255 * torch.randint(0, 2, (6, height, width), generator=generator, dtype=torch.uint8)
    images[:, :, 1] = 255 - masks[:, None]
    return images, masks


@pytest.mark.parametrize(("kind", "num"), [("one", 1), ("flips", 4), ("turns", 4), ("dihedral", 8)])
def test_views_are_different_and_masks_move_along(kind: str, num: int) -> None:
    images, masks = draw()
    config = ViewsConfig(kind=kind)
    augmented = list(each_view(images, masks, config))
    assert len(augmented) == config.num_views == num
    assert torch.equal(augmented[0][0], images)
    assert len({image.numpy().tobytes() for image, _ in augmented}) == num
    for image, mask in augmented:
        assert torch.equal(image[:, 0, 1], 255 - mask)
        assert image.shape == images.shape


def test_views_are_a_group_so_any_view_of_a_tile_has_the_same_views() -> None:
    images, _ = draw()
    for kind in ("flips", "turns", "dihedral"):
        config = ViewsConfig(kind=kind)
        of_one = {image.numpy().tobytes() for image, _ in each_view(images, None, config)}
        for image, mask in each_view(images, None, config):
            assert mask is None
            assert {each.numpy().tobytes() for each, _ in each_view(image, None, config)} == of_one


def test_which_they_are() -> None:
    images, _ = draw(width=40, height=32)
    flips = [image for image, _ in each_view(images, None, ViewsConfig(kind="flips"))]
    for augmented, expected in zip(flips, (images, images.flip(-1), images.flip(-2), images.flip(-1, -2)), strict=True):
        assert torch.equal(augmented, expected)
    views = [image for image, _ in each_view(images, None, ViewsConfig(kind="turns"))]
    for number, augmented in enumerate(views):
        assert torch.equal(augmented, torch.rot90(images, number, (-2, -1)))


def test_the_config_needs_no_torch() -> None:
    code = "import sys; from tilewise.models.views import ViewsConfig; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
