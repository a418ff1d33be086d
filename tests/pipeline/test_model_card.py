"""A run's model card."""

import re
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import pytest

import tilewise as tw
from tests.test_docs import ROOT
from tilewise.errors import UsageError
from tilewise.metrics import METRIC_NAMES
from tilewise.pipeline import model_card
from tilewise.pipeline.model_card import FILL, INTENDED_USE
from tilewise.run_folder import RunFolder


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with zipfile.ZipFile(ROOT / "tests/fixtures/v0.1.0/run.zip") as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def card(run_folder, tmp_path_factory):
    return tw.api.model_card(run_folder, tmp_path_factory.mktemp("card")).read_text("utf-8")


def test_figures_are_those_of_the_run(run_folder, card):
    scores = tw.Run.open(run_folder).evaluation.out_of_fold
    assert INTENDED_USE in card
    assert "has no score of its own" in card
    assert all(note in card for note in scores.notes)
    assert "cohort.csv" not in card, "how the folder was read stands in the report of the audit"
    for metric, name in METRIC_NAMES.items():
        assert f"| {name} | {scores.estimate(metric)} |" in card
    for name, own in scores.per_class.items():
        assert f"| {name} | {own.support} | {own.precision} |" in card
    assert f"- {scores.num_slides} slides in {scores.num_groups} groups" in card
    for warning in tw.Run.open(run_folder).warnings:
        assert warning in card


def test_what_no_file_tells_is_left_to_a_person(card):
    assert card.count(FILL) == 7
    for word in ("scanners", "consent", "labels", "licence that it is given under", "other origin", "harms"):
        assert re.search(rf"{re.escape(FILL)}.*{word}", card), word


def test_no_cell_of_a_table_ends_it(run_folder, tmp_path, monkeypatch):
    evaluation = tw.Run.open(run_folder).evaluation
    group = SimpleNamespace(column="site", value="Berlin | Mitte\nCharité", num_slides=3, score=1.0)
    odd = replace(evaluation, subgroups=(group,))
    monkeypatch.setattr(model_card.Evaluation, "read", lambda _: odd)
    written = model_card.write_model_card(RunFolder(run_folder), tmp_path).read_text("utf-8")
    assert "| site | Berlin \\| Mitte Charité | 3 | 1.0 |\n" in written


def test_a_card_falls_on_no_other_file(run_folder, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        tw.api.model_card(run_folder, tmp_path)
