"""Planted shortcuts are named in a cohort of real files, and cohorts without one are left alone."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.drawn import draw_cohort
from tilewise.auditing.audit_cohort import audit_cohort
from tilewise.auditing.config import AuditConfig
from tilewise.cohort import Cohort
from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.interval import Estimate
from tilewise.reporting.shortcuts import shortcut_chart
from tilewise.shortcuts.find_shortcuts import Shortcuts, TraitScore, describe_shortcuts, find_shortcuts
from tilewise.shortcuts.traits import slide_traits

NUM = 24
# Of the drawn slides even numbers are A and odd ones B.
SITES = ["north" if number % 2 == (number % 11 == 0) else "south" for number in range(NUM)]
AGES = [str(30 + number * 7 % 40) for number in range(NUM)]


def audited(folder):
    return audit_cohort(Cohort.discover(folder), AuditConfig())


def names(cohort):
    return [item.slide_id for item in cohort.slides]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Slides whose label shows in the tissue alone, and a column that has to do with nothing."""
    folder = draw_cohort(tmp_path_factory.mktemp("plain"), num_slides=NUM, columns={"age": AGES})
    return audited(folder)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The glass of A is yellower, and most of A come from one site."""
    folder = draw_cohort(tmp_path_factory.mktemp("planted"), num_slides=NUM, columns={"site": SITES, "age": AGES})
    for number in range(0, NUM, 2):
        path = folder / "images" / f"img_{number:04d}.png"
        image = cv2.imread(str(path))
        glass = image.min(axis=2) > 200
        image[glass, 0] -= 9
        cv2.imwrite(str(path), image)
    return audited(folder)


def test_what_was_planted_is_named(planted):
    shortcuts = find_shortcuts(planted, names(planted), EvaluationConfig(), seed=0)
    telling = {one.name for one in shortcuts.traits if one.is_told}
    assert {"colour of the glass", "column `site`"} <= telling
    assert "column `age`" not in telling
    assert len(shortcuts.warnings()) == len(telling)
    assert any("told from the colour of the glass alone: macro F1" in sentence for sentence in shortcuts.warnings())
    assert any("from the column `site` alone: it gives the true class" in sentence for sentence in shortcuts.warnings())
    lead = describe_shortcuts(replace(shortcuts, traits=tuple(one for one in shortcuts.traits if one.is_told) * 2))
    assert lead.count(" and ") == 1
    (glass,) = [sentence for sentence in shortcuts.warnings() if "the glass alone" in sentence]
    assert "That may be the tissue: of a slide that tissue fills to its edges it is the colour" in glass
    assert shortcuts.num_slides == NUM
    assert len({(one.guess_low, one.guess_high) for one in shortcuts.traits}) == 1


def test_nothing_is_named_where_nothing_was_planted(plain):
    shortcuts = find_shortcuts(plain, names(plain), EvaluationConfig(), seed=0)
    assert {one.name for one in shortcuts.traits} >= {"column `age`", "mask outline"}
    assert shortcuts.warnings() == ()
    assert describe_shortcuts(shortcuts).startswith("None of ")


def test_features_that_tell_a_site_are_named_and_others_are_not(planted):
    rng = np.random.default_rng(0)
    site = {item.slide_id: item.slide.extra["site"] == "north" for item in planted.slides}
    noise = {name: rng.normal(size=30).astype(np.float32) for name in site}
    telling = {name: vector + 2.0 * site[name] for name, vector in noise.items()}
    for vectors, is_told in ((telling, True), (noise, False)):
        shortcuts = find_shortcuts(planted, names(planted), EvaluationConfig(), vectors=vectors, seed=0)
        assert [(one.name, one.is_told) for one in shortcuts.columns] == [("column `site`", is_told)]
        assert any("The features tell it, too." in sentence for sentence in shortcuts.warnings()) == is_told


def test_the_file_holds_everything(planted, tmp_path):
    shortcuts = find_shortcuts(planted, names(planted), EvaluationConfig(), seed=0)
    shortcuts.write(tmp_path / "shortcuts.json")
    assert Shortcuts.read(tmp_path / "shortcuts.json") == shortcuts
    evaluation = {"out_of_fold": {"macro_f1": {"value": 0.5, "low": 0.4, "high": 0.6}}}
    chart = shortcut_chart(shortcuts, evaluation)
    assert [row.value for row in chart.rows] == [0.5, *(one.macro_f1.value for one in shortcuts.traits)]


def test_ink_before_its_repair_mask_size_and_file_are_measured(planted):
    item = planted.slides[0]
    facts = planted.facts[item.slide_id]
    assert facts.num_bytes == item.slide.path.stat().st_size
    assert len(facts.mask.shape) == 7
    assert all(200 < channel <= 255 for channel in facts.quality.glass)
    inked = {
        one.slide_id: replace(
            planted.facts[one.slide_id], ink=replace(facts.ink, area_share=0.1 * (number % 2), tissue_share=0.0)
        )
        for number, one in enumerate(planted.slides)
    }
    traits = slide_traits(replace(planted, facts=inked), planted.slides)
    assert "ink" in [trait.name for trait in traits]
    shortcuts = find_shortcuts(replace(planted, facts=inked), names(planted), EvaluationConfig(), seed=0)
    assert next(one for one in shortcuts.traits if one.name == "ink").is_told


def test_of_slides_without_an_audit_the_columns_of_the_table_are_known(planted):
    columns = [trait.name for trait in slide_traits(planted, planted.slides) if trait.name.startswith("column")]
    assert [trait.name for trait in slide_traits(replace(planted, facts={}), planted.slides)] == columns


def test_a_warning_names_what_was_tested_where_predicted_classes_do_not_show_it():
    trait = TraitScore("file size", Estimate(0.47, 0.31, 0.63), 0.19, 0.48, 0.002, 0.41, 0.33, is_least=True)
    (sentence,) = Shortcuts((trait,), (), 45).warnings()
    assert "a probability of 0.410, and shuffled labels one of 0.330 (p at most 0.002)" in sentence
    assert "The predicted classes alone do not settle it (macro F1 0.47 (0.31 to 0.63)" in sentence
    (above,) = Shortcuts((replace(trait, macro_f1=Estimate(0.55, 0.4, 0.7)),), (), 45).warnings()
    assert "The predicted classes lie above guessing, but their interval reaches into it (macro F1 0.55" in above
    (former,) = Shortcuts((replace(trait, true_probability=None, is_least=False),), (), 45).warnings()
    assert "(p 0.002)" in former
    (plain,) = Shortcuts((replace(trait, macro_f1=Estimate(0.7, 0.5, 0.8)),), (), 45).warnings()
    assert "alone: macro F1 0.70" in plain
    assert plain.endswith("To test it, save all slides anew in one format and quality, and train again.")
    (site,) = Shortcuts((replace(trait, name="column `site`"),), (), 45).warnings()
    assert "`--set folds.kind=leave_one_out --set folds.column=site`" in site
