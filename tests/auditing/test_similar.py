"""Slides that look like an example: copies first, drawings with drawings, whatever the file is called."""

import shutil

import cv2
import numpy as np
import pytest

from tests.drawn import draw_cohort
from tilewise.auditing.similar import choose_encoder, find_similar
from tilewise.auditing.similar import find as module
from tilewise.auditing.similar.embedding import cut_tiles, embed
from tilewise.cohort import Cohort
from tilewise.encoders import EncoderConfig, build_encoder
from tilewise.errors import SlideUnreadable, UsageError


@pytest.fixture(scope="module")
def encoder():
    return build_encoder(EncoderConfig(threads=1))


def tissue(seed, width=700, height=480):
    """Blobs of stain with nuclei on glass; the seed changes stain and grain."""
    rng = np.random.default_rng(seed)
    rgb = np.full((height, width, 3), 240, np.uint8)
    noise = cv2.GaussianBlur(rng.random((height, width)), (0, 0), 30)
    inside = noise > np.quantile(noise, 0.55)
    pixels = rng.normal((205 - 5 * seed, 120 + 7 * seed, 180 + 3 * seed), 8 + seed, (height, width, 3))
    nuclei = cv2.GaussianBlur(rng.random((height, width)), (0, 0), 1.5 + 0.4 * seed) > 0.53
    pixels[nuclei] -= (70, 50, 20)
    rgb[inside] = pixels.clip(0, 255)[inside]
    return rgb


def cartoon(seed, width=700, height=480):
    """Flat colours and black lines."""
    rng = np.random.default_rng(100 + seed)
    rgb = np.full((height, width, 3), 240, np.uint8)
    for _ in range(6):
        middle = [int(value) for value in rng.integers(120, (width - 120, height - 120))]
        color = [int(value) for value in rng.choice([20, 120, 250], 3)]
        cv2.circle(rgb, middle, int(rng.integers(50, 110)), color, -1)
        cv2.circle(rgb, middle, 40, (0, 0, 0), 6)
    return rgb


