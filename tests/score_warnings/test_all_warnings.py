"""The warnings of a run: each where it holds, and only there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from tests.drawn import recipe
from tilewise.score_warnings import TRUTH_SCHEMA, RunFacts, run_warnings
from tilewise.synthetic.truth import SCHEMA, TRUTH_FOLDER
from tilewise.tiles.tileset import TileSet


def _slides(use_mask: list[bool]) -> pd.DataFrame:
    names = [f"s{index}" for index in range(len(use_mask))]
    masks = ["m.png"] * len(names)
    columns = {
        "slide": names,
        "label": "A",
        "group": names,
        "mask": masks,
        "use_mask": use_mask,
        "split": None,
        "mpp": None,
    }
    return pd.DataFrame(columns)


def _tiles(regions: dict[str, str], skipped: tuple[str, ...] = ()) -> TileSet:
    table = pd.DataFrame([(name, region) for name, region in regions.items() for _ in range(3)])
    table.columns = ["slide", "region"]
    fallbacks = {name: "no mask" for name, region in regions.items() if region != "mask"}
    return TileSet(table, dict.fromkeys(skipped, "no mask"), fallbacks)


@pytest.fixture
def facts(tmp_path: Path) -> RunFacts:
    """A run that needs no warning."""
    parts = (SimpleNamespace(validation=("s0",), test=("s1",)), SimpleNamespace(validation=("s1",), test=("s0",)))
    folds: Any = SimpleNamespace(folds=parts, retested=frozenset(), num_repeats=1)
    tiles = _tiles({"s0": "mask", "s1": "mask"})
    settings = recipe().model_dump(mode="json")
    return RunFacts(tmp_path, settings, {"weights": "abc"}, _slides([True, True]), {"has_groups": True}, tiles, folds)


def test_repeats_that_test_the_same_slides_together_again_are_named(facts: RunFacts) -> None:
    folds: Any = SimpleNamespace(folds=2 * facts.folds.folds, retested=frozenset({"s0"}), num_repeats=2)
    (sentence,) = run_warnings(replace(facts, folds=folds))
    assert sentence.startswith("1 of 2 slides (50%) is tested with exactly the same slides in several of the 2 repeats")


def test_nothing_is_said_without_need(facts: RunFacts) -> None:
    assert run_warnings(facts) == ()
    assert run_warnings(replace(facts, temperatures=(144.7, 922.0))) == (), "lda is flattened as a rule"


@pytest.mark.parametrize(
    ("change", "start"),
    [
        ({"encoder": {"weights": "random, seed 0"}}, "The encoder has random weights"),
        ({"audit": {"has_groups": False}}, "No patient or group column: every slide counts as its own patient."),
        (
            {"audit": {"dropped": ["s2"]}},
            "1 slide dropped, by the audit or by decisions; audit/report.html shows which and why.",
        ),
        (
            {"audit": {"relabelled": {"s0": "B"}}},
            "1 slide carries a label of decisions.csv, and the score is on those.",
        ),
        ({"audit": {"inverted_masks": "5 of 9 masks"}}, "5 of 9 masks"),
        ({"slides": _slides([True, True]).assign(split=["test", None])}, "The table's `split` column was not used"),
        ({"temperatures": (144.7, 1000.0, 999.9)}, "In 2 of 3 folds the head found next to nothing"),
        ({"stain": "1 of 9 slides keeps its own colours."}, "1 of 9 slides keeps its own colours."),
        ({"cohort_warnings": ("group `1` and `1.0` are spellings of one group",)}, "group `1` and `1.0`"),
        (
            {"slides": _slides([True] * 9).assign(label=["oscc"] * 8 + ["osc"])},
            "Class 'osc' has 1 slide and is spelled almost like 'oscc' with 8",
        ),
        (
            {"slides": _slides([True] * 9).assign(label=["Benign"] * 8 + ["Benigns"])},
            "Class 'Benigns' has 1 slide and is spelled almost like 'Benign' with 8",
        ),
    ],
)
def test_each_warning(facts: RunFacts, change: dict[str, Any], start: str) -> None:
    (sentence,) = run_warnings(replace(facts, **change))
    assert sentence.startswith(start)


def test_slides_that_are_dropped_by_their_labels_make_the_score_one_of_the_others(facts: RunFacts) -> None:
    recipe = {**facts.recipe, "audit": {**facts.recipe["audit"], "conflicts": "drop"}}
    (sentence,) = run_warnings(replace(facts, audit={"dropped": ["s2"]}, recipe=recipe))
    assert sentence.endswith("the score says nothing of slides whose label is in doubt.")


def test_a_split_that_was_used_needs_no_warning(facts: RunFacts) -> None:
    settings = {**facts.recipe, "folds": {"source": "split"}}
    assert run_warnings(replace(facts, slides=facts.slides.assign(split="train"), recipe=settings)) == ()


def test_folds_without_a_validation_part(facts: RunFacts) -> None:
    parts = (SimpleNamespace(validation=()), SimpleNamespace(validation=("s1",)))
    folds: Any = SimpleNamespace(folds=parts, retested=frozenset())
    assert run_warnings(replace(facts, folds=folds)) == (
        "Fold 0 has no validation part: training ran to its last epoch.",
    )


_TISSUE = "cut from the tissue found by its colour instead"


@pytest.mark.parametrize(
    ("use_mask", "regions", "skipped", "sentence"),
    [
        ([True, True], {"s0": "mask", "s1": "mask"}, (), None),
        (
            [True, False],
            {"s0": "mask", "s1": "tissue"},
            (),
            f"1 of 2 slides has no usable mask (1 empty or at fault): 1 {_TISSUE}.",
        ),
        (
            [False, False, True],
            {"s0": "tissue", "s1": "slide", "s2": "tissue"},
            (),
            (
                "3 of 3 slides have no usable mask (2 empty or at fault, 1 too small for a tile): "
                f"2 {_TISSUE}, 1 cut from the whole slide instead."
            ),
        ),
        (
            [True, False],
            {"s0": "mask"},
            ("s1",),
            "1 of 2 slides has no usable mask (1 empty or at fault): 1 left out, without any tile.",
        ),
    ],
)
def test_slides_without_a_mask_that_can_be_used(
    facts: RunFacts, use_mask: list[bool], regions: dict[str, str], skipped: tuple[str, ...], sentence: str | None
) -> None:
    facts = replace(facts, slides=_slides(use_mask), tiles=_tiles(regions, skipped), failed=frozenset(skipped))
    assert run_warnings(facts) == ((sentence,) if sentence else ())


def test_missing_masks_are_counted_apart_from_useless_ones(facts: RunFacts) -> None:
    slides = _slides([True, False, False, False]).assign(mask=["m.png", "n.png", None, None])
    tiles = _tiles({"s0": "mask", "s1": "tissue", "s2": "tissue", "s3": "tissue"})
    (sentence,) = run_warnings(replace(facts, slides=slides, tiles=tiles))
    assert sentence == f"3 of 4 slides have no usable mask (1 empty or at fault, 2 missing): 3 {_TISSUE}."


def test_the_fault_of_a_mask_is_named(facts: RunFacts) -> None:
    tiles = replace(
        _tiles({"s0": "tissue", "s1": "tissue", "s2": "tissue", "s3": "mask"}),
        fallbacks={
            "s0": "its mask was set aside by decision (mask-full)",
            "s1": "its mask was set aside by decision (mask-full), and the tissue yields no tile either",
            "s2": "its mask is empty",
        },
    )
    slides = _slides([False, False, False, True])
    (sentence,) = run_warnings(replace(facts, slides=slides, tiles=tiles))
    assert sentence == f"3 of 4 slides have no usable mask (1 empty, 2 full): 3 {_TISSUE}."


def test_a_cohort_without_masks_is_not_told_that_they_are_at_fault(facts: RunFacts) -> None:
    slides = _slides([False, False]).assign(mask=None)
    (sentence,) = run_warnings(replace(facts, slides=slides, tiles=_tiles({"s0": "tissue", "s1": "tissue"})))
    assert sentence == f"2 of 2 slides have no usable mask (2 missing): 2 {_TISSUE}."


@pytest.mark.parametrize(("num", "slides"), [(1, "1 slide"), (2, "2 slides")])
def test_a_mask_that_the_audit_let_pass_is_not_said_to_be_at_fault(facts: RunFacts, num: int, slides: str) -> None:
    small_masks = {f"s{number}": "small mask" for number in range(num)}
    (sentence,) = run_warnings(replace(facts, tiles=replace(facts.tiles, small_masks=small_masks)))
    assert sentence.startswith(f"On {slides} the mask is smaller than tiles ask for")


def test_slides_without_a_tile_are_named_where_the_failures_do_not_name_them(facts: RunFacts) -> None:
    tiles = replace(facts.tiles, skipped={"s2": "no tissue", "s3": "no tissue"})
    (sentence,) = run_warnings(replace(facts, tiles=tiles, failed=frozenset({"s3"})))
    assert sentence == "1 slide yields no tile and takes no part: s2 (no tissue)."


@pytest.mark.parametrize(("mpp", "tied"), [((0.25, 0.5), True), ((0.25, 0.25, 0.5, 0.5), False)])
def test_two_scales_are_told_with_the_key_that_makes_them_alike(
    facts: RunFacts, mpp: tuple[float, ...], tied: bool
) -> None:
    labels = ["AB"[number % 2] for number in range(len(mpp))]
    slides = _slides([True] * len(mpp)).assign(label=labels, mpp=mpp)
    (sentence,) = run_warnings(replace(facts, slides=slides))
    assert "different magnifications" in sentence
    assert "tiles.size_um=8 " in sentence  # 32 px of 0.25 microns
    assert ("tells the class" in sentence) == tied
    by_microns = recipe("tiles.size_um=8").model_dump(mode="json")
    assert run_warnings(replace(facts, slides=slides, recipe=by_microns)) == ()
    assert run_warnings(replace(facts, slides=slides.assign(mpp=[0.25, 0.24, None, None][: len(mpp)]))) == ()


def test_keys_that_had_no_effect_are_said(facts: RunFacts) -> None:
    pixels = ("training.input=tiles", "encoder.name=resnet18", "network.pooling=average")
    (sentence,) = run_warnings(replace(facts, recipe=recipe(*pixels).model_dump(mode="json")))
    assert sentence.startswith("network.pooling=average had no effect: resnet18")
    other = recipe(*pixels, "encoder.name=convnext_tiny").model_dump(mode="json")
    assert run_warnings(replace(facts, recipe=other)) == ()


@pytest.mark.parametrize(("column", "start"), [("slide", "Slides are named like"), ("group", "Groups are named like")])
def test_names_that_tell_patients_are_a_warning(facts: RunFacts, column: str, start: str) -> None:
    slides = _slides([True] * 6).assign(**{column: [f"P{number}-{part}" for number in range(3) for part in "ab"]})
    audit = {"has_groups": column == "group"}
    tiles = _tiles(dict.fromkeys(slides["slide"], "mask"))
    warnings = run_warnings(replace(facts, slides=slides, audit=audit, tiles=tiles))
    assert warnings[-1].startswith(start)
    assert "`P0` has 2 " in warnings[-1]


def test_a_drawn_cohort_comes_first(facts: RunFacts) -> None:
    assert TRUTH_SCHEMA == SCHEMA
    folder = facts.root / TRUTH_FOLDER
    folder.mkdir()
    truth = {"schema": SCHEMA, "best_reachable": {"macro_f1": 0.88899}}
    (folder / "truth.json").write_text(json.dumps(truth), encoding="utf-8")
    warnings = run_warnings(replace(facts, audit={"has_groups": False}))
    assert warnings[0].startswith("These slides were drawn by a computer; the labels mean nothing medical.")
    assert warnings[0].endswith("such slides is 0.889.")
    assert len(warnings) == 2


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"schema": "another"}', f'{{"schema": "{TRUTH_SCHEMA}"}}'])
def test_another_file_of_that_name_is_no_drawn_cohort(facts: RunFacts, text: str) -> None:
    (facts.root / "truth").mkdir()
    (facts.root / "truth/truth.json").write_text(text, encoding="utf-8")
    assert run_warnings(facts) == ()
