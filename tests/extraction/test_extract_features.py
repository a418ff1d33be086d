"""The cache of features: what is taken from it, what is made again, and how much is held at a time."""

import dataclasses
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from tests.drawn import draw_cohort, draw_slide, recipe
from tilewise.auditing.audit_cohort import AuditOptions, audit_cohort
from tilewise.cohort import Cohort
from tilewise.errors import UsageError
from tilewise.extraction import extract_features as module
from tilewise.extraction.config import FeaturesConfig
from tilewise.extraction.extract_features import extract_features
from tilewise.stain import STANDARD, Normaliser, TileNormaliser
from tilewise.store import cache_dir, digest_bytes, digest_config
from tilewise.tiles.tile_cohort import tile_cohort
from tilewise.tiles.tileset import TileSet


@dataclass
class MeanAndSpread:
    """A small real encoder: mean and standard deviation of each channel, and it counts what it was given."""

    version: int = 1
    batch_sizes: list[int] = field(default_factory=list)
    card = SimpleNamespace(name="mean", dim=6)

    @property
    def signature(self):
        return {"card": "mean", "weights": "none", "code": self.version}

    def encode(self, tiles_NHWC):
        self.batch_sizes.append(len(tiles_NHWC))
        pixels = tiles_NHWC.reshape(len(tiles_NHWC), -1, 3).astype(np.float32)
        return np.concatenate([pixels.mean(1), pixels.std(1)], axis=1)


@pytest.fixture
def folder(tmp_path):
    return draw_cohort(tmp_path / "cohort", num_slides=4)


def cut(folder, *settings):
    chosen = recipe(*settings)
    audited = audit_cohort(Cohort.discover(folder), chosen.audit, AuditOptions(workers=1))
    tiles, failures = tile_cohort(audited, chosen.tiles, out=None, workers=1)
    assert not failures
    return audited, tiles


def encode(audited, tiles, *, encoder=None, tile_config=None, **options):
    encoder = encoder or MeanAndSpread()
    tile_config = tile_config or recipe().tiles
    bags, failures = extract_features(audited, tiles, encoder, FeaturesConfig(**options), tile_config)
    return bags, failures, encoder.batch_sizes


def equal(one, two):
    return one.keys() == two.keys() and all(
        np.array_equal(one[name].features_ND, two[name].features_ND) for name in one
    )


def test_vectors_are_those_of_the_tiles_pixels_row_by_row(folder):
    audited, tiles = cut(folder)
    bags, failures, _ = encode(audited, tiles)
    assert failures == ()
    assert list(bags) == [item.slide_id for item in audited.slides]
    for item in audited.slides:
        pixels = cv2.imread(str(item.slide.path))[:, :, ::-1].astype(np.float64)
        bag = bags[item.slide_id]
        assert len(bag.features_ND) == len(bag.boxes) > 1
        for row, (x, y, w, h) in zip(bag.features_ND, bag.boxes, strict=True):
            tile = pixels[y : y + h, x : x + w].reshape(-1, 3)
            np.testing.assert_allclose(row, [*tile.mean(0), *tile.std(0)], rtol=1e-4)


def test_nothing_is_encoded_again_when_nothing_changed(folder):
    audited, tiles = cut(folder)
    first, _, batch_sizes = encode(audited, tiles)
    assert sum(batch_sizes) == len(tiles.table)
    again, _, batch_sizes = encode(audited, tiles)
    assert batch_sizes == []
    assert equal(first, again)


def test_without_the_cache_nothing_is_kept(folder):
    audited, tiles = cut(folder)
    encode(audited, tiles, cache=False)
    assert not (cache_dir() / "features").exists()


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_bag_is_made_again_and_only_that_one(folder, damage):
    audited, tiles = cut(folder)
    first, _, _ = encode(audited, tiles)
    path = min((cache_dir() / "features").rglob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-300] if damage is None else damage)
    again, _, batch_sizes = encode(audited, tiles)
    assert sum(batch_sizes) in {len(bag.boxes) for bag in first.values()}
    assert equal(first, again)
    assert encode(audited, tiles)[2] == []


