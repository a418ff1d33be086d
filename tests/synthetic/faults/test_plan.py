from collections import Counter

import pytest

from tilewise.errors import UsageError
from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.faults.blobs import BLOB_COLOURS
from tilewise.synthetic.faults.plan import FaultySlide, clean_slides, plan_faults
from tilewise.synthetic.plan import plan_cohort

CONFIG = SynthConfig(num_slides=160, num_test_slides=20, faults=10, seed=3)


def faulty(config: SynthConfig) -> list[FaultySlide]:
    return [slide for slide in plan_faults(config).values() if isinstance(slide, FaultySlide)]


def test_no_faults_no_difference() -> None:
    config = SynthConfig(num_slides=20, num_test_slides=5, seed=3)
    assert plan_faults(config) == plan_cohort(config)


def test_clean_slides_are_as_many_as_were_asked_for() -> None:
    clean = clean_slides(plan_faults(CONFIG)).values()
    assert Counter(slide.part for slide in clean) == {"train": 160, "test": 20}


def test_ten_of_each_kind_and_one_slide_each() -> None:
    slides = faulty(CONFIG)
    counts = Counter(slide.fault for slide in slides)
    assert min(counts.values()) >= 10
    assert set(counts) >= {"cartoon", "exact-copy", "near-copy", "ink", "mask-on-ink", "pen", "section", "stranger"}
    assert len({slide.image_name for slide in slides}) == len(slides)
    assert {slide.family.split("/")[0] for slide in slides if slide.fault == "ink"} == set(BLOB_COLOURS)
    assert sum(slide.family.startswith("green/") for slide in slides if slide.fault == "ink") >= 10


def test_every_twin_is_clean_and_copied_once() -> None:
    plan = plan_faults(CONFIG)
    clean = clean_slides(plan)
    twins = [slide.twin for slide in faulty(CONFIG) if slide.twin is not None]
    assert all(clean[twin.index] == twin and twin.part == "train" for twin in twins)
    assert len({twin.index for twin in twins}) == len(twins)


def test_labels_of_pairs() -> None:
    slides = [slide for seed in range(8) for slide in faulty(CONFIG.model_copy(update={"seed": seed}))]
    differ = Counter((slide.fault, slide.twin.label != slide.label) for slide in slides if slide.twin is not None)
    assert 0.6 < differ["cartoon", True] / (differ["cartoon", True] + differ["cartoon", False]) < 0.9
    assert 0.15 < differ["near-copy", True] / (differ["near-copy", True] + differ["near-copy", False]) < 0.45
    assert differ["section", True] == differ["in-both", True] == differ["name-family", True] == 0


def test_indices_do_not_tell_faulty_slides() -> None:
    slides = faulty(CONFIG)
    total = len(plan_faults(CONFIG))
    mean = sum(slide.index for slide in slides) / len(slides)
    assert abs(mean / total - 0.5) < 0.08


def test_both_parts_only_where_there_are_two() -> None:
    both = [slide for slide in faulty(CONFIG) if slide.fault == "in-both"]
    assert len(both) == 10
    assert all(slide.part == "test" and slide.twin is not None and slide.twin.part == "train" for slide in both)
    alone = faulty(CONFIG.model_copy(update={"num_test_slides": 0}))
    assert not any(slide.fault == "in-both" for slide in alone)


def test_too_few_clean_slides() -> None:
    with pytest.raises(UsageError, match=r"copy \d+ clean slides, there are 20; ask for at least"):
        plan_faults(SynthConfig(num_slides=20, faults=10))
