"""Probabilities that mean what they say: a temperature and a bias of each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Standard deviations of the priors, around no change. Of 0.25, 0.5 and 1 this has the least log loss on new slides for
# 40 to 400 slides to fit to: with fewer, one doubtful slide would decide.
_SD_LOG_TEMPERATURE, _SD_BIAS = 0.5, 0.5
_LEAST = 1e-6  # a probability below it is taken for it


@dataclass(frozen=True)
class Scaling:
    """Temperature scaling with a bias of each class: softmax(log p / temperature + bias).

    Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, ICML 2017. The biases undo what class
    weights in a loss or balanced sampling do to the probability of rare classes.

    Attributes:
        temperature: above 1 probabilities become less sure.
        biases: of the classes, in their order.
    """

    temperature: float
    biases: tuple[float, ...]

    @classmethod
    def fit(cls, probabilities_NC: Floats, truth_N: Integers) -> Self:
        """The scaling of the least log loss, drawn towards no change by normal priors on log temperature and biases.

        Args:
            probabilities_NC: of slides that the model did not learn from.
            truth_N: class indices of the slides.
        """
        from scipy.optimize import minimize

        logs_NC = _logs(probabilities_NC)
        truth_NC = np.eye(logs_NC.shape[1])[truth_N]

        def loss(parameters: Floats) -> tuple[float, Floats]:
            inverse, biases_C = float(np.exp(-parameters[0])), parameters[1:]
            scaled_NC = _softmax(logs_NC * inverse + biases_C)
            off_NC = scaled_NC - truth_NC
            own_N = scaled_NC[np.arange(len(truth_N)), truth_N]
            priors = np.square(parameters[0] / _SD_LOG_TEMPERATURE) + np.square(biases_C / _SD_BIAS).sum()
            slope = -inverse * float((off_NC * logs_NC).sum()) + parameters[0] / _SD_LOG_TEMPERATURE**2
            slopes = np.concatenate([[slope], off_NC.sum(axis=0) + biases_C / _SD_BIAS**2])
            return float(-np.log(np.maximum(own_N, np.finfo(float).tiny)).sum() + 0.5 * priors), slopes

        start = np.zeros(1 + logs_NC.shape[1])
        parameters = minimize(loss, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-8, "ftol": 1e-14}).x
        return cls(float(np.exp(parameters[0])), tuple(float(bias) for bias in parameters[1:]))

    def apply(self, probabilities_NC: Floats) -> Floats:
        """Calibrated probabilities, float64 (N, C), each row summing to 1."""
        return _softmax(_logs(probabilities_NC) / self.temperature + np.array(self.biases))

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which `from_json` makes the same scaling."""
        return {"temperature": self.temperature, "biases": list(self.biases)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The scaling of plain data.

        Raises:
            ValueError: the numbers are no scaling.
        """
        temperature, biases = float(data["temperature"]), tuple(float(bias) for bias in data["biases"])
        if not (temperature > 0.0 and np.isfinite([temperature, *biases]).all()):
            raise ValueError(f"a temperature of {temperature} and biases of {biases}")
        return cls(temperature, biases)


def _logs(probabilities_NC: Floats) -> Floats:
    logs_NC: Floats = np.log(np.maximum(np.asarray(probabilities_NC, np.float64), _LEAST))
    return logs_NC


def _softmax(logits_NC: Floats) -> Floats:
    odds_NC = np.exp(logits_NC - logits_NC.max(axis=1, keepdims=True))
    scaled_NC: Floats = odds_NC / odds_NC.sum(axis=1, keepdims=True)
    return scaled_NC
