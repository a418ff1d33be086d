import numpy as np
import pytest

from tilewise.synthetic.texture import (
    Tissue,
    TumourAppearance,
    paint_duct,
    paint_fat,
    paint_stroma,
    paint_tumour,
    scatter_nuclei,
)

SHAPE = (120, 160)
MIDDLE = (0.5,) * 6


def stroma(seed: int = 0) -> Tissue:
    tissue = Tissue(*(np.zeros(SHAPE, np.float32) for _ in range(3)))
    paint_stroma(tissue, np.random.default_rng(seed))
    return tissue


def tumour(unit: tuple[float, ...], seed: int = 1) -> Tissue:
    tissue = stroma()
    paint_tumour(tissue, np.random.default_rng(seed), np.ones(SHAPE, np.float32), TumourAppearance.of(unit))
    return tissue


def with_latent(index: int, value: float) -> tuple[float, ...]:
    return (*MIDDLE[:index], value, *MIDDLE[index + 1 :])


def test_layers_stay_in_range() -> None:
    for tissue in (stroma(), tumour(MIDDLE), tumour((0.0,) * 6), tumour((1.0,) * 6)):
        for layer in (tissue.haematoxylin, tissue.eosin, tissue.cover):
            assert layer.dtype == np.float32
            assert layer.min() >= 0.0
        assert tissue.cover.max() <= 1.0
        assert tissue.haematoxylin.max() < 2.0


@pytest.mark.parametrize("paint", [paint_fat, paint_duct, lambda *a: paint_tumour(*a, TumourAppearance.of(MIDDLE))])
def test_nothing_is_painted_outside(paint) -> None:
    """Fat may fill the cells it has begun, the others stop where they are told to."""
    within = np.zeros(SHAPE, np.float32)
    within[40:80, 50:110] = 1.0
    before, after = stroma(), stroma()
    paint(after, np.random.default_rng(1), within)
    changed = (
        (before.haematoxylin != after.haematoxylin) | (before.eosin != after.eosin) | (before.cover != after.cover)
    )
    assert changed[within > 0].mean() > 0.03
    reach = 24 if paint is paint_fat else 0
    assert not changed[: 40 - reach].any()
    assert not changed[80 + reach :].any()


@pytest.mark.parametrize(
    ("index", "layer"), [(1, "haematoxylin"), (3, "haematoxylin"), (4, "cover"), (5, "haematoxylin")]
)
def test_latents_show(index: int, layer: str) -> None:
    """More nuclei, darker nuclei, fewer lumina and more tumour each raise the mean of a layer."""
    low, middle, high = (getattr(tumour(with_latent(index, value)), layer).mean() for value in (0.05, 0.5, 0.95))
    assert low < middle < high


def test_larger_nests_are_coarser() -> None:
    def roughness(value: float) -> float:
        even = Tissue(*(np.full(SHAPE, level, np.float32) for level in (0.05, 0.5, 1.0)))
        look = TumourAppearance.of(with_latent(2, value))
        paint_tumour(even, np.random.default_rng(1), np.ones(SHAPE, np.float32), look)
        return float(np.abs(np.diff(even.eosin)).mean())

    assert roughness(0.05) > 1.3 * roughness(0.95)


def test_nuclei_are_as_many_as_asked_and_as_large() -> None:
    def covered(chance: float, radius: float) -> float:
        field = np.full((300, 300), chance, np.float32)
        return float((scatter_nuclei(np.random.default_rng(0), field, radius=radius, spread=0.1) > 0.5).mean())

    assert covered(0.0, 2.0) == 0.0
    assert covered(0.8, 2.0) > 1.6 * covered(0.4, 2.0)
    assert 0.45 < covered(1.0, 2.0) < 0.95


def test_fat_is_mostly_glass_between_walls() -> None:
    tissue = stroma()
    paint_fat(tissue, np.random.default_rng(0), np.ones(SHAPE, np.float32))
    assert (tissue.cover < 0.2).mean() > 0.4
    assert (tissue.cover > 0.6).mean() > 0.05
