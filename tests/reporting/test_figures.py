"""The parts of the page, one by one."""

from __future__ import annotations

import base64
import io
import re
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.reporting.conftest import CLASSES
from tilewise import wording
from tilewise.reporting import text
from tilewise.reporting.choose import confident_errors, example_slides, slide_results
from tilewise.reporting.curves import training_curves
from tilewise.reporting.data import Epoch, History, PartSummary, Picture
from tilewise.reporting.headline import headline
from tilewise.reporting.pictures import jpeg_uri, outline, picture_svg
from tilewise.reporting.svg import element, path
from tilewise.reporting.tables import confusion_rows, flat, fold_rows, fold_summary, tile_counts
from tilewise.wording import with_code


def _score(value: float, low: float, high: float) -> dict:
    return {"value": value, "low": low, "high": high}


@pytest.mark.parametrize(
    ("score", "start", "beats_guessing"),
    [
        ((0.7, 0.6, 0.8), "Better than guessing", True),
        ((0.5, 0.3, 0.7), "Not safely told from guessing", False),
        ((0.3, 0.2, 0.4), "No better than guessing", False),
    ],
)
def test_verdict(evaluation: dict, score: tuple[float, float, float], start: str, beats_guessing: bool) -> None:
    changed = deepcopy(evaluation)
    pooled = changed["out_of_fold"]
    pooled["macro_f1"] = _score(*score)
    pooled["baselines"]["random"]["macro_f1"] = _score(0.33, 0.25, 0.41)
    pooled["baselines"]["commonest"]["macro_f1"] = _score(0.17, 0.15, 0.19)
    summary = headline(changed)
    assert summary.verdict.startswith(start)
    assert summary.beats_guessing is beats_guessing
    assert summary.band == (0.25, 0.41)


def test_a_strong_commonest_class_counts_as_guessing(evaluation: dict) -> None:
    changed = deepcopy(evaluation)
    changed["out_of_fold"]["macro_f1"] = _score(0.7, 0.6, 0.8)
    changed["out_of_fold"]["baselines"]["commonest"]["macro_f1"] = _score(0.62, 0.55, 0.68)
    assert not headline(changed).beats_guessing


def test_the_headline_is_of_the_metric_that_the_recipe_names(evaluation: dict) -> None:
    summary = headline({**evaluation, "metric": "weighted_f1"})
    pooled = evaluation["out_of_fold"]
    assert pooled["weighted_f1"]["value"] != pooled["macro_f1"]["value"]
    assert summary.value == f"{pooled['weighted_f1']['value']:.2f}"
    assert summary.rows[-1].value == pooled["baselines"]["random"]["weighted_f1"]["value"]
    assert summary.subject.startswith("Weighted F1 over 40 slides")
    assert f"{pooled['baselines']['commonest']['weighted_f1']['value']:.2f}" in summary.verdict


def test_headline_rows(evaluation: dict) -> None:
    summary = headline(evaluation)
    assert [row.label for row in summary.rows] == [
        "Out of fold, pooled", "Hold-out", "Each fold by itself", "Always the commonest class", "Guessing at random",
    ]  # fmt: skip
    assert summary.rows[0].value == evaluation["out_of_fold"]["macro_f1"]["value"]
    assert summary.rows[2].dots == tuple(scores["macro_f1"]["value"] for scores in evaluation["folds"])
    assert summary.rows[2].low is None
    assert "40 slides of 20 groups" in summary.subject


def test_the_weakest_class_and_the_share_that_is_right(evaluation: dict) -> None:
    changed = deepcopy(evaluation)
    pooled = changed["out_of_fold"]
    pooled["confusion"]["counts"], pooled["num_slides"] = [[9, 0, 1], [4, 5, 3], [0, 0, 12]], 34
    for row, value in zip(pooled["per_class"].values(), (0.8, 0.516, 0.9), strict=True):
        row["f1"]["value"] = value
    summary = headline(changed)
    assert summary.right == "26 of 34 slides (76 %) were predicted right."
    assert summary.weakest == f"Weakest class: {CLASSES[1]}, F1 0.52; 5 of 12 slides found."
    assert summary.value == f"{pooled['macro_f1']['value']:.2f}"


