import builtins

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.slides.conftest import scene
from tests.slides.pyramids import halved
from tests.slides.zarrs import CHANNELS, write_ome_zarr
from tilewise.auditing.audit_cohort import AuditOptions, audit_cohort
from tilewise.auditing.config import AuditConfig
from tilewise.cohort import Cohort
from tilewise.errors import SlideUnreadable
from tilewise.slides import digest_slide, open_slide, read_header, read_image
from tilewise.slides import opening as opening_module
from tilewise.tiles.config import TileConfig
from tilewise.tiles.tile_cohort import tile_cohort
from tilewise.units import Box, Size

LEVELS = halved(scene(197, 131), times=2)
zarr = pytest.importorskip("zarr")


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return write_ome_zarr(tmp_path_factory.mktemp("zarr") / "a.ome.zarr", LEVELS)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["tczyx", "cyx", "czyx", "yxc"])
def test_levels_and_scale_are_those_that_were_written(version, axes, tmp_path):
    path = write_ome_zarr(tmp_path / "a.zarr", LEVELS, version=version, axes=axes)
    header = read_header(path)
    assert (header.format, header.mode, header.size) == ("OME-Zarr", "rgb", (197, 131))
    with open_slide(path) as reader:
        assert reader.levels == tuple(Size(level.shape[1], level.shape[0]) for level in LEVELS)
        assert reader.mpp == 0.25
        np.testing.assert_array_equal(reader.read_whole(), LEVELS[0])
        reduced = reader.read_region(Box(0, 0, 196, 130), size=Size(98, 65))
        np.testing.assert_array_equal(reduced, LEVELS[1][:65, :98])


@given(
    x=st.integers(-20, 190), y=st.integers(-20, 120), width=st.integers(1, 120), height=st.integers(1, 120)
)  # fmt: skip
@settings(max_examples=40)
def test_a_region_is_the_pictures(slide, x, y, width, height):
    box = Box(x, y, width, height)
    around = np.pad(LEVELS[0], ((20, 160), (20, 160), (0, 0)), constant_values=255)
    with open_slide(slide) as reader:
        np.testing.assert_array_equal(reader.read_region(box), around[y + 20 :][:height, x + 20 :][:, :width])


@pytest.mark.parametrize(
    ("options", "mpp"),
    [
        ({"unit": "nanometer", "mpp": 250.0}, 0.25),
        ({"unit": "millimeter", "mpp": 0.00025}, 0.25),
        ({"unit": None}, None),
        ({"unit": "pixel", "mpp": 1.0}, None),
        ({"mpp": 1000.0}, None),
    ],
)
def test_a_scale_without_a_unit_is_no_scale(options, mpp, tmp_path):
    assert read_header(write_ome_zarr(tmp_path / "a.zarr", LEVELS, **options)).mpp == mpp


def test_one_channel_is_grey(tmp_path):
    path = write_ome_zarr(tmp_path / "a.zarr", [LEVELS[0][:, :, 0]], axes="yx", omero=False)
    assert read_header(path).mode == "grey"
    np.testing.assert_array_equal(read_image(path), np.repeat(LEVELS[0][:, :, :1], 3, axis=2))


def test_what_is_no_rgb_picture_is_refused(tmp_path):
    green = [one | {"color": "00FF00"} for one in CHANNELS]
    cases = {
        "16-bit": ([LEVELS[0].astype(np.uint16)], {}, "uint16, not 8 bits"),
        "channels": ([LEVELS[0][:, :, :2]], {}, "2 channels are no red, green and blue"),
        "levels": (LEVELS[::-1], {}, "do not become smaller"),
        "stains": (LEVELS, {"omero": {"channels": green}}, "3 channels are no red, green and blue"),
        "bare": (LEVELS, {"multiscales": None}, "no `multiscales`"),
    }
    for name, (levels, metadata, message) in cases.items():
        path = write_ome_zarr(tmp_path / f"{name}.zarr", levels)
        group = zarr.open_group(path, mode="r+")
        group.attrs["ome"] = dict(group.attrs["ome"]) | metadata
        with pytest.raises(SlideUnreadable, match=rf"{name}\.zarr.*{message}"):
            open_slide(path)


