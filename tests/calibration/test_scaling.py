import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewise.calibration.scaling import Scaling


def softmax(logits):
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def drawn(num, *, temperature, weights, seed=0):
    """Labels drawn from true probabilities, and what a model says that is too sure and weighs classes."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(num, len(weights))) * 1.5 + [0.5, 0.0, -1.0]
    truth = np.array([rng.choice(len(weights), p=row) for row in softmax(logits)])
    return softmax(temperature * (logits + np.log(weights))), truth, softmax(logits)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_and_class_weights_are_undone(temperature):
    scores, truth, true = drawn(6000, temperature=temperature, weights=(1.0, 1.0, 2.0))
    scaling = Scaling.fit(scores, truth)
    assert scaling.temperature == pytest.approx(temperature, rel=0.12)
    biases = np.array(scaling.biases)
    assert biases - biases[0] == pytest.approx([0.0, 0.0, -np.log(2.0)], abs=0.15)
    assert np.abs(scaling.apply(scores) - true).mean() < 0.02 < np.abs(scores - true).mean()


@settings(max_examples=25, deadline=None)
@given(st.integers(20, 60), st.integers(0, 1000), st.floats(0.5, 2.0))
def test_no_scaling_nearby_has_less_loss(num, seed, temperature):
    scores, truth, _ = drawn(num, temperature=temperature, weights=(1.0, 2.0, 1.0), seed=seed)

    def loss(scaling):
        own = scaling.apply(scores)[np.arange(num), truth]
        priors = np.square(np.log(scaling.temperature) / 0.5) + np.square(np.divide(scaling.biases, 0.5)).sum()
        return -np.log(own).sum() + priors / 2

    best = Scaling.fit(scores, truth)
    for step in (-0.02, 0.02):
        assert loss(Scaling(best.temperature * (1 + step), best.biases)) > loss(best) - 1e-9
        for index in range(3):
            biases = tuple(bias + step * (index == place) for place, bias in enumerate(best.biases))
            assert loss(Scaling(best.temperature, biases)) > loss(best) - 1e-9


def test_few_slides_change_little_and_none_nothing():
    scores, truth, _ = drawn(4, temperature=5.0, weights=(1.0, 1.0, 1.0))
    assert (
        1.0
        < Scaling.fit(scores, truth).temperature
        < Scaling.fit(*drawn(400, temperature=5.0, weights=(1,) * 3)[:2]).temperature
    )
    nothing = Scaling.fit(scores[:0], truth[:0])
    assert nothing.apply(scores) == pytest.approx(scores, abs=1e-6)


def test_a_slide_s_probabilities_do_not_depend_on_others_and_zeros_are_no_fault():
    scaling = Scaling(0.7, (0.1, -0.2, 0.3))
    scores = np.array([[1.0, 0.0, 0.0], [0.2, 0.3, 0.5]])
    whole = scaling.apply(scores)
    assert np.isfinite(whole).all()
    assert whole.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert scaling.apply(scores[1:]).tolist() == whole[1:].tolist()


def test_what_is_written_is_what_is_read():
    scaling = Scaling(0.7123, (0.1, -0.2, 1 / 3))
    assert Scaling.from_json(json.loads(json.dumps(scaling.to_json()))) == scaling
    for damage in ({"temperature": 0.0}, {"temperature": float("nan")}, {"biases": [float("inf")]}):
        with pytest.raises(ValueError, match="temperature"):
            Scaling.from_json(scaling.to_json() | damage)
