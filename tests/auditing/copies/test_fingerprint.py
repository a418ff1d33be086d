from __future__ import annotations

import io

import numpy as np
import pytest

from tests.auditing.copies.slides import clean, fingerprint, slide
from tilewise.auditing.copies import Fingerprint, find_pairs, measure_fingerprint
from tilewise.auditing.copies.fingerprint import open_picture


def test_it_comes_back_from_a_file() -> None:
    measured = clean()["slide 0"]
    file = io.BytesIO()
    np.savez(file, **measured.to_arrays())
    file.seek(0)
    again = Fingerprint.from_arrays(np.load(file))
    for name, array in measured.to_arrays().items():
        assert np.array_equal(array, getattr(again, name))
        assert array.dtype == getattr(again, name).dtype


def test_it_is_small_and_always_the_same() -> None:
    rng = np.random.default_rng(0)
    field = rng.integers(60, 200, (1024, 1024, 3)).astype(np.uint8)
    for measured in (*clean().values(), fingerprint(field)):
        assert sum(array.nbytes for array in measured.to_arrays().values()) <= 66_000
    again = fingerprint(slide(0).rgb).to_arrays()
    assert all(np.array_equal(array, again[name]) for name, array in clean()["slide 0"].to_arrays().items())


@pytest.mark.parametrize("shape", [(96, 128), (1, 1), (3, 700), (40, 2000), (224, 224)])
@pytest.mark.parametrize("level", [None, 128, 245])
def test_it_takes_any_size_and_content(shape: tuple[int, int], level: int | None) -> None:
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 256, (*shape, 3)) if level is None else np.full((*shape, 3), level)
    for tissue in (np.ones(shape, bool), np.zeros(shape, bool)):
        measured = measure_fingerprint(rgb.astype(np.uint8), tissue)
        picture, where = open_picture(measured)
        assert picture.shape == where.shape
        assert np.isfinite(measured.places).all()
        find_pairs({"one": measured, "two": measured})


def test_keypoints_lie_on_tissue_in_pixels_of_the_slide() -> None:
    measured, tissue = clean()["slide 1"], slide(1).tissue
    assert len(measured.places) > 30
    x, y = np.rint(measured.places).astype(int).T
    assert tissue[y, x].mean() > 0.95
