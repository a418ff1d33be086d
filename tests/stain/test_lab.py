import numpy as np
from skimage.color import lab2rgb, rgb2lab

from tilewise.stain.lab import LabTransfer, to_lab
from tilewise.stain.strips import Scratch

GLASS = (239.0, 239.0, 239.0)


def every_colour():
    """A lattice of colours, the darkest included."""
    levels = np.r_[0:24, 24:256:9, 255].astype(np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)


def test_lab_is_that_of_scikit_image():
    rgb = every_colour()
    np.testing.assert_allclose(to_lab(rgb), rgb2lab(rgb), atol=2e-3)


def test_the_transfer_is_reinhards_where_there_is_dye():
    rgb = every_colour()
    source, target = ((60, 25, -15), (15, 8, 6), GLASS), ((52, 32, -10), (12, 9, 7), GLASS)
    out = np.empty_like(rgb)
    LabTransfer(source, target).apply(rgb, out, Scratch())
    lab = rgb2lab(rgb)
    moved = (lab - source[0]) * (np.array(target[1]) / source[1]) + target[0]
    dark = lab[..., 0] < 80
    with np.errstate(all="ignore"):
        expected = np.round(255 * np.clip(lab2rgb(moved), 0, 1))
    # Colours that no screen shows are cut off, here and there alike, but XYZ below 0 is treated otherwise.
    inside = ((expected > 0) & (expected < 255)).all(axis=-1) & dark
    assert inside.sum() > 1000
    assert np.abs(out.astype(float) - expected)[inside].max() <= 1


def test_the_same_statistics_change_nothing():
    rgb = every_colour()
    same = ((60, 25, -15), (15, 8, 6), GLASS)
    out = np.empty_like(rgb)
    LabTransfer(same, same).apply(rgb, out, Scratch())
    assert np.abs(out.astype(int) - rgb).max() <= 1


def test_glass_becomes_the_targets_glass():
    glass = np.array([[[239, 239, 239], [237, 241, 239], [242, 240, 241]]], np.uint8)
    out = np.empty_like(glass)
    LabTransfer(((60, 25, -15), (15, 8, 6), GLASS), ((40, 40, 5), (9, 20, 2), (230.0, 226.0, 231.0))).apply(
        glass, out, Scratch()
    )
    assert np.abs(out[0, 0].astype(int) - (230, 226, 231)).max() <= 1
    assert np.ptp(out.astype(int) - (230, 226, 231), axis=-1).max() <= 8