def test_only_a_slide_whose_bytes_changed_is_encoded_again(folder):
    audited, tiles = cut(folder)
    first, _, _ = encode(audited, tiles)
    draw_slide(folder / "images/img_0001.png", 99, klass=0)
    bags, _, batch_sizes = encode(*cut(folder))
    assert sum(batch_sizes) == len(first["img_0001.png"].boxes)
    assert not np.array_equal(bags["img_0001.png"].features_ND, first["img_0001.png"].features_ND)


def test_only_a_slide_whose_mask_changed_is_encoded_again(folder):
    encode(*cut(folder))
    mask = np.zeros((96, 128), np.uint8)
    mask[30:70, 40:100] = 255
    cv2.imwrite(str(folder / "masks/mask_0001.png"), mask)
    bags, _, batch_sizes = encode(*cut(folder))
    assert sum(batch_sizes) == len(bags["img_0001.png"].boxes)


def test_other_boxes_and_another_signature_are_encoded_again(folder):
    audited, tiles = cut(folder)
    encode(audited, tiles)
    _, wider = cut(folder, "tiles.size_px=40")
    assert sum(encode(audited, wider)[2]) == len(wider.table)
    assert sum(encode(audited, tiles, encoder=MeanAndSpread(version=2))[2]) == len(tiles.table)
    assert encode(audited, tiles)[2] == []


def test_a_slide_that_was_moved_is_not_encoded_again(folder, tmp_path):
    encode(*cut(folder))
    folder.rename(tmp_path / "moved")
    assert encode(*cut(tmp_path / "moved"))[2] == []


def test_an_unreadable_slide_is_a_named_failure_and_the_others_go_on(folder):
    audited, tiles = cut(folder)
    (folder / "images/img_0002.png").unlink()
    bags, failures, _ = encode(audited, tiles)
    assert set(bags) == {"img_0000.png", "img_0001.png", "img_0003.png"}
    assert [(failure.item, failure.stage, failure.error) for failure in failures] == [
        ("img_0002.png", "features", "SlideUnreadable")
    ]
    assert "img_0002.png" in failures[0].message


@pytest.mark.parametrize("chunk_tiles", [1, 5, 7, 1000])
def test_no_more_tiles_than_asked_for_are_held_and_the_vectors_do_not_depend_on_it(folder, chunk_tiles):
    audited, tiles = cut(folder)
    expected, _, _ = encode(audited, tiles, cache=False)
    bags, _, batch_sizes = encode(audited, tiles, cache=False, chunk_tiles=chunk_tiles)
    assert equal(bags, expected)
    assert max(batch_sizes) <= chunk_tiles
    assert batch_sizes[:-1] == [chunk_tiles] * (len(batch_sizes) - 1)
    assert sum(batch_sizes) == len(tiles.table)


def small_slide(folder):
    """A slide smaller than a tile."""
    cv2.imwrite(str(folder / "images/img_0001.png"), np.full((20, 24, 3), 90, np.uint8))
    cv2.imwrite(str(folder / "masks/mask_0001.png"), np.full((20, 24), 255, np.uint8))


@pytest.mark.parametrize(("fit", "mean"), [("stretch", 90.0), ("pad", 90 + 165 * (1 - 20 * 24 / 32**2))])
def test_a_slide_smaller_than_a_tile_is_distorted_or_filled_up_as_the_recipe_says(folder, fit, mean):
    small_slide(folder)
    settings = ("audit.quality=keep", f"tiles.fit={fit}")
    audited, tiles = cut(folder, *settings)
    assert tiles.boxes()["img_0001.png"].tolist() == [[0, 0, 24, 20]]
    bags, _, _ = encode(audited, tiles, tile_config=recipe(*settings).tiles)
    np.testing.assert_allclose(bags["img_0001.png"].features_ND[0, :3], mean, atol=1.0)
    assert set(bags) == {item.slide_id for item in audited.slides}


def test_how_tiles_are_read_is_part_of_the_cache(folder):
    audited, tiles = cut(folder)
    first, _, _ = encode(audited, tiles)
    black, _, batch_sizes = encode(audited, tiles, tile_config=recipe("tiles.mask_filter=black").tiles)
    assert batch_sizes
    assert not equal(first, black)
    darker = [black[name].features_ND[:, :3].mean() < first[name].features_ND[:, :3].mean() for name in first]
    assert all(darker)


