import numpy as np
import pytest

from tilewise.encoders.texture.nuclei import NAMES, nuclei
from tilewise.encoders.texture.planes import separate


def described(tile):
    return dict(zip(NAMES, nuclei([separate(tile)])[0], strict=True))


def lattice(step):
    return [(x, y) for x in range(step // 2, 224, step) for y in range(step // 2, 224, step)]


def test_number_size_and_spacing_of_a_lattice(nuclei_tile):
    centres = lattice(32)
    features = described(nuclei_tile(centres, 6))
    assert np.expm1(features["nuclei.number"]) * 224**2 / 1e4 == pytest.approx(len(centres))
    assert np.exp(features["nuclei.log_area.mean"]) == pytest.approx(np.pi * 36, rel=0.15)
    assert features["nuclei.log_area.spread"] < 0.05
    assert np.exp(features["nuclei.spacing.third"]) == pytest.approx(32, rel=0.15)
    assert np.exp(features["nuclei.spacing.relative"]) == pytest.approx(32 / 12, rel=0.1)
    assert features["nuclei.area_fraction"] == pytest.approx(len(centres) * np.pi * 36 / 224**2, rel=0.15)


def test_denser_larger_and_darker_are_seen(nuclei_tile, stain):
    base, denser, larger = (described(nuclei_tile(lattice(step), radius)) for step, radius in
                            ((40, 5), (24, 5), (40, 9)))  # fmt: skip
    assert denser["nuclei.number"] > base["nuclei.number"] + 0.5
    assert denser["nuclei.spacing.third"] < base["nuclei.spacing.third"] - 0.3
    assert larger["nuclei.log_area.mean"] == pytest.approx(base["nuclei.log_area.mean"] + np.log(81 / 25), abs=0.2)
    assert larger["nuclei.peak_radius.mean"] > base["nuclei.peak_radius.mean"] + 0.4
    assert base["nuclei.contrast.hematoxylin"] > 1.5
    assert base["nuclei.contrast.grey"] < -1.5


def test_two_sizes_spread_and_drawn_out_nuclei_are_aligned(stain):
    y, x = np.mgrid[:224, :224]

    def ellipses(angle_of):
        density = np.full((224, 224), 0.05)
        for index, (cx, cy) in enumerate(lattice(45)):
            angle = angle_of(index)
            along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
            across = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
            density[(along / 12) ** 2 + (across / 4) ** 2 <= 1] = 0.8
        return described(stain(density, 0.2))

    parallel, turned = ellipses(lambda _: 0.6), ellipses(lambda index: index * np.pi / 5)
    assert parallel["nuclei.alignment"] > 0.95
    assert turned["nuclei.alignment"] < 0.3
    assert parallel["nuclei.eccentricity.mean"] == pytest.approx(np.sqrt(1 - 1 / 9), abs=0.04)
    assert parallel["nuclei.fill.mean"] == pytest.approx(1, abs=0.05)
    assert parallel["nuclei.compactness.mean"] < -0.2


def test_uneven_nuclei_differ_between_and_speckled_ones_within(nuclei_tile, stain):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:224, :224]
    even, uneven, speckled = (np.full((224, 224), 0.05) for _ in range(3))
    for cx, cy in lattice(32):
        disc = (x - cx) ** 2 + (y - cy) ** 2 <= 64
        even[disc] = 0.8
        uneven[disc] = rng.uniform(0.6, 1.0)
        speckled[disc] = rng.choice([0.65, 0.95], disc.sum())
    even, uneven, speckled = (described(stain(density, 0.2)) for density in (even, uneven, speckled))
    assert uneven["nuclei.density.between"] > even["nuclei.density.between"] + 0.1
    assert speckled["nuclei.density.within"] > even["nuclei.density.within"] + 0.05


def test_blobs_are_counted_at_their_own_scale(nuclei_tile):
    small, large = described(nuclei_tile(lattice(32), 3)), described(nuclei_tile(lattice(56), 14))
    num_small = np.expm1(small["nuclei.blobs.scale_2"]) * 224**2 / 1e4
    assert num_small == pytest.approx(len(lattice(32)), rel=0.1)
    assert np.expm1(large["nuclei.blobs.scale_8"]) * 224**2 / 1e4 == pytest.approx(len(lattice(56)), rel=0.3)


def test_no_nuclei_give_zeros_for_what_is_not_there():
    features = described(np.full((64, 64, 3), 255, np.uint8))
    assert set(features.values()) == {0.0}


def test_stronger_stain_changes_contrast_measures_little(stain):
    y, x = np.mgrid[:224, :224]
    discs = np.min([(x - cx) ** 2 + (y - cy) ** 2 for cx, cy in lattice(32)], axis=0) <= 36
    weak, strong = (described(stain(np.where(discs, 0.4, 0.04) * factor, 0.15 * factor)) for factor in (1.0, 1.8))
    for name in ("nuclei.contrast.hematoxylin", "nuclei.area_fraction", "nuclei.log_area.mean", "nuclei.number"):
        assert strong[name] == pytest.approx(weak[name], rel=0.2)
