from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import confusion_matrix, f1_score

from tilewise.synthetic.bound import best_reachable, macro_f1
from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.latents import draw_latents, posterior, priors


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_macro_f1_is_that_of_sklearn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = zip(*pairs, strict=True)
    confusion = confusion_matrix(truth, predicted, labels=range(4)) / len(pairs)
    expected = f1_score(truth, predicted, labels=range(4), average="macro", zero_division=0.0)
    assert macro_f1(confusion) == pytest.approx(expected)


def test_falls_with_difficulty() -> None:
    scores = [best_reachable(SynthConfig(difficulty=d), num_draws=20_000).macro_f1 for d in np.linspace(0, 1, 9)]
    assert all(easier > harder for easier, harder in pairwise(scores))
    assert scores[0] > 0.99
    # Without signal, guessing by class frequency gives every class an F1 of its own share.
    assert scores[-1] == pytest.approx(0.25, abs=0.005)


def test_middle_difficulty_is_hard_but_worth_it() -> None:
    assert 0.85 < best_reachable(SynthConfig()).macro_f1 < 0.90


@pytest.mark.parametrize("difficulty", [0.5, 0.75, 0.9])
def test_nobody_beats_it_on_fresh_draws(difficulty: float) -> None:
    config = SynthConfig(difficulty=difficulty)
    bound = best_reachable(config)
    rng = np.random.default_rng(99)
    labels = rng.choice(4, size=60_000, p=priors(config))
    latents = draw_latents(config, labels, rng)
    learned = LinearDiscriminantAnalysis(priors=np.full(4, 0.25)).fit(latents[:30_000], labels[:30_000])
    assert f1_score(labels[30_000:], learned.predict(latents[30_000:]), average="macro") < bound.macro_f1 + 0.008
    assert bound.macro_f1 >= bound.macro_f1_of_likeliest_class - 0.003
    # The rule itself reaches what it promises.
    assert macro_f1(bound.rule.confusion(posterior(config, latents), labels)) == pytest.approx(bound.macro_f1, abs=0.01)


def test_maximising_rule_beats_the_likeliest_class_where_classes_are_rare() -> None:
    bound = best_reachable(SynthConfig(difficulty=0.85, classes={"common": 9.0, "rare": 1.0}))
    assert bound.macro_f1 > bound.macro_f1_of_likeliest_class + 0.03


def test_two_equal_classes_have_a_closed_form() -> None:
    bound = best_reachable(SynthConfig(difficulty=0.7, classes={"a": 1.0, "b": 1.0}))
    expected = norm.cdf(6.8 * 0.3 / 2)
    assert bound.accuracy == pytest.approx(expected, abs=0.005)
    assert bound.macro_f1 == pytest.approx(expected, abs=0.006)