def test_large_tiles_make_smaller_chunks(folder, monkeypatch):
    audited, tiles = cut(folder)
    monkeypatch.setattr(module, "_CHUNK_BYTES", 2 * 32 * 32 * 3)
    assert set(encode(audited, tiles)[2][:-1]) == {2}


def test_a_cache_that_cannot_be_written_to_is_wrong_use_with_the_next_step(folder, tmp_path, monkeypatch):
    audited, tiles = cut(folder)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="TILEWISE_CACHE"):
        encode(audited, tiles)
    assert encode(audited, tiles, cache=False)[1] == ()


def test_slides_without_tiles_have_no_bag(folder):
    audited, tiles = cut(folder)
    without = TileSet(tiles.table[tiles.table["slide"] != "img_0000.png"], {"img_0000.png": "why"}, {})
    assert "img_0000.png" not in encode(audited, without)[0]
    assert encode(replace(audited, slides=()), replace(tiles, table=tiles.table[:0]))[0] == {}


def section_profile():
    return dataclasses.replace(STANDARD, concentrations=(1.2, 1.4), lab_mean=(60.0, 20.0, -12.0))


def test_slides_without_a_stain_have_the_key_they_always_had(folder):
    audited, tiles = cut(folder)
    (rows, *_), tile_config = tiles.rows().values(), recipe().tiles
    where = [digest_bytes(rows.boxes.tobytes()), digest_bytes(rows.fields.tobytes()), [""]]
    reading = {"size_px": 32, "fit": "pad", "pad_color": tile_config.pad_color, "mask_filter": "none"}
    slide = audited.slides[0]
    expected = digest_config([slide.content, where, reading, MeanAndSpread().signature, 2])
    assert module._key(slide, rows, MeanAndSpread(), tile_config, None) == expected


def test_a_bag_is_of_the_stain_and_one_that_nothing_was_done_to_is_of_none(folder):
    audited, tiles = cut(folder)
    plain, _, _ = encode(audited, tiles)

    def stained(target, **changes):
        source = dataclasses.replace(section_profile(), **changes)
        encoder = MeanAndSpread()
        stains = {name: Normaliser(source, target, "macenko") for name in plain}
        bags, _ = extract_features(audited, tiles, encoder, FeaturesConfig(), recipe().tiles, stains)
        return bags, encoder.batch_sizes

    first, batch_sizes = stained(STANDARD)
    assert batch_sizes
    assert not equal(first, plain)
    assert stained(STANDARD)[1] == []
    assert equal(stained(STANDARD)[0], first)
    other, batch_sizes = stained(dataclasses.replace(STANDARD, concentrations=(1.0, 1.0)))
    assert batch_sizes
    assert not equal(other, first)
    untouched, batch_sizes = stained(STANDARD, num_pixels=3)
    assert batch_sizes == []
    assert equal(untouched, plain)


def test_how_many_tiles_kept_their_colours_is_known_from_the_cache_too(folder):
    audited, tiles = cut(folder)
    for _ in range(2):
        stains = {item.slide_id: TileNormaliser(STANDARD, "macenko") for item in audited.slides}
        bags, _ = extract_features(audited, tiles, MeanAndSpread(), FeaturesConfig(), recipe().tiles, stains)
        assert all(bag.num_unnormalised == len(bag.features_ND) for bag in bags.values()), "the tiles are of one colour"


class _OutOfMemory(MeanAndSpread):
    num_threads = 1

    def encode(self, tiles_NHWC):
        raise MemoryError(f"{len(tiles_NHWC)} tiles are too many")


@pytest.mark.parametrize("cluster", [None, object()])
def test_an_error_of_the_encoder_stops_the_command_on_every_executor(folder, monkeypatch, cluster):
    monkeypatch.setattr(module, "current_ray", lambda: cluster)
    audited, tiles = cut(folder)
    with pytest.raises(MemoryError, match="tiles are too many"):
        encode(audited, tiles, encoder=_OutOfMemory(), cache=False)
