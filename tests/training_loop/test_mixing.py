"""Shares of pixels, features, labels and weights are the same shares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tilewise.training_loop import Loss, LossConfig, Mix, MixConfig, Mixer, hard_targets, seeded
from tilewise.units import Size

SIZE = Size(24, 16)


def tiles(num: int = 6) -> torch.Tensor:
    """Tiles of one grey level each, (B, S, C, H, W)."""
    levels = torch.arange(num, dtype=torch.uint8) * 40
    return levels[:, None, None, None, None].expand(num, 2, 3, SIZE.height, SIZE.width).contiguous()


def mixup(alpha: float = 1.0, level: str = "tiles", **more) -> Mixer:
    return Mixer(MixConfig(level=level, mixup_alpha=alpha, **more))


def cutmix(alpha: float = 1.0) -> Mixer:
    return Mixer(MixConfig(level="tiles", mixup_alpha=0.0, cutmix_alpha=alpha))


@pytest.mark.parametrize(
    "config",
    [
        MixConfig(),
        MixConfig(level="tiles", mixup_alpha=0.0),
        MixConfig(level="features", mixup_alpha=0.0),
        MixConfig(level="tiles", probability=0.0, cutmix_alpha=1.0),
    ],
    ids=str,
)
def test_alpha_0_probability_0_and_none_are_the_identity(config: MixConfig) -> None:
    assert all(Mixer(config).draw(8, seeded(seed), size=SIZE) is None for seed in range(20))
    assert mixup().draw(1, seeded(0)) is None


def test_a_tiny_alpha_gives_one_tile_or_the_other() -> None:
    mix = mixup(1e-6).draw(64, seeded(0))
    assert (torch.minimum(mix.share_B, 1 - mix.share_B) < 1e-3).all()


@given(st.integers(0, 10**6))
def test_mixup_of_pixels_is_the_share_of_labels(seed: int) -> None:
    mix = mixup().draw(6, seeded(seed))
    images = tiles()
    mixed = mix.pixels(images)
    assert (mixed.dtype, mixed.shape) == (images.dtype, images.shape)
    labels, weights = mix.targets(torch.eye(6), torch.ones(6))
    levels = torch.arange(6) * 40.0
    np.testing.assert_allclose(mixed[:, 1, 2, 3, 4], labels @ levels, atol=0.51)
    np.testing.assert_allclose(labels.sum(dim=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(weights, 1.0, rtol=1e-6)
    torch.testing.assert_close(mix.pixels(images.float())[:, 0, 0, 0, 0], labels @ levels)
    torch.testing.assert_close(mix.features(levels[:, None].double()).float()[:, 0], labels @ levels)


@given(st.integers(0, 10**6))
def test_cutmix_labels_are_the_share_of_the_area_and_the_mask_is_cut_alike(seed: int) -> None:
    mix = cutmix().draw(6, seeded(seed), size=SIZE)
    images = tiles()
    mixed = mix.pixels(images)
    labels, _ = mix.targets(torch.eye(6), torch.ones(6))
    for index in range(6):
        shares = [(mixed[index] == 40 * other).float().mean().item() for other in range(6)]
        np.testing.assert_allclose(shares, labels[index], atol=1e-6)
    # Each mask says which tile it is of, so a pixel and its mask must say the same.
    np.testing.assert_array_equal(mix.pixels(images[:, 0, 0]), mixed[:, 0, 0])
    np.testing.assert_array_equal(mixed[:, 0], mixed[:, 1])


def test_cutmix_pastes_one_box_and_its_place_wanders() -> None:
    mix = cutmix().draw(200, seeded(1), size=SIZE)
    marks = torch.zeros(200, SIZE.height, SIZE.width)
    marks[:] = torch.arange(200.0)[:, None, None]
    pasted = (mix.pixels(marks) == mix.partner_B[:, None, None]).numpy()
    own = mix.partner_B.numpy() == np.arange(200)
    for box, share in zip(pasted[~own], mix.share_B.numpy()[~own], strict=True):
        assert box.sum() == box.any(axis=0).sum() * box.any(axis=1).sum()
        assert box.mean() == pytest.approx(1 - share, abs=1e-6)
    assert pasted[~own].any(axis=0).all()


def test_cutmix_cuts_whole_slides_of_another_size_in_the_same_place() -> None:
    mix = cutmix().draw(6, seeded(5), size=SIZE)
    wides = tiles()[:, 0].repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    expected = mix.pixels(tiles()[:, 0]).repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    np.testing.assert_array_equal(mix.pixels(wides), expected)


def test_the_loss_of_a_mixture_is_the_mixture_of_weighted_losses() -> None:
    rng = np.random.default_rng(0)
    logits, labels = torch.from_numpy(rng.normal(size=(6, 3))), torch.from_numpy(rng.integers(0, 3, 6))
    weights = torch.from_numpy(rng.uniform(0.1, 3, 6))
    mix = mixup().draw(6, seeded(3))
    loss = Loss(LossConfig())(logits, *mix.targets(hard_targets(labels, 3).double(), weights))
    cost = lambda to: nn.functional.cross_entropy(logits, labels[to], reduction="none") * weights[to]  # noqa: E731
    share = mix.share_B.double()
    expected = share * cost(torch.arange(6)) + (1 - share) * cost(mix.partner_B)
    assert loss.item() == pytest.approx(expected.mean().item(), rel=1e-6)


def test_samples_without_weight_stay_without() -> None:
    mix = Mix(torch.tensor([1, 0, 2]), torch.tensor([0.5, 1.0, 0.3]))
    targets, weights = mix.targets(torch.eye(3), torch.tensor([0.0, 0.0, 1.0]))
    assert weights.tolist() == pytest.approx([0.0, 0.0, 1.0])
    assert torch.isfinite(targets).all()
    np.testing.assert_allclose(targets.sum(dim=1), 1.0)


def test_shares_are_of_beta() -> None:
    share = mixup(0.4).draw(4000, seeded(0)).share_B.double().numpy()
    # Beta(a, a) has the variance 1 / (4 (2 a + 1)).
    assert share.mean() == pytest.approx(0.5, abs=0.02)
    assert share.var() == pytest.approx(1 / (4 * 1.8), rel=0.05)


def test_probability_and_cutmix_share_are_shares_of_the_batches() -> None:
    mixer = mixup(0.5, cutmix_alpha=1.0, probability=0.6, cutmix_share=0.25)
    mixes = [mixer.draw(4, seeded(0, batch), size=SIZE) for batch in range(1000)]
    done = [mix for mix in mixes if mix is not None]
    assert len(done) / 1000 == pytest.approx(0.6, abs=0.05)
    assert np.mean([mix.boxes_B4 is not None for mix in done]) == pytest.approx(0.25, abs=0.05)


def test_the_generator_alone_decides() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (cutmix().draw(8, seeded(7, number), size=SIZE) for number in (1, 1, 2))
    assert torch.equal(first.boxes_B4, again.boxes_B4)
    assert torch.equal(first.partner_B, again.partner_B)
    assert not torch.equal(first.boxes_B4, other.boxes_B4)
    assert torch.equal(torch.random.get_rng_state(), before)
    with pytest.raises(ValueError, match="size of the tiles"):
        cutmix().draw(8, seeded(0))