def test_a_class_without_slides_is_not_the_weakest(evaluation: dict) -> None:
    changed = deepcopy(evaluation)
    rows = list(changed["out_of_fold"]["per_class"].values())
    rows[0].update(support=0, f1=_score(0.0, 0.0, 0.0))
    assert CLASSES[0] not in headline(changed).weakest
    for row in rows[1:]:
        row["f1"]["value"] = 1.0
    assert headline(changed).weakest == "No class is weaker than the others: each has an F1 of 1.00."


def test_confusion_rows() -> None:
    rows = confusion_rows({"labels": ["a", "b"], "counts": [[3, 1], [0, 0]]})
    assert [row.total for row in rows] == [4, 0]
    assert [(cell.count, cell.share, cell.right) for cell in rows[0].cells] == [(3, 0.75, True), (1, 0.25, False)]
    assert [cell.share for cell in rows[1].cells] == [None, None]


@given(
    losses=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30),
    num_folds=st.integers(1, 3),
    with_select=st.booleans(),
)
def test_curves_stay_inside_their_chart(losses: list[float], num_folds: int, with_select: bool) -> None:
    epochs = tuple(
        Epoch(number, loss, loss / 2 if with_select else None, 0.5 if with_select else None)
        for number, loss in enumerate(losses, start=1)
    )
    curves = training_curves([History(fold, epochs, len(losses)) for fold in range(num_folds)], "Macro F1")
    assert len(curves) == num_folds
    assert (curves[0].score is not None) is with_select
    charts = [curves[0].loss, curves[0].score] if with_select else [curves[0].loss]
    for chart in charts:
        width, height = map(float, re.findall(r'viewBox="0 0 (\S+) (\S+)"', chart)[0])
        for points in re.findall(r' d="([^"]+)"', chart):
            for x, y in re.findall(r"[ML](\S+) (\S+)", points):
                assert 0 <= float(x) <= width
                assert 0 <= float(y) <= height


def test_curves_share_their_scale() -> None:
    short, long = (
        History(0, (Epoch(1, 1.0), Epoch(2, 0.5))),
        History(1, (Epoch(1, 4.0), Epoch(9, 0.5))),
    )
    first, second = training_curves([short, long], "Macro F1")
    ends = [
        re.findall(r"L(\S+) (\S+)", re.findall(r' d="([^"]+)"', chart)[0])[-1] for chart in (first.loss, second.loss)
    ]
    assert ends[0][1] == ends[1][1]  # the same loss lies on the same height
    assert float(ends[0][0]) < float(ends[1][0])  # and a later epoch further right
    assert training_curves([History(0, ())], "Macro F1") == []


def test_jpeg_holds_the_picture() -> None:
    rgb = np.full((32, 48, 3), (230, 180, 200), np.uint8)
    rgb[:, :24] = (90, 40, 120)
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(jpeg_uri(rgb).partition(",")[2]))))
    assert np.abs(decoded.astype(int) - rgb).max() < 40
    assert np.abs(decoded.astype(int) - rgb).mean() < 3


def test_outline_of_a_region_with_a_hole() -> None:
    mask = np.zeros((30, 40), bool)
    mask[5:25, 10:40] = True
    mask[12:18, 20:30] = False
    hole, outer = sorted(outline(mask), key=lambda polygon: max(x for x, _ in polygon))
    assert (min(x for x, _ in outer), max(x for x, _ in outer)) == (10.5, 39.5)
    assert (min(y for _, y in outer), max(y for _, y in outer)) == (5.5, 24.5)
    assert min(x for x, _ in hole) == pytest.approx(20, abs=1)
    assert max(y for _, y in hole) == pytest.approx(18, abs=1)
    assert outline(np.zeros((5, 5), bool)) == []


def test_picture_without_tiles_or_mask() -> None:
    svg = picture_svg(Picture(np.zeros((4, 6, 3), np.uint8)), label="a <b>", anchor="x-1")
    assert 'viewBox="0 0 6 4"' in svg
    assert "<path" not in svg
    assert "a &lt;b&gt;" in svg


def test_svg_escapes_and_rounds() -> None:
    assert element("text", "<&", x=1.23456, class_='a"b', text_anchor=None) == (
        '<text x="1.23" class="a&#34;b">&lt;&amp;</text>'
    )
    assert element("g", element("line", x1=2.0)) == '<g><line x1="2"/></g>'
    assert path([(0, 0.5), (10.0, 2)], closed=True) == "M0 0.5 L10 2 Z"


