import shutil

import cv2
import numpy as np
import pytest

from tests.drawn import draw_slide
from tilewise.auditing import facts
from tilewise.auditing.facts import FactsRequest, measure_slide
from tilewise.cohort import Slide
from tilewise.errors import SlideTooLarge, SlideUnreadable, UsageError
from tilewise.store import cache_dir


@pytest.fixture
def slide(tmp_path):
    draw_slide(tmp_path / "a.png", 0, klass=0, mask=tmp_path / "a_mask.png")
    return Slide("a.png", tmp_path / "a.png", tmp_path / "a_mask.png")


@pytest.fixture
def decoded(monkeypatch):
    """Slides that were really decoded."""
    names = []
    original = facts._decode_and_measure

    def recording(slide, *rest):
        names.append(slide.slide_id)
        return original(slide, *rest)

    monkeypatch.setattr(facts, "_decode_and_measure", recording)
    return names


def facts_of(slide, max_pixels=10**6):
    return measure_slide(FactsRequest(slide, max_pixels)).facts


def test_shares_and_size_are_those_of_the_pictures(slide):
    measured = facts_of(slide)
    mask = cv2.imread(str(slide.mask_path), cv2.IMREAD_GRAYSCALE) > 0
    assert measured.size == (128, 96)
    assert measured.mask.share == pytest.approx(mask.mean())
    assert measured.tissue_share == pytest.approx(64 * 96 / (96 * 128), abs=0.1)
    assert measured.mask.fault == ""


def test_a_second_look_at_the_same_bytes_decodes_nothing_even_elsewhere(slide, decoded, tmp_path):
    first = facts_of(slide)
    (tmp_path / "moved").mkdir()
    moved = Slide("b.png", tmp_path / "moved/b.png", tmp_path / "moved/b_mask.png")
    shutil.copy(slide.path, moved.path)
    shutil.copy(slide.mask_path, moved.mask_path)
    assert facts_of(moved) == first
    assert decoded == ["a.png"]


def test_facts_and_fingerprint_come_back_from_the_cache_as_they_went_in(slide, decoded):
    first, again = (measure_slide(FactsRequest(slide, 10**6)) for _ in range(2))
    assert decoded == ["a.png"]
    assert again.facts == first.facts
    before, after = first.fingerprint.to_arrays(), again.fingerprint.to_arrays()
    assert before.keys() == after.keys()
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)


def test_other_bytes_of_slide_or_mask_and_another_limit_are_looked_at_again(slide, decoded):
    first = facts_of(slide)
    cv2.imwrite(str(slide.mask_path), np.full((96, 128), 255, np.uint8))
    assert facts_of(slide).content != first.content
    draw_slide(slide.path, 5, klass=1)
    assert facts_of(slide).pixel_digest != first.pixel_digest
    with pytest.raises(SlideTooLarge):
        facts_of(slide, max_pixels=100)
    assert len(decoded) == 4


def test_the_same_pixels_in_another_file_have_the_same_pixel_digest_only(slide):
    first = facts_of(slide)
    cv2.imwrite(str(slide.path), cv2.imread(str(slide.path)), (cv2.IMWRITE_PNG_COMPRESSION, 0))
    second = facts_of(slide)
    assert second.pixel_digest == first.pixel_digest
    assert second.content != first.content


def test_a_fault_of_a_mask_names_its_own_slide_not_a_copy_of_it(slide, tmp_path):
    cv2.imwrite(str(slide.mask_path), np.full((9, 9), 255, np.uint8))
    assert "a.png" in facts_of(slide).mask.fault
    for name in ("b.png", "b_mask.png"):
        shutil.copy(tmp_path / name.replace("b", "a", 1), tmp_path / name)
    copy = facts_of(Slide("b.png", tmp_path / "b.png", tmp_path / "b_mask.png"))
    assert "b.png" in copy.mask.fault
    assert "a.png" not in copy.mask.fault


def test_a_mask_that_is_gone_is_a_fault_and_a_slide_that_is_gone_an_error(slide):
    slide.mask_path.unlink()
    assert "a_mask.png" in facts_of(slide).mask.fault
    slide.path.unlink()
    with pytest.raises(SlideUnreadable, match=r"a\.png"):
        facts_of(slide)


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: b"{}", lambda data: data[: len(data) // 2]])
def test_a_damaged_entry_of_the_cache_is_made_again(slide, decoded, damage):
    first = facts_of(slide)
    (entry,) = (cache_dir() / "facts").rglob("*.safetensors")
    entry.write_bytes(damage(entry.read_bytes()))
    assert facts_of(slide) == first
    assert facts_of(slide) == first
    assert len(decoded) == 2


def test_a_cache_that_cannot_be_written_to_is_wrong_use_not_a_fault_of_the_slide(slide, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="TILEWISE_CACHE"):
        facts_of(slide)
