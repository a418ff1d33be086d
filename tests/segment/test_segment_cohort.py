"""Masks of a whole cohort: who segments whom, what is kept, what is replaced."""

from dataclasses import replace

import numpy as np
import pytest

from tests.segment.conftest import FAST, draw, needs_unet, region_of, to_cohort
from tilewise.cohort import read_mask
from tilewise.errors import TrainingError, UsageError
from tilewise.segment import SegmentConfig, training
from tilewise.segment.crossfit import fold_of_groups
from tilewise.segment.masks import clean
from tilewise.segment.segment_cohort import segment_cohort
from tilewise.segment.segmenter import FoldNetwork, Segmenter

pytestmark = needs_unet

UNET = SegmentConfig(method="unet", unet=FAST)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Eight slides segmented cross-fitted by two networks; only read."""
    home = tmp_path_factory.mktemp("made")
    groups = {0: "p", 1: "p", 2: "p", 7: "p"}
    slides = [draw(home / "slides", n, masked=n < 6, group=groups.get(n)) for n in range(8)]
    audited = to_cohort(slides)
    return segment_cohort(audited, UNET, seed=0, workers=1, cache=home / "cache"), home / "cache"


def test_no_slide_is_segmented_by_a_network_that_saw_it_or_its_group(made):
    result, _ = made
    digests = [FoldNetwork.load(folder).training_digests for folder in result.networks]
    items = {item.slide_id: item for item in result.before.slides}
    assert all(digests)
    for one in result.slides:
        mates = {item.pixel_digest for item in items.values() if item.group == items[one.slide_id].group}
        if one.slide_id == "img_0006.png":
            assert one.made_by == "mean of 2 networks"
        else:
            assert not digests[int(one.made_by.removeprefix("network "))] & mates


def test_every_slide_gets_a_mask_of_its_size_and_another_content(made):
    result, _ = made
    assert len(result.slides) == 8
    for before, after in zip(result.before.slides, result.cohort.slides, strict=True):
        mask, notes = read_mask(after.slide, after.size)
        assert mask.any()
        assert notes == ()
        assert after.use_mask
        assert after.content != before.content
        assert after.slide.mask_path != before.slide.mask_path
    assert result.cohort.digest != result.before.digest


def test_scores_are_of_the_slides_whose_mask_is_known(made):
    result, _ = made
    known = [one for one in result.slides if one.mask.dice is not None]
    assert len(known) == 6
    score = result.scores["dice"]
    assert score["value"] == pytest.approx(np.mean([one.mask.dice for one in known]))
    assert score["low"] <= score["value"] <= score["high"]
    assert (score["num_slides"], score["num_groups"]) == (6, 4)


def test_a_second_call_trains_and_segments_nothing(made, monkeypatch):
    result, cache = made

    def refuse(*args, **kwargs):
        raise AssertionError("nothing is left to do")

    monkeypatch.setattr(training, "train_unet", refuse)
    monkeypatch.setattr("tilewise.segment.masks._segment", refuse)
    again = segment_cohort(result.before, UNET, seed=0, workers=1, cache=cache)
    assert again == result


def test_a_stopped_crossfit_goes_on_with_the_network_it_was_at(made, monkeypatch, tmp_path):
    result, _ = made
    whole = training.train_unet
    calls = []

    def train(*args, what, **kwargs):
        calls.append(what)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(*args, what=what, **kwargs)

    monkeypatch.setattr(training, "train_unet", train)
    with pytest.raises(KeyboardInterrupt):
        segment_cohort(result.before, UNET, seed=0, workers=1, cache=tmp_path)
    again = segment_cohort(result.before, UNET, seed=0, workers=1, cache=tmp_path)
    assert calls == ["network 0", "network 1", "network 1"]
    assert [one.mask.digest for one in again.slides] == [one.mask.digest for one in result.slides]


def test_another_seed_or_mask_trains_again_and_generosity_does_not(made, monkeypatch):
    result, cache = made
    calls = []
    monkeypatch.setattr(training, "train_unet", lambda *args, what, **kwargs: calls.append(what) or 1.0)
    generous = SegmentConfig(method="unet", unet=FAST, mask_threshold=0.01)
    generous_masks = segment_cohort(result.before, generous, seed=0, workers=1, cache=cache)
    assert calls == []
    assert all(
        more.mask.share >= less.mask.share or less.mask.fallback
        for more, less in zip(generous_masks.slides, result.slides, strict=True)
    )
    segment_cohort(result.before, UNET, seed=1, workers=1, cache=cache)
    assert len(calls) == 2


def test_networks_of_an_earlier_run_segment_new_slides_and_skip_what_they_saw(made, tmp_path):
    result, _ = made
    Segmenter(tuple(FoldNetwork.load(folder) for folder in result.networks)).save(tmp_path / "n")
    new = draw(tmp_path / "new", 20, masked=False)
    audited = to_cohort([*result.before.slides, new])
    config = SegmentConfig(method="unet", unet={"networks": tmp_path / "n"})
    segmentation = segment_cohort(audited, config, workers=1, cache=tmp_path / "cache")
    by = {one.slide_id: one for one in segmentation.slides}
    assert by["img_0020.png"].made_by == "mean of 2 networks"
    for one in result.slides:
        assert by[one.slide_id].mask.digest == one.mask.digest
        assert by[one.slide_id].note == ""
    with pytest.raises(UsageError, match=r"segment\.unet\.networks"):
        segment_cohort(audited, SegmentConfig(method="unet", unet={"networks": tmp_path}), cache=tmp_path / "cache")


def test_a_network_that_finds_nothing_falls_back_to_tissue_and_says_so(made):
    result, cache = made
    config = SegmentConfig(method="unet", unet=FAST, mask_threshold=0.999999)
    segmentation = segment_cohort(result.before, config, seed=0, workers=1, cache=cache)
    fallbacks = [one for one in segmentation.slides if one.mask.fallback]
    assert fallbacks
    assert fallbacks[0].mask.fallback == "unet found no region; tissue taken instead"
    assert fallbacks[0].mask.share > 0.5


def test_blank_glass_keeps_no_mask_and_says_why(tmp_path):
    audited = to_cohort([draw(tmp_path, 0), draw(tmp_path, 1, masked=False, blank=True)])
    segmentation = segment_cohort(audited, SegmentConfig(method="tissue"), workers=1)
    first, blank = segmentation.cohort.slides
    assert first.use_mask
    assert not blank.use_mask
    assert "no tissue was found" in blank.mask_fault


def test_only_slides_without_a_mask_get_one_where_so_asked(audited):
    config = SegmentConfig(method="tissue", slides="without_mask")
    segmentation = segment_cohort(audited, config, workers=1)
    assert [one.used for one in segmentation.slides] == [False] * 7 + [True]
    assert segmentation.cohort.slides[:7] == audited.slides[:7]
    assert segmentation.cohort.slides[7].use_mask
    assert segmentation.scores["dice"]["num_slides"] == 7


def test_new_masks_make_another_cohort(audited):
    assert segment_cohort(audited, SegmentConfig(method="tissue"), workers=1).cohort.digest != audited.digest


def test_a_slide_that_cannot_be_read_is_a_failure_and_the_others_go_on(audited):
    audited.slides[3].slide.path.write_bytes(b"no picture")
    segmentation = segment_cohort(audited, SegmentConfig(method="tissue"), workers=1)
    assert [failure.item for failure in segmentation.failures] == ["img_0003.png"]
    assert segmentation.cohort.failures == segmentation.failures
    assert segmentation.cohort.slides[3] == audited.slides[3]
    assert len(segmentation.slides) == 7


def test_too_few_masks_are_refused_before_the_work(audited, tmp_path):
    bare = to_cohort(replace(item, use_mask=False) for item in audited.slides)
    with pytest.raises(UsageError, match="not one slide has a mask of use"):
        segment_cohort(bare, UNET, workers=1)
    pair = to_cohort([replace(item, group="one") for item in audited.slides])
    with pytest.raises(UsageError, match="1 group, too few for 2 networks"):
        segment_cohort(pair, UNET, workers=1)
    with pytest.raises(UsageError, match="num_folds=5"):
        segment_cohort(audited, SegmentConfig(method="unet", unet=FAST | {"num_folds": 9}), workers=1)


def test_folds_deal_out_groups_evenly(tmp_path):
    slides = [draw(tmp_path, n, group=f"g{n // 3}") for n in range(24)]
    folds = fold_of_groups(slides, 4, seed=0)
    assert sorted(folds) == [f"g{n}" for n in range(8)]
    assert [list(folds.values()).count(fold) for fold in range(4)] == [2] * 4
    assert fold_of_groups(slides[::-1], 4, seed=0) == folds
    relabelled = [replace(item, slide=replace(item.slide, label="other")) for item in slides[:5]] + slides[5:]
    assert fold_of_groups(relabelled, 4, seed=0) == folds


def test_slides_that_a_score_is_reported_on_teach_no_network(made):
    result, cache = made
    apart = {"img_0003.png"}
    again = segment_cohort(result.before, UNET, seed=0, workers=1, cache=cache, never_learn=apart)
    learnt = set().union(*(FoldNetwork.load(folder).training_digests for folder in again.networks))
    digests = {item.slide_id: item.pixel_digest for item in again.before.slides}
    assert learnt == {digests[f"img_{n:04d}.png"] for n in (0, 1, 2, 4, 5)}
    made_by = {one.slide_id: one.made_by for one in again.slides}
    assert {made_by[name] for name in apart} == {"mean of 2 networks"}
    assert all(one.mask.dice is not None for one in again.slides if one.slide_id in apart)


def test_training_that_cannot_go_on_says_so(audited, monkeypatch):
    monkeypatch.setattr(training, "segmentation_loss", lambda logits, truth: logits.sum() * float("inf"))
    with pytest.raises(TrainingError, match=r"network 0: the loss is .* slides img_"):
        segment_cohort(audited, UNET, workers=1)


def test_specks_go_and_holes_close():
    mask = region_of(0)
    dirty = mask.copy()
    dirty[2:4, 2:4], dirty[40, 40] = True, False
    assert np.array_equal(clean(dirty, 0.001), mask)
    assert np.array_equal(clean(dirty, 0.0), dirty)
    assert clean(np.ones((5, 5), bool), 0.5).all()
    assert not clean(np.zeros((5, 5), bool), 0.5).any()


def test_a_damaged_kept_mask_is_made_again(audited, tmp_path):
    config = SegmentConfig(method="tissue")
    first = segment_cohort(audited, config, workers=1, cache=tmp_path / "cache")
    path = first.slides[0].mask.path
    whole = path.read_bytes()
    description = path.with_name("mask.json")
    for damaged, data in ((description, b"{"), (path, b""), (path, whole[:40] + bytes(len(whole) - 40))):
        damaged.write_bytes(data)
        again = segment_cohort(audited, config, workers=1, cache=tmp_path / "cache")
        assert again.slides == first.slides
        assert path.read_bytes() == whole
