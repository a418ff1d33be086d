"""The whole page: it is well formed, loads nothing, escapes everything and says every number."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.report.conftest import CLASSES

from tilewise.report.data import AuditSummary, CohortSummary, ReportInput, TileSummary
from tilewise.report.render import render_report

_VOID = {"meta", "br", "link", "img", "input", "hr", "source", "base", "embed"}


class _Reader(HTMLParser):
    """Checks nesting, and collects tags, attributes and text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert not reader.open, f"left open: {reader.open}"
    return reader


def _words(reader: _Reader) -> str:
    return " ".join(" ".join(reader.text).split())


def test_page_is_well_formed(report_input: ReportInput) -> None:
    page = render_report(report_input)
    reader = _read(page)
    assert page.startswith("<!DOCTYPE html>")
    assert len(reader.ids) == len(set(reader.ids))
    targets = {value[1:] for tag, found in reader.tags if tag == "a" and (value := found["href"])}
    assert targets <= set(reader.ids)
    assert "<title>Needle cores</title>" in page


def test_page_loads_nothing(report_input: ReportInput) -> None:
    page = render_report(report_input)
    assert not re.search(r"https?:|//[a-z]+\.|url\(|@import|<script|<link|<iframe|javascript:", page)
    for tag, found in _read(page).tags:
        assert "src" not in found
        assert not any(name.startswith("on") for name in found)
        if tag == "image":
            assert (found["href"] or "").startswith("data:image/jpeg;base64,")


def test_same_input_same_bytes(report_input: ReportInput) -> None:
    assert render_report(report_input) == render_report(report_input)


def test_every_number_is_there(report_input: ReportInput) -> None:
    words = _words(_read(render_report(report_input)))
    pooled, holdout = report_input.evaluation["out_of_fold"], report_input.evaluation["holdout"]
    for scores in (pooled, holdout):
        value = scores["macro_f1"]
        assert f"{value['value']:.3f} {value['low']:.3f} to {value['high']:.3f}" in words
    for name in ("macro_f1", "weighted_f1", "balanced_accuracy", "accuracy", "auroc_macro"):
        assert f"{pooled[name]['value']:.2f} {pooled[name]['low']:.2f} to {pooled[name]['high']:.2f}" in words
        mean = report_input.evaluation["fold_mean"][name]
        assert f"{mean['mean']:.3f} ± {mean['std']:.3f}" in words
        for baseline in pooled["baselines"].values():
            assert f"{baseline[name]['value']:.3f} {baseline[name]['low']:.2f} to {baseline[name]['high']:.2f}" in words
    for scores in report_input.evaluation["folds"]:
        assert f"{scores['macro_f1']['value']:.2f} {scores['macro_f1']['low']:.2f}" in words
    for name, row in pooled["per_class"].items():
        assert name in words
        for metric in ("precision", "recall", "f1", "auroc"):
            assert f"{row[metric]['value']:.2f} {row[metric]['low']:.2f} to {row[metric]['high']:.2f}" in words
    for counts in pooled["confusion"]["counts"]:
        for number in counts:
            assert f"{number} {round(100 * number / sum(counts))} %" in words
    for note in (*pooled["notes"], *holdout["notes"], *report_input.fold_notes, *report_input.cohort.notes):
        assert note in words


def test_everything_of_the_input_is_there(report_input: ReportInput) -> None:
    words = _words(_read(render_report(report_input)))
    for text in (
        "random weights", "img_0200.png tiles cannot be decoded; copy it again", "img_0100.png no tissue",
        "img_0101.png mask is empty", "Windows of 224 px.", "size_px: 224", "packages.torch 2.13", "3 exact-copy",
        "48 of 48 slides share a group.", "someone", "run first", "recipe default", "encoder texture", "my_cohort",
        "1 slide failed", "kept epoch 5",
    ):  # fmt: skip
        assert text in words, text
    for slide in (*report_input.slides, *report_input.confident_errors):
        assert slide.slide in words
        assert f"{slide.probability:.2f}" in words


