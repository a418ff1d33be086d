import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewise.synthetic.fields import smooth_field, smooth_line, soft_step


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 90), st.integers(1, 140), st.floats(0.8, 40.0), st.floats(0.8, 40.0), st.integers(0, 2**32))
def test_field_has_the_shape_asked_for(height: int, width: int, sigma_x: float, sigma_y: float, seed: int) -> None:
    field = smooth_field(np.random.default_rng(seed), (height, width), sigma_x, sigma_y)
    assert field.shape == (height, width)
    assert field.dtype == np.float32
    assert np.isfinite(field).all()


@pytest.mark.parametrize(("sigma_x", "sigma_y"), [(1.0, 1.0), (3.0, 8.0), (12.0, 2.0)])
def test_field_is_standard_and_correlated_as_said(sigma_x: float, sigma_y: float) -> None:
    field = smooth_field(np.random.default_rng(0), (600, 800), sigma_x, sigma_y).astype(float)
    assert field.mean() == pytest.approx(0.0, abs=0.12)
    assert field.std() == pytest.approx(1.0, abs=0.12)
    # Blurred white noise has the correlation exp(-d^2 / 4 sigma^2).
    for axis, sigma in ((1, sigma_x), (0, sigma_y)):
        lag = round(2 * sigma)
        ahead, behind = np.roll(field, -lag, axis), field
        assert np.corrcoef(ahead.ravel(), behind.ravel())[0, 1] == pytest.approx(np.exp(-1), abs=0.12)


def test_line_is_standard() -> None:
    line = smooth_line(np.random.default_rng(0), 20_000, 15.0)
    assert line.shape == (20_000,)
    assert line.std() == pytest.approx(1.0, abs=0.2)
    assert np.abs(np.diff(line)).max() < 0.5


def test_soft_step() -> None:
    np.testing.assert_allclose(soft_step(np.array([-9, -0.5, 0, 0.5, 9], np.float32), 2.0), [0, 0.25, 0.5, 0.75, 1])