def test_tile_counts() -> None:
    counts = tile_counts({"a": 3, "b": 0, "c": 70, "d": 3})
    assert counts is not None
    assert (counts.num_tiles, counts.num_slides, counts.num_empty, counts.least, counts.middle, counts.most) == (
        76, 3, 1, 3, 3, 70,
    )  # fmt: skip
    assert sum(number for _, _, number, _ in counts.bins) == 3
    assert len(counts.bins) <= 24
    assert all(first <= last for first, last, _, _ in counts.bins)
    assert tile_counts({"a": 0}) is None


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=30))
@settings(max_examples=50)
def test_every_slide_falls_into_one_bin(counts: list[int]) -> None:
    histogram = tile_counts({str(index): count for index, count in enumerate(counts)})
    if histogram is None:
        assert not any(counts)
        return
    for first, last, number, height in histogram.bins:
        assert number == sum(first <= count <= last and count > 0 for count in counts)
        assert 0 <= height <= 1
    assert max(height for *_, height in histogram.bins) == 1


def test_fold_rows_and_flat() -> None:
    parts = [PartSummary(0, "train", {}, 1), PartSummary(0, "test", {}, 1), PartSummary(None, "holdout", {}, 1)]
    rows = fold_rows(parts)
    assert [(row.title, len(row.parts)) for row in rows] == [("Fold 0", 2), ("Hold-out", 1)]
    nested = {"a": 1, "b": {"c": {"d": [1, 2]}, "e": None}}
    assert flat(nested) == [("a", "1"), ("b.c.d", "1, 2"), ("b.e", "None")]


def test_fold_summary() -> None:
    sizes = {"train": (26, 30), "validation": (7, 7), "test": (8, 12)}
    parts = [PartSummary(fold, name, {"a": both[fold]}, 1) for name, both in sizes.items() for fold in (0, 1)]
    assert fold_summary(parts) == "2 folds; train 26–30, validation 7, test 8–12 slides"
    holdout = PartSummary(None, "holdout", {"a": 4, "b": 5}, 1)
    assert fold_summary([*parts, holdout]).endswith("test 8–12, hold-out 9 slides")


def test_numbers() -> None:
    assert text.number(0.12345) == "0.12"
    assert text.number(0.12345, 3) == "0.123"
    assert text.number(None) == "–"
    assert text.interval(_score(0.5, 0.25, 0.75)) == "0.25 to 0.75"
    assert text.mean_and_spread({"mean": 0.5, "std": None, "num_folds": 1}) == "0.50"
    assert text.percent(0.456) == "46 %"
    assert [text.count(n, noun) for n, noun in ((1, "slide"), (0, "slide"), (3, "class"), (2000, "tile"))] == [
        "1 slide", "0 slides", "3 classes", "2\N{NARROW NO-BREAK SPACE}000 tiles",
    ]  # fmt: skip
    assert wording.count(2000, "tile") == "2000 tiles"


def test_backticks_become_code() -> None:
    assert with_code("set `a<b` & go") == "set <code>a&lt;b</code> &amp; go"
    assert with_code("an odd ` <i>") == "an odd ` &lt;i&gt;"


def test_confident_errors_come_in_order(predictions: pd.DataFrame) -> None:
    errors = confident_errors(predictions, most=5)
    wrong = predictions[predictions["label"] != predictions["predicted"]]
    highest = wrong[[f"p_{name}" for name in CLASSES]].max(axis=1).sort_values(ascending=False)
    assert [result.probability for result in errors] == pytest.approx(highest.head(5).tolist())
    assert not any(result.right for result in errors)
    assert {result.fold for result in slide_results(predictions)} == {0, 1, 2, 3, None}


def test_examples_run_from_sure_to_unsure(predictions: pd.DataFrame) -> None:
    examples = example_slides(predictions, CLASSES, per_class=3)
    assert [result.label for result in examples] == [name for name in CLASSES for _ in range(3)]
    for name in CLASSES:
        own = predictions[predictions["label"] == name][f"p_{name}"]
        probabilities = [result.label_probability for result in examples if result.label == name]
        assert probabilities[0] == own.max()
        assert probabilities[-1] == own.min()
        assert probabilities == sorted(probabilities, reverse=True)
    few = predictions[predictions["label"] != CLASSES[0]].head(1)
    assert len(example_slides(few, CLASSES)) == 1
