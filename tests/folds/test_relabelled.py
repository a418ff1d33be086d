"""Labels corrected by decision: the folds stay, so that runs before and after are compared fold by fold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.folds.test_make import cohort
from tilewise.auditing.cohort import AuditedCohort, AuditedSlide, AuditOrigin
from tilewise.auditing.config import AuditConfig
from tilewise.auditing.finding import Decisions, Findings
from tilewise.cohort import Cohort, Slide
from tilewise.folds import FoldItem, FoldsConfig, make_folds
from tilewise.units import Size

TABLE = cohort({"A": 24, "B": 18, "C": 3}, per_group=2)


def audit(labels: dict[str, str]) -> AuditedCohort:
    """An audit of the table in which decisions gave some slides another label."""
    slides = [Slide(item.slide_id, Path(item.slide_id), label=item.label, group=item.group) for item in TABLE]
    origin = AuditOrigin(
        Cohort(Path("cohort"), "table", tuple(slides), ("A", "B", "C"), ()), AuditConfig(), None, (), None, None, {}
    )
    corrected = [replace(slide, label=labels.get(slide.slide_id, slide.label)) for slide in slides]
    items = tuple(AuditedSlide(s, Size(8, 8), None, str(s.group), True, "", "", ()) for s in corrected)
    return AuditedCohort(items, ("A", "B", "C"), Findings(()), Decisions(()), (), origin=origin)


@pytest.mark.parametrize(
    "options", [{"num_folds": 3}, {"num_folds": 3, "holdout_fraction": 0.2}, {"kind": "holdout"}], ids=str
)
@pytest.mark.parametrize("labels", [{"s000": "B"}, {"s000": "B", "s007": "B", "s030": "A"}, {"s042": "D"}], ids=str)
def test_the_same_slides_and_seed_give_the_same_folds(options: dict[str, object], labels: dict[str, str]) -> None:
    config = FoldsConfig.model_validate(options)
    before, after = (make_folds(FoldItem.of_cohort(audit(one)), config, seed=0) for one in ({}, labels))
    assert (after.folds, after.holdout) == (before.folds, before.holdout)
    assert {item.slide_id: item.label for item in after.items if item.slide_id in labels} == labels


def test_a_class_that_exists_by_decision_alone_is_a_class_of_the_run_and_said_to_be_rare() -> None:
    folds = make_folds(FoldItem.of_cohort(audit({"s000": "D"})), FoldsConfig(num_folds=3), seed=0)
    assert folds.classes == ("A", "B", "C", "D")
    assert any(note.startswith("class D has 1 group (1 slide)") for note in folds.notes)