def test_a_stack_is_refused(tmp_path):
    group = zarr.open_group(write_ome_zarr(tmp_path / "a.zarr", LEVELS[:1]), mode="r+")
    group.create_array("0", shape=(1, 3, 4, 131, 197), dtype="uint8", overwrite=True)
    with pytest.raises(SlideUnreadable, match="4 planes; save the one you mean"):
        open_slide(tmp_path / "a.zarr")


def test_damage_names_the_slide(tmp_path):
    path = write_ome_zarr(tmp_path / "a.zarr", LEVELS)
    chunk = next(one for one in (path / "0" / "c").rglob("*") if one.is_file())
    chunk.write_bytes(chunk.read_bytes()[:40])
    with open_slide(path) as reader, pytest.raises(SlideUnreadable, match=r"a\.zarr"):
        reader.read_whole()
    (path / "zarr.json").write_text("{")
    opening_module._header.cache_clear()
    with pytest.raises(SlideUnreadable, match=r"a\.zarr"):
        open_slide(path)


def test_without_the_package_the_error_says_how_to_get_it(slide, monkeypatch):
    original = builtins.__import__

    def without_zarr(name, *rest):
        if name == "zarr":
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_zarr)
    opening_module._header.cache_clear()
    with pytest.raises(SlideUnreadable, match=r"pip install 'tilewise\[zarr\]'"):
        open_slide(slide)


@pytest.mark.parametrize("table", [False, True])
def test_a_folder_is_one_slide_of_a_cohort(table, tmp_path):
    from tests.drawn import draw_slide

    folder = tmp_path / "cohort"
    for number, name in enumerate(("a.ome.zarr", "b.zarr")):
        draw_slide(tmp_path / f"{number}.png", number, klass=number)
        write_ome_zarr(folder / "images" / name, halved(read_image(tmp_path / f"{number}.png"), times=1))
    draw_slide(tmp_path / "m.png", 0, klass=0, mask=folder / "masks" / "a_mask.png")
    (folder / "labels.csv").write_text("slide,label\na,x\nb.zarr,y\n" if table else "slide,label\na.ome.zarr,x\nb,y\n")
    cohort = Cohort.discover(folder)
    assert [slide.path.name for slide in cohort.slides] == ["a.ome.zarr", "b.zarr"]
    assert [slide.mask_path is not None for slide in cohort.slides] == [True, False]
    audited = audit_cohort(cohort, AuditConfig(), AuditOptions(drop=False, workers=1))
    assert [item.mpp for item in audited.slides] == [0.25, 0.25]
    tiles, failures = tile_cohort(audited, TileConfig(size_px=32), out=None, workers=1)
    assert not failures
    assert set(tiles.counts()) == {slide.slide_id for slide in cohort.slides}


def test_the_digest_is_that_of_every_file(tmp_path):
    one, other = (write_ome_zarr(tmp_path / name, LEVELS) for name in ("a.zarr", "b.zarr"))
    assert digest_slide(one) == digest_slide(other)
    changed = LEVELS[0].copy()
    changed[0, 0] ^= 1
    assert digest_slide(write_ome_zarr(tmp_path / "c.zarr", [changed, *LEVELS[1:]])) != digest_slide(one)


def test_of_a_mirax_slide_the_folder_beside_it_counts(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a.mrxs").write_bytes(b"index")
    digests = {digest_slide(tmp_path / "a.mrxs")}
    for data in (b"one", b"two"):
        (tmp_path / "a" / "Data0000.dat").write_bytes(data)
        digests.add(digest_slide(tmp_path / "a.mrxs"))
    assert len(digests) == 3
