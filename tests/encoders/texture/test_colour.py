import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp
from scipy import stats

from tilewise.encoders.texture.colour import NAMES, colour, correlation, level_statistics
from tilewise.encoders.texture.planes import separate

MEDIAN, LOG_SPREAD, SKEW, P5, P25, P75, P95 = range(7)


def described(tile):
    return dict(zip(NAMES, colour([separate(tile)])[0], strict=True))


@given(hnp.arrays(np.uint8, 400))
def test_statistics_are_numpys_and_scipys(values):
    row = level_statistics(np.bincount(values, minlength=256)[None])[0]
    spread = np.sqrt(values.var() + 1)
    assert row[LOG_SPREAD] == pytest.approx(np.log(spread))
    third = ((values - values.mean()) ** 3).mean()
    assert row[SKEW] == pytest.approx(third / spread**3, abs=1e-9)
    # Inside a level pixels are taken as spread over it, so a percentile differs from NumPy's by at most one level gap.
    low, high = (np.percentile(values, 50, method=method) for method in ("lower", "higher"))
    assert low - 0.5 <= row[MEDIAN] * 255 <= high + 0.5


def test_percentiles_and_skew_of_a_known_distribution():
    values = np.clip(np.random.default_rng(0).gamma(4, 12, 200_000), 0, 255).astype(np.uint8)
    row = level_statistics(np.bincount(values, minlength=256)[None])[0]
    expected = np.percentile(values + 0.0, (5, 25, 50, 75, 95))
    spread = np.sqrt(values.var() + 1)
    assert row[MEDIAN] * 255 == pytest.approx(expected[2], abs=0.5)
    assert row[[P5, P25, P75, P95]] * spread == pytest.approx(np.delete(expected, 2) - expected[2], abs=1)
    assert row[SKEW] == pytest.approx(stats.skew(values), rel=0.01)


def test_constants_and_nothing_have_no_spread():
    counts = np.zeros((2, 256), np.int64)
    counts[1, 51] = 77
    rows = level_statistics(counts)
    assert np.array_equal(rows[0], np.zeros(7))
    assert np.array_equal(rows[1], [0.2, *np.zeros(6)])


@given(hnp.arrays(np.uint8, (6, 7)), hnp.arrays(np.uint8, (6, 7)))
def test_correlation_is_pearsons(first, second):
    if first.std() == 0 or second.std() == 0:
        assert correlation(first, second) == 0
    else:
        expected = np.corrcoef(first.ravel(), second.ravel())[0, 1]
        assert correlation(first, second) == pytest.approx(expected, abs=1e-9)


def test_more_of_a_dye_raises_its_own_median_alone(stain):
    rng = np.random.default_rng(0)
    hematoxylin, eosin = rng.uniform(0.1, 0.3, (2, 64, 64))
    before = described(stain(hematoxylin, eosin))
    more_h, more_e = described(stain(hematoxylin + 0.3, eosin)), described(stain(hematoxylin, eosin + 0.3))
    step = 0.3 * 140 / 255
    for after, raised, unchanged in ((more_h, "hematoxylin", "eosin"), (more_e, "eosin", "hematoxylin")):
        assert after[f"colour.{raised}.median"] - before[f"colour.{raised}.median"] == pytest.approx(step, abs=0.015)
        assert after[f"colour.{unchanged}.median"] == pytest.approx(before[f"colour.{unchanged}.median"], abs=0.015)
        assert after["colour.green.median"] < before["colour.green.median"]


def test_brighter_light_moves_the_medians_and_hardly_the_shapes(random_tiles):
    tile = np.minimum(random_tiles[0], 200)
    dimmer = np.rint(tile * 0.8).astype(np.uint8)
    before, after = described(tile), described(dimmer)
    assert after["colour.red.median"] < before["colour.red.median"] - 0.05
    for name in ("skew", "p5", "p25", "p75", "p95"):
        assert after[f"colour.red.{name}"] == pytest.approx(before[f"colour.red.{name}"], abs=0.06)


def test_tissue_fraction(stain):
    tile = stain(np.full((64, 64), 0.4), 0.4)
    tile[:16] = 245
    assert described(tile)["colour.fraction.tissue"] == pytest.approx(0.75)


def test_grey_tiles_correlate_fully():
    tile = np.random.default_rng(0).integers(0, 256, (64, 64, 1), dtype=np.uint8).repeat(3, axis=2)
    assert described(tile)["colour.correlation.red.green"] == pytest.approx(1)
