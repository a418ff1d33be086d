from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tilewise.errors import UsageError
from tilewise.synthetic.cohort import write_cohort
from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.plan import plan_cohort
from tilewise.synthetic.real import compose, draw_regions, fill_with_textures, find_textures
from tilewise.synthetic.slide import DrawnSlide, draw_slide
from tilewise.tissue import tissue_mask

CONFIG = SynthConfig(num_slides=4, min_side_px=384, seed=1)


@pytest.fixture(scope="module")
def textures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stand-ins for photographs: coloured noise, each of a colour of its own."""
    folder = tmp_path_factory.mktemp("kit")
    (folder / "camelyon_tiles" / "images").mkdir(parents=True)
    for index in range(5):
        rng = np.random.default_rng(index)
        pixels = np.clip(rng.normal([180 - 9 * index, 110, 160], 25.0, (450, 450, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "camelyon_tiles" / "images" / f"{index}.jpg")
    return folder


@pytest.fixture(scope="module")
def drawn() -> DrawnSlide:
    return draw_slide(CONFIG, plan_cohort(CONFIG)[2])


def test_fills_the_outline_and_keeps_the_mask(textures: Path, drawn: DrawnSlide) -> None:
    real = fill_with_textures(plan_cohort(CONFIG)[2], drawn, textures=find_textures(textures))
    np.testing.assert_array_equal(real.mask, drawn.mask)
    np.testing.assert_array_equal(real.tissue, drawn.tissue)
    tissue = tissue_mask(real.rgb)
    assert (tissue & drawn.tissue).sum() / (tissue | drawn.tissue).sum() > 0.8
    glass = np.median(real.rgb[~tissue], axis=0)
    assert (glass > 215).all()


def test_two_fillings_of_one_outline_differ(textures: Path, drawn: DrawnSlide) -> None:
    paths = find_textures(textures)
    one, two = (compose(np.random.default_rng(k), drawn.tissue, mask=drawn.mask, textures=paths) for k in (1, 2))
    again = compose(np.random.default_rng(1), drawn.tissue, mask=drawn.mask, textures=paths)
    np.testing.assert_array_equal(one.rgb, again.rgb)
    assert (one.rgb != two.rgb)[drawn.tissue].mean() > 0.8
    regions = draw_regions(np.random.default_rng(1), drawn.tissue)
    assert regions.any()
    assert not (regions & ~drawn.tissue).any()


def test_too_few_textures(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds 0 textures"):
        find_textures(tmp_path)
    with pytest.raises(UsageError, match="holds 0 textures"):
        write_cohort(tmp_path / "cohort", SynthConfig(source="textures", textures=tmp_path))
    assert not (tmp_path / "cohort").exists()


def test_cohort_with_faults(textures: Path, tmp_path: Path) -> None:
    options = {"num_slides": 16, "min_side_px": 256, "faults": 1, "source": "textures", "textures": textures}
    summary = write_cohort(tmp_path / "cohort", SynthConfig(**options))
    assert summary.num_train == 16 + summary.num_faulty
    with pytest.raises(UsageError, match=r"differs in (source|textures)"):
        write_cohort(tmp_path / "cohort", SynthConfig(num_slides=16, min_side_px=256, faults=1))


@pytest.mark.real
def test_real_slides(data_dir: Path, drawn: DrawnSlide) -> None:
    paths = find_textures(data_dir)
    assert len(paths) > 80
    real = fill_with_textures(plan_cohort(CONFIG)[2], drawn, textures=paths)
    inside = real.rgb[drawn.tissue].astype(float)
    # Pink to purple: green is what tissue takes most of.
    assert inside[:, 1].mean() < inside[:, [0, 2]].mean()
