import pytest

from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.plan import plan_cohort
from tilewise.synthetic.slide import DrawnSlide, draw_slide

CONFIG = SynthConfig(num_slides=4, min_side_px=384, seed=11)


@pytest.fixture(scope="session")
def slide() -> DrawnSlide:
    """A small clean slide."""
    return draw_slide(CONFIG, plan_cohort(CONFIG)[1])