def write(path, rgb):
    cv2.imwrite(str(path), rgb[:, :, ::-1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Nine slides of tissue; 7 is 0 turned, 8 is 1 mirrored and darker; 9 to 11 are cartoons."""
    folder = draw_cohort(tmp_path_factory.mktemp("similar") / "cohort", num_slides=12)
    drawn = [tissue(seed) for seed in range(7)]
    drawn += [np.rot90(drawn[0]), (drawn[1][:, ::-1] * 0.9).astype(np.uint8), *(cartoon(seed) for seed in range(3))]
    for number, rgb in enumerate(drawn):
        write(folder / "images" / f"img_{number:04d}.png", np.ascontiguousarray(rgb))
    return folder


@pytest.fixture
def cohort(folder):
    return Cohort.discover(folder)


@pytest.fixture
def own_cohort(folder, tmp_path):
    """One whose files may be changed."""
    return Cohort.discover(shutil.copytree(folder, tmp_path / "cohort"))


def names(similar):
    return [neighbour.slide for neighbour in similar.neighbours]


@pytest.mark.shared_cache
def test_a_turned_copy_is_the_nearest_and_as_good_as_the_same(cohort, encoder):
    similar = find_similar(cohort, "img_0000.png", encoder=encoder)
    assert names(similar)[0] == "img_0007.png"
    assert similar.neighbours[0].similarity > 0.95
    assert similar.neighbours[1].similarity < similar.neighbours[0].similarity - 0.1


@pytest.mark.shared_cache
def test_a_mirrored_and_darker_copy_is_found(cohort, encoder):
    assert "img_0008.png" in names(find_similar(cohort, "img_0001.png", encoder=encoder))[:2]


@pytest.mark.shared_cache
def test_a_slide_is_not_its_own_neighbour_and_ranks_run_from_one(cohort, encoder):
    similar = find_similar(cohort, "img_0003.png", encoder=encoder, top=5)
    assert "img_0003.png" not in names(similar)
    assert [neighbour.rank for neighbour in similar.neighbours] == [1, 2, 3, 4, 5]
    assert similar.num_compared == 11
    similarities = [neighbour.similarity for neighbour in similar.neighbours]
    assert similarities == sorted(similarities, reverse=True)
    labels = {slide.slide_id: slide.label for slide in cohort.slides}
    assert all(neighbour.label == labels[neighbour.slide] for neighbour in similar.neighbours)


@pytest.mark.shared_cache
def test_a_cartoon_from_elsewhere_finds_the_cartoons(cohort, encoder, tmp_path):
    write(tmp_path / "face.png", cartoon(50, 500, 500))
    similar = find_similar(cohort, tmp_path / "face.png", encoder=encoder)
    assert set(names(similar)[:3]) == {"img_0009.png", "img_0010.png", "img_0011.png"}
    assert similar.to == "face.png"
    assert similar.num_compared == 12


@pytest.mark.shared_cache
def test_a_picture_that_is_a_file_of_the_cohort_is_that_slide(cohort, encoder):
    by_path = find_similar(cohort, cohort.slides[0].path, encoder=encoder)
    assert by_path.neighbours == find_similar(cohort, "img_0000.png", encoder=encoder).neighbours


@pytest.mark.shared_cache
@pytest.mark.parametrize(("width", "height"), [(96, 40), (224, 224), (230, 900)])
def test_small_and_narrow_pictures_work_as_examples(cohort, encoder, tmp_path, width, height):
    write(tmp_path / "small.png", tissue(2, width, height))
    assert len(names(find_similar(cohort, tmp_path / "small.png", encoder=encoder, top=3))) == 3


@pytest.mark.shared_cache
def test_blank_glass_is_an_example_like_any_other(cohort, encoder, tmp_path):
    write(tmp_path / "glass.png", np.full((300, 300, 3), 240, np.uint8))
    assert all(
        -1 <= one.similarity <= 1 for one in find_similar(cohort, tmp_path / "glass.png", encoder=encoder).neighbours
    )


def test_a_broken_slide_is_named_and_the_others_are_compared(own_cohort, encoder):
    own_cohort.slides[4].path.write_bytes(b"\x89PNG broken")
    similar = find_similar(own_cohort, "img_0000.png", encoder=encoder, workers=2)
    assert [failure.item for failure in similar.failures] == ["img_0004.png"]
    assert similar.num_compared == 10
    with pytest.raises(SlideUnreadable, match=r"img_0004\.png"):
        find_similar(own_cohort, "img_0004.png", encoder=encoder)


def test_a_name_that_nobody_has_is_refused_with_close_ones(cohort, encoder):
    with pytest.raises(UsageError, match=r"img_0001\.pn'?: neither .* did you mean .*img_0001\.png"):
        find_similar(cohort, "img_0001.pn", encoder=encoder)


def test_the_number_of_readers_changes_nothing(cohort, encoder, monkeypatch, tmp_path):
    one = find_similar(cohort, "img_0002.png", encoder=encoder, workers=1)
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "another"))
    assert find_similar(cohort, "img_0002.png", encoder=encoder, workers=4) == one


class Counting:
    """An encoder that counts its tiles."""

    def __init__(self, encoder, **signature):
        self._encoder, self.card, self.num = encoder, encoder.card, 0
        self.signature = {**encoder.signature, **signature}

    def encode(self, tiles_NHWC):
        self.num += len(tiles_NHWC)
        return self._encoder.encode(tiles_NHWC)


def test_what_was_embedded_is_taken_from_the_cache_by_content_and_encoder(own_cohort, encoder):
    first = Counting(encoder)
    find_similar(own_cohort, "img_0000.png", encoder=first)
    assert first.num > 12
    again = Counting(encoder)
    find_similar(own_cohort, "img_0005.png", encoder=again)
    assert again.num == 0
    write(own_cohort.slides[3].path, tissue(11))
    changed = Counting(encoder)
    find_similar(own_cohort, "img_0005.png", encoder=changed)
    assert 0 < changed.num <= 16
    other = Counting(encoder, precision="another")
    find_similar(own_cohort, "img_0005.png", encoder=other)
    assert other.num > 12


def test_a_damaged_cache_is_made_again(cohort, encoder, monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "mine"))
    before = find_similar(cohort, "img_0000.png", encoder=encoder)
    for path in (tmp_path / "mine").rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:50])
    assert find_similar(cohort, "img_0000.png", encoder=encoder) == before
    assert "made again" in caplog.text


def test_memory_does_not_grow_with_the_cohort(cohort, encoder, monkeypatch):
    from tilewise.auditing.similar import embedding

    monkeypatch.setattr(embedding, "_CHUNK_TILES", 8)
    sizes = []

    class Small(Counting):
        def encode(self, tiles_NHWC):
            sizes.append(len(tiles_NHWC))
            return super().encode(tiles_NHWC)

    embeddings, failures = embed({slide.slide_id: slide for slide in cohort.slides}, Small(encoder))
    assert not failures
    assert list(embeddings) == [slide.slide_id for slide in cohort.slides]
    assert max(sizes) < 8 + 16


def test_tiles_of_a_turned_slide_are_the_same_tiles_turned():
    rgb = tissue(3, 900, 700)
    tiles = {tile.tobytes() for tile in cut_tiles(rgb)}
    turned = {
        np.ascontiguousarray(np.rot90(tile, -1)).tobytes() for tile in cut_tiles(np.ascontiguousarray(np.rot90(rgb)))
    }
    assert len(tiles & turned) >= 0.8 * len(tiles)


def test_tiles_lie_on_tissue_all_over_the_slide():
    rgb = np.full((4000, 4000, 3), 240, np.uint8)
    rgb[200:1400, 200:1400] = tissue(1, 1200, 1200)
    rgb[2600:3800, 2600:3800] = tissue(2, 1200, 1200)
    tiles = cut_tiles(rgb)
    assert tiles.shape == (16, 224, 224, 3)
    assert all(tile.std() > 8 for tile in tiles)


def test_the_preferred_encoder_is_one_that_is_here_and_whose_licence_was_accepted(monkeypatch):
    def table(**weights):
        return lambda: [
            {"name": name, "weights": where, "licence_accepted": name != "phikon"} for name, where in weights.items()
        ]

    monkeypatch.setattr(module, "encoder_table", table(texture="embedded", resnet50="missing", phikon="here"))
    assert choose_encoder() == "texture"
    monkeypatch.setattr(module, "encoder_table", table(resnet50="here", dinov2_vits14="here"))
    assert choose_encoder() == "dinov2_vits14"


def test_every_preferred_encoder_is_in_the_catalogue():
    from tilewise.encoders import cards

    assert {*module.PREFERRED, module.FALLBACK} <= cards().keys()