def test_pictures_are_embedded_with_tiles_and_mask(report_input: ReportInput) -> None:
    tags = _read(render_report(report_input)).tags
    images = [found for tag, found in tags if tag == "image"]
    assert len(images) == len(report_input.slides)
    assert report_input.slides[0].picture is not None
    data = base64.b64decode((images[0]["href"] or "").partition(",")[2])
    shown = np.asarray(Image.open(io.BytesIO(data)))
    assert shown.shape == (40, 60, 3)
    tiles = [found["d"] or "" for tag, found in tags if tag == "path" and found["class"] == "tile"]
    assert tiles[0].count("Z") == 2
    assert tiles[0].startswith("M20 10 L35 10 L35 25 L20 25 Z")
    assert sum(tag == "path" and found["class"] == "mask" for tag, found in tags) == len(report_input.slides)


_HOSTILE = "</td><script>alert('1')</script>&\"<b>"


def _poison(value: Any) -> Any:
    """The same data with every text replaced by something that must be escaped."""
    if isinstance(value, str):
        return value + _HOSTILE
    if is_dataclass(value) and not isinstance(value, type):
        kept = {"rgb_HWC", "tiles", "mask_HW"} if type(value).__name__ == "Picture" else {"evaluation"}
        return replace(
            value,
            **{field.name: _poison(getattr(value, field.name)) for field in fields(value) if field.name not in kept},
        )
    if isinstance(value, tuple):
        return tuple(_poison(item) for item in value)
    if isinstance(value, dict):
        return {key + _HOSTILE: _poison(item) for key, item in value.items()}
    return value


def test_every_text_is_escaped(report_input: ReportInput) -> None:
    poisoned = _poison(report_input)
    pooled = report_input.evaluation["out_of_fold"]
    poisoned = replace(
        poisoned,
        evaluation={
            **report_input.evaluation,
            "classes": [name + _HOSTILE for name in CLASSES],
            "out_of_fold": {
                **pooled,
                "per_class": {name + _HOSTILE: row for name, row in pooled["per_class"].items()},
                "notes": [note + _HOSTILE for note in pooled["notes"]],
            },
            "confusion": {**pooled["confusion"], "labels": [name + _HOSTILE for name in CLASSES]},
        },
    )
    page = render_report(poisoned)
    reader = _read(page)
    assert "<script" not in page
    assert "<b>alert" not in page
    assert page.count("&lt;script&gt;") > 50
    assert _HOSTILE in " ".join(reader.text)


def test_smallest_input(report_input: ReportInput) -> None:
    """One fold, nothing to show, scores that are not defined."""
    undefined = {"value": None, "low": None, "high": None}
    scores = {**report_input.evaluation["out_of_fold"], "notes": []}
    scores = {**scores, "auroc_macro": undefined, "macro_f1": undefined}
    scores["baselines"] = {
        name: {**baseline, "auroc_macro": undefined} for name, baseline in scores["baselines"].items()
    }
    mean = {name: {"mean": None, "std": None, "num_folds": 0} for name in report_input.evaluation["fold_mean"]}
    evaluation = {**report_input.evaluation, "out_of_fold": scores, "folds": [scores], "fold_mean": mean}
    del evaluation["holdout"]
    smallest = ReportInput(
        title="t",
        run="r",
        recipe="p",
        encoder="e",
        evaluation=evaluation,
        cohort=CohortSummary(".", "a folder", {}, {}),
        audit=AuditSummary({}, (), ""),
        tiles=TileSummary({}),
        parts=(),
    )
    reader = _read(render_report(smallest))
    words = _words(reader)
    assert "No slide has a tile." in words
    assert "The score is not defined on these slides." in words
    assert "Most confidently wrong" not in words
    assert not {"training", "errors", "failures"} & set(reader.ids)


@pytest.mark.parametrize("num_classes", [2, 9])
def test_any_number_of_classes(report_input: ReportInput, num_classes: int) -> None:
    counts = np.arange(num_classes**2).reshape(num_classes, num_classes).tolist()
    names = [f"class {index}" for index in range(num_classes)]
    evaluation = {
        **report_input.evaluation, "classes": names, "confusion": {"labels": names, "counts": counts}
    }  # fmt: skip
    reader = _read(render_report(replace(report_input, evaluation=evaluation)))
    cells = [found for tag, found in reader.tags if tag == "td" and (found.get("class") or "").startswith("cell")]
    assert len(cells) == num_classes**2
