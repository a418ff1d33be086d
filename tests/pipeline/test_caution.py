"""What is said before a score, without a run: from an audited cohort and its tiles."""

from pathlib import Path

import pandas as pd
import pytest

from tests.drawn import recipe
from tilewise.auditing.cohort import AuditedCohort, AuditedSlide
from tilewise.cohort import Cohort, Slide
from tilewise.pipeline.warnings import run_warnings
from tilewise.tiles.tileset import TileSet
from tilewise.units import Size


def said(*slides: tuple[str, str, float | None, str], settings: tuple[str, ...] = ()) -> str:
    """All sentences about slides of (label, mask, microns per pixel, why its mask was not used)."""
    made = tuple(
        Slide(f"{number}.png", Path(f"{number}.png"), Path(mask) if mask else None, label, f"g{number}")
        for number, (label, mask, _, _) in enumerate(slides)
    )
    audited = tuple(
        AuditedSlide(slide, Size(128, 96), mpp, slide.slide_id, bool(mask) and why != "empty", "c", "p", ())
        for slide, (_, mask, mpp, why) in zip(made, slides, strict=True)
    )
    reasons = {slide.slide_id: why for slide, (*_, why) in zip(made, slides, strict=True) if why}
    small_boxes = {name: why for name, why in reasons.items() if why == "small box"}
    tiles = TileSet(pd.DataFrame(), {}, {name: reasons[name] for name in reasons.keys() - small_boxes}, {}, small_boxes)
    cohort = Cohort(Path(), "table", made, ("A", "B"), ())
    return "\n".join(
        run_warnings(cohort, recipe(*settings), AuditedCohort(audited, ("A", "B"), (), (), ()), tiles, None)
    )


def test_a_cohort_without_masks_is_not_told_that_they_could_not_be_used():
    assert "mask" not in said(("A", "", None, "it has no mask"), ("B", "", None, "it has no mask"))


def test_useless_masks_and_missing_ones_are_counted_apart():
    text = said(
        ("A", "m.png", None, ""), ("A", "n.png", None, "empty"), ("B", "", None, "none"), ("B", "", None, "none")
    )
    assert "The mask of 1 slide could not be used; tiles were cut from tissue" in text
    assert "The masks of 2 slides are missing; tiles were cut from tissue" in text


@pytest.mark.parametrize(("num", "slides"), [(1, "1 slide;"), (3, "3 slides;")])
def test_a_mask_that_the_audit_let_pass_is_not_said_to_be_of_no_use(num, slides):
    text = said(*[("A", "m.png", None, "small box")] * num)
    assert f"No box of the mask reaches tiles.component_box_min=200 on {slides}" in text
    assert "could not be used" not in text
    assert "yield" in said(("A", "m.png", None, "its mask covers 0.1% of the slide but yields no tile"))


@pytest.mark.parametrize(("mpps", "tied"), [((0.25, 0.5), True), ((0.25, 0.25, 0.5, 0.5), False)])
def test_two_scales_are_told_with_the_key_that_makes_them_alike(mpps, tied):
    text = said(*[("AB"[number % 2], "", mpp, "") for number, mpp in enumerate(mpps)])
    assert "different magnifications" in text
    assert "tiles.size_um=8 " in text  # 32 px of 0.25 microns
    assert ("tells the class" in text) == tied


def test_an_average_that_changes_nothing_is_said():
    pixels = ("training.input=tiles", "encoder.name=resnet18", "network.pooling=average")
    assert "network.pooling=average had no effect: resnet18" in said(("A", "", None, ""), settings=pixels)
    assert "no effect" not in said(("A", "", None, ""), settings=(*pixels, "encoder.name=convnext_tiny"))


def test_tiles_cut_by_microns_and_slides_of_one_scale_need_no_word():
    slides = [("A", "", 0.25, ""), ("B", "", 0.5, "")]
    assert "magnification" not in said(*slides, settings=("tiles.size_um=8",))
    assert "magnification" not in said(slides[0], ("B", "", 0.24, ""), ("B", "", None, ""))
