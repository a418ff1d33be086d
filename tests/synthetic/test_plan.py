from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.plan import plan_cohort


def test_published_cohort_is_met_exactly() -> None:
    plan = plan_cohort(SynthConfig(num_slides=691, num_test_slides=477))
    train = Counter(slide.label for slide in plan.values() if slide.part == "train")
    assert train == {"Luminal A": 205, "Luminal B": 220, "HER2(+)": 189, "Triple negative": 77}
    assert sum(slide.part == "test" for slide in plan.values()) == 477


@given(st.integers(4, 400), st.integers(0, 60), st.integers(0, 2**32))
def test_shares_are_as_exact_as_whole_slides_allow(num: int, num_test: int, seed: int) -> None:
    config = SynthConfig(num_slides=num, num_test_slides=num_test, seed=seed)
    plan = plan_cohort(config)
    assert list(plan) == list(range(num + num_test))
    counts = Counter(slide.label for slide in plan.values() if slide.part == "train")
    assert sum(counts.values()) == num
    for name, weight in config.classes.items():
        assert counts[name] >= 1
        assert abs(counts[name] - num * weight / 691) < 1 or counts[name] == 1 or num < 10


def test_test_indices_have_gaps_and_training_alone_has_none() -> None:
    plan = plan_cohort(SynthConfig(num_slides=50, num_test_slides=20))
    indices = [index for index, slide in plan.items() if slide.part == "test"]
    assert max(indices) - min(indices) > len(indices)
    assert [slide.index for slide in plan_cohort(SynthConfig(num_slides=7)).values()] == list(range(7))


def test_seed_decides_everything() -> None:
    config = SynthConfig(num_slides=30)
    assert plan_cohort(config) == plan_cohort(config)
    assert plan_cohort(config) != plan_cohort(SynthConfig(num_slides=30, seed=1))


def test_names() -> None:
    slide = plan_cohort(SynthConfig())[7]
    assert (slide.image_name, slide.mask_name) == ("img_0007.png", "mask_0007.png")


def test_streams_differ() -> None:
    plan = plan_cohort(SynthConfig())
    draws = {plan[index].stream(number).integers(2**62) for index in range(5) for number in range(5)}
    assert len(draws) == 25
    assert plan[3].stream(2).random() == pytest.approx(plan_cohort(SynthConfig())[3].stream(2).random(), abs=0)
