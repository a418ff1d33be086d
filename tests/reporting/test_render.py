"""The whole page: it is well formed, loads nothing, escapes everything and says every number."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.reporting.conftest import CLASSES
from tilewise.evaluation.doubtful_labels import DoubtfulLabel
from tilewise.evaluation.interval import Estimate
from tilewise.evaluation.resample import METRICS
from tilewise.reporting.data import AuditSummary, CohortSummary, FitRow, History, ReportInput, TileSummary
from tilewise.reporting.render import render_report
from tilewise.shortcuts.find_shortcuts import Shortcuts, TraitScore

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
        if self.open and self.open[-1] not in {"style", "script"}:
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
    targets = {value[1:] for tag, attributes in reader.tags if tag == "a" and (value := attributes["href"])}
    assert targets <= set(reader.ids)
    assert "<title>Needle cores</title>" in page


def test_page_loads_nothing(report_input: ReportInput) -> None:
    page = render_report(report_input)
    assert not re.search(r"https?:|//[a-z]+\.|url\(|@import|<link|<iframe|javascript:|fetch\(|import\(", page)
    for tag, attributes in _read(page).tags:
        assert "src" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        if tag == "image":
            assert (attributes["href"] or "").startswith("data:image/jpeg;base64,")


def test_the_only_script_is_the_one_that_the_policy_names(report_input: ReportInput) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", page := render_report(report_input), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'\"" in page
    assert page.count("<script") == 1


def test_same_input_same_bytes(report_input: ReportInput) -> None:
    assert render_report(report_input) == render_report(report_input)


def test_every_number_is_there(report_input: ReportInput) -> None:
    words = _words(_read(render_report(report_input)))
    pooled, holdout = report_input.evaluation["out_of_fold"], report_input.evaluation["holdout"]
    for scores in (pooled, holdout):
        value = scores["macro_f1"]
        assert f"{value['value']:.2f} {value['low']:.2f} to {value['high']:.2f}" in words
    first = pooled["macro_f1"]
    assert f"{first['value']:.2f} Macro F1 {first['low']:.2f} to {first['high']:.2f}" in words
    for name in METRICS:
        assert f"{pooled[name]['value']:.2f} {pooled[name]['low']:.2f} to {pooled[name]['high']:.2f}" in words
        mean = report_input.evaluation["fold_mean"][name]
        assert f"{mean['mean']:.2f} ± {mean['std']:.2f}" in words
        for baseline in pooled["baselines"].values():
            assert f"{baseline[name]['value']:.2f} {baseline[name]['low']:.2f} to {baseline[name]['high']:.2f}" in words
    for fold, scores in enumerate(report_input.evaluation["folds"]):
        values = " ".join(f"{scores[name]['value']:.2f}" for name in ("macro_f1", "balanced_accuracy", "auroc_macro"))
        assert f" {fold} {scores['num_slides']} {scores['num_groups']} {values} " in words
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
        "1 slide failed", "kept epoch 5", "seed 17", "tilewise 1.2.3", "date 2031-05-04", "a table, cohort.csv",
        "Research report. Not a medical device", "(tiles overlap)", "mask not used; tissue instead",
        "1 fold; train 12, validation 12, test 12, hold-out 6 slides",
    ):  # fmt: skip
        assert text in words, text
    for slide in (*report_input.slides, *report_input.confident_errors):
        assert slide.slide in words
        verdict = "right" if slide.right else "wrong"
        assert f"{verdict}: predicted {slide.predicted}, probability {slide.probability:.2f}" in words


def test_pictures_are_embedded_with_tiles_and_mask(report_input: ReportInput) -> None:
    tags = _read(render_report(report_input)).tags
    images = [attributes for tag, attributes in tags if tag == "image"]
    assert len(images) == len(report_input.slides)
    assert report_input.slides[0].picture is not None
    data = base64.b64decode((images[0]["href"] or "").partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    assert pixels.shape == (40, 60, 3)
    tiles = [attributes["d"] or "" for tag, attributes in tags if tag == "path" and attributes["class"] == "tile"]
    assert tiles[0].count("Z") == 2
    assert tiles[0].startswith("M20 10 L35 10 L35 25 L20 25 Z")
    assert sum(tag == "path" and attributes["class"] == "mask" for tag, attributes in tags) == len(report_input.slides)


_HOSTILE = "</td><script>alert('1')</script>&\"<b>"


def _poison(value: Any) -> Any:
    """The same data with every text replaced by something that must be escaped."""
    if isinstance(value, str):
        return value + _HOSTILE
    if is_dataclass(value) and not isinstance(value, type):
        exempt = {"rgb_HWC", "tiles", "mask_HW"} if type(value).__name__ == "Picture" else {"evaluation"}
        return replace(
            value,
            **{field.name: _poison(getattr(value, field.name)) for field in fields(value) if field.name not in exempt},
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
                "confusion": {**pooled["confusion"], "labels": [name + _HOSTILE for name in CLASSES]},
            },
            "confusion": {**pooled["confusion"], "labels": [name + _HOSTILE for name in CLASSES]},
        },
    )
    page = render_report(poisoned)
    reader = _read(page)
    assert page.count("<script") == 1
    assert "<b>alert" not in page
    assert page.count("&lt;script&gt;") > 50
    assert _HOSTILE in " ".join(reader.text)


def _without_intervals(data: Any) -> Any:
    if isinstance(data, list | tuple):
        return [_without_intervals(one) for one in data]
    if not isinstance(data, dict):
        return data
    ends = {"low": None, "high": None} if {"value", "low", "high"} <= data.keys() else {}
    return {name: _without_intervals(one) for name, one in data.items()} | ends


def test_scores_without_intervals_have_a_dash(report_input: ReportInput) -> None:
    """Runs of four groups have been written with a value between two nulls."""
    evaluation = _without_intervals(json.loads(json.dumps(report_input.evaluation)))
    reader = _read(render_report(replace(report_input, evaluation=evaluation)))
    assert "Whether it is better than guessing cannot be told: the score has no interval" in _words(reader)


@pytest.mark.parametrize("refits", [True, False])
def test_what_becomes_of_validation_is_said(report_input: ReportInput, refits: bool) -> None:
    fitted = History(0, (), fits=(FitRow(is_kept=True),))
    words = _words(_read(render_report(replace(report_input, histories=(fitted,), ladder=(), refits=refits))))
    assert "is scored and decides nothing" in words
    assert ("the head is then fitted again to both" in words) == refits


def test_suggestions_of_labels_are_not_called_sure(report_input: ReportInput) -> None:
    doubt = DoubtfulLabel("s", "A", "B", 0.3, 0.442, 0)
    words = _words(_read(render_report(replace(report_input, doubtful_labels=(doubt,)))))
    assert "unsure where what they suggest has a low probability" in words
    assert "Suggestions go by calibrated probabilities" in words


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
    cells = [
        attributes
        for tag, attributes in reader.tags
        if tag == "td" and (attributes.get("class") or "").startswith("cell")
    ]
    assert len(cells) == num_classes**2


def _box(reader: _Reader) -> str:
    words = _words(reader)
    return words.partition("What to know before reading on")[2].partition("labelled slides of")[0]


def test_the_highest_losses_come_first_with_the_mean_of_each_class(report_input: ReportInput) -> None:
    words = _words(_read(render_report(report_input)))
    section = words[words.index("The loss of a slide is") :]
    evaluation = report_input.evaluation
    places = [section.index(f" {row['slide']} {row['label']} ") for row in evaluation["highest_losses"][:20]]
    assert places == sorted(places)
    for name, row in evaluation["out_of_fold"]["per_class"].items():
        assert f" {name} {row['support']} {row['log_loss']:.2f} " in section
    former = {key: value for key, value in evaluation.items() if key not in {"highest_losses", "metric"}}
    assert "The loss of a slide is" not in render_report(replace(report_input, evaluation=former))


def test_the_note_on_auroc_stands_beside_it_alone(report_input: ReportInput) -> None:
    pooled = {**report_input.evaluation["out_of_fold"], "notes": ["AUROC compares models.", "Folds were cut twice."]}
    evaluation = {**report_input.evaluation, "out_of_fold": pooled}
    reader = _read(render_report(replace(report_input, evaluation=evaluation)))
    assert "Folds were cut twice." in _box(reader)
    assert "AUROC compares" not in _box(reader)
    assert _words(reader).count("AUROC compares models.") == 1


@pytest.mark.parametrize(("num_groups", "is_few"), [(18, True), (48, False)])
def test_few_groups_are_named_beside_the_score(report_input: ReportInput, num_groups: int, is_few: bool) -> None:
    pooled = report_input.evaluation["out_of_fold"]
    notes = [f"Only {num_groups} groups: rough."] if is_few else []
    pooled = {**pooled, "num_groups": num_groups, "interval": {**pooled["interval"], "unit": "group"}, "notes": notes}
    page = render_report(replace(report_input, evaluation={**report_input.evaluation, "out_of_fold": pooled}))
    score = page.partition('id="score"')[2].partition("</section>")[0]
    assert score.count("Only 18 groups: with fewer than 30") == is_few
    assert "rough.</li>" not in score


def test_an_interval_of_a_class_that_says_nothing_is_not_shown(report_input: ReportInput) -> None:
    pooled = report_input.evaluation["out_of_fold"]
    name, row = next(iter(pooled["per_class"].items()))
    long_row = {**row, "auroc": {"value": 0.99, "low": 0.12, "high": 0.997}}
    pooled = {**pooled, "per_class": {**pooled["per_class"], name: long_row}}
    words = _words(
        _read(render_report(replace(report_input, evaluation={**report_input.evaluation, "out_of_fold": pooled})))
    )
    assert f"0.99 too few {pooled['interval']['unit']}s for an interval" in words
    assert "0.12 to 1.00" not in words


def test_every_heading_has_its_word_in_the_navigation(report_input: ReportInput) -> None:
    page = render_report(report_input)
    named = re.findall(r'<a href="#\w+">([^<]+)</a>', page.partition("<nav")[2].partition("</nav>")[0])
    headings = re.findall(r"<section[^>]*>\s*<h2>([^<]+)</h2>", page)
    assert named == headings
    assert "How it was made" in headings


def test_an_audit_without_findings_says_what_it_looked_for(report_input: ReportInput) -> None:
    clean = replace(report_input, audit=AuditSummary({}, (), ""))
    assert "missing and conflicting labels. Nothing was found." in _words(_read(render_report(clean)))
    assert "Nothing was found" not in _words(_read(render_report(report_input)))


def test_the_author_is_named_where_a_person_decided(report_input: ReportInput) -> None:
    own = tuple(replace(row, author="tilewise") for row in report_input.audit.decisions)
    alone = replace(report_input, audit=replace(report_input.audit, decisions=own))
    assert "<th>By</th>" in render_report(report_input)
    assert "<th>By</th>" not in render_report(alone)


@pytest.mark.parametrize("has_groups", [True, False])
def test_groups_nobody_gave_are_not_counted(report_input: ReportInput, has_groups: bool) -> None:
    cohort = CohortSummary("c", "a folder", {"a": 3}, {"a": 3}, num_groups=3, has_groups=has_groups)
    words = _words(_read(render_report(replace(report_input, cohort=cohort))))
    assert ("in 3 groups" in words) is has_groups
    assert ("Slides of one group never fall in two parts" in words) is has_groups


def test_probabilities_below_a_half_are_not_set_off(report_input: ReportInput) -> None:
    one = replace(report_input.slides[0], label=CLASSES[0], predicted=CLASSES[0])
    for probability, number in ((0.49, 0), (0.5, 1)):
        data = replace(report_input, slides=(replace(one, probability=probability),), confident_errors=())
        assert render_report(data).count('class="sure"') == number


def _luminance(colour: tuple[float, ...]) -> float:
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in colour]
    return float(np.dot((0.2126, 0.7152, 0.0722), linear))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_figures_of_the_confusion_are_read_on_every_shade(report_input: ReportInput, scheme: int) -> None:
    style = render_report(report_input).partition("<style>")[2].partition("</style>")[0]

    def colour(name: str) -> tuple[float, ...]:
        text = re.findall(rf"--{name}: #(\w{{6}});", style)[scheme]
        return tuple(int(text[start : start + 2], 16) / 255 for start in (0, 2, 4))

    deepest = float(re.findall(r"--deepest: (\d+)%;", style)[scheme]) / 100
    assert "calc(var(--share) * var(--deepest)), var(--faint))" in style
    ink = _luminance(colour("ink"))
    for share in np.linspace(0, deepest, 20):
        shade = _luminance(
            tuple(share * a + (1 - share) * b for a, b in zip(colour("accent"), colour("faint"), strict=True))
        )
        assert (max(ink, shade) + 0.05) / (min(ink, shade) + 0.05) >= 4.5


def test_labels_in_doubt_are_listed_with_what_relabelling_does(report_input):
    rows = tuple(DoubtfulLabel(f"s{number}.png", "A", "B", 0.1, 0.8, 2) for number in range(25))
    page = render_report(replace(report_input, doubtful_labels=rows))
    assert 'href="#doubts"' in page
    assert "The first 20;" in page
    assert "s19.png" in page
    assert "s20.png" not in page
    assert "raises the score, even if every new label is wrong" in page
    assert "None: no out-of-fold prediction" in render_report(replace(report_input, doubtful_labels=()))
    without = render_report(report_input)
    assert 'id="doubts"' not in without
    assert "tilewise[doubts]" in without


def test_groups_and_columns_of_the_table_have_their_scores(report_input):
    page = render_report(report_input)
    assert "Group by group" not in page  # every group of the fixture has several labels
    assert 'id="subgroups"' not in page
    value = {"value": 0.123, "low": 0.1, "high": 0.2}
    row = {"column": "site", "value": "<north>", "num_slides": 7, "num_groups": 5, "score": value, "accuracy": value}
    more = {"subgroups": [row], "by_group": report_input.evaluation["out_of_fold"] | {"num_slides": 17}}
    page = render_report(replace(report_input, evaluation=report_input.evaluation | more))
    assert "Group by group<br><small>17 groups" in page
    assert 'id="subgroups"' in page
    assert "&lt;north&gt;" in page


def test_each_finding_stands_with_what_tests_it_and_nothing_is_said_where_nothing_was_found(report_input):
    trait = TraitScore("ink", Estimate(0.47, 0.31, 0.63), 0.19, 0.48, 0.002)
    shortcuts = Shortcuts((trait,), (), 45)
    warnings = ("random weights", *shortcuts.warnings())
    page = render_report(replace(report_input, shortcuts=shortcuts, warnings=warnings))
    assert "What tests it" in page
    assert page.count("Besides the tissue, ink tells the label.") == 2, "first in the box, which leads to the section"
    assert shortcuts.warnings()[0] not in page
    assert "The label can be told" not in page
    assert "<code>--set audit.ink=drop</code>" in page
    quiet = render_report(replace(report_input, shortcuts=Shortcuts((replace(trait, p_value=0.5),), (), 45)))
    assert "None of 1 thing besides the tissue tells the label" in quiet
    assert "What tests it" not in quiet
    assert "<summary>What was tried</summary>" in quiet


def test_a_slide_of_several_lists_is_marked_in_each(report_input):
    worst = report_input.confident_errors[0].slide
    doubt = DoubtfulLabel(worst, "A", "B", 0.1, 0.8, 2)
    page = render_report(replace(report_input, doubtful_labels=(doubt,)))
    sections = {name: page.partition(f'<section id="{name}">')[2].partition("</section>")[0] for name in _LISTS}
    assert '<a href="#doubts">label in doubt</a>, <a href="#losses">high loss</a>' in sections["errors"]
    assert '<a href="#errors">confidently wrong</a>, <a href="#losses">high loss</a>' in sections["doubts"]
    assert '<a href="#errors">confidently wrong</a>, <a href="#doubts">label in doubt</a>' in sections["losses"]


_LISTS = ("errors", "doubts", "losses")
