"""Losses of mixed labels, weighted by class and by sample; penalties on weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tilewise.training_loop.config import LossConfig

ClassWeighting = Literal["none", "inverse", "sqrt"]

_EXPONENTS: dict[ClassWeighting, float] = {"none": 0.0, "sqrt": 0.5, "inverse": 1.0}


def build_loss(config: LossConfig, class_counts_C: NDArray[np.number]) -> Loss:
    """The loss of a config, with class weights from the counts of the train part.

    Args:
        config: which loss.
        class_counts_C: slides (or tiles) of each class in the train part.
    """
    return Loss(config, class_weights(config, class_counts_C))


def class_weights(config: LossConfig, class_counts_C: NDArray[np.number]) -> NDArray[np.float64]:
    """Weight of each class in the loss; a class that does not occur has 0 and does not count among the classes.

    `effective` is (1 - beta) / (1 - beta^n), scaled to sum to the number of classes (Cui et al., Class-balanced loss
    based on effective number of samples, CVPR 2019). For the other rules see `inverse_frequency_weights`.
    """
    if config.class_weights != "effective":
        return inverse_frequency_weights(class_counts_C, config.class_weights)
    present_C = class_counts_C > 0
    effective_C = -np.expm1(class_counts_C * np.log(max(config.effective_beta, np.finfo(np.float64).tiny)))
    raw_C = np.divide(1.0, effective_C, out=np.zeros(len(class_counts_C)), where=present_C)
    weights_C: NDArray[np.float64] = raw_C * (present_C.sum() / raw_C.sum())
    return weights_C


def inverse_frequency_weights(counts_C: NDArray[np.number], weighting: ClassWeighting) -> NDArray[np.float64]:
    """Weight of each class in the loss.

    `inverse` is total / (classes * count), King and Zeng's (2001) rule and scikit-learn's "balanced"; `sqrt` its root.
    A class that does not occur has the weight 0 and does not count among the classes.

    Args:
        counts_C: slides (or tiles) of each class in the train part.
        weighting: which rule.
    """
    present_C = counts_C > 0
    balanced_C = np.divide(
        counts_C.sum(), present_C.sum() * counts_C, out=np.zeros(len(counts_C)), where=present_C, dtype=np.float64
    )
    return np.where(present_C, balanced_C ** _EXPONENTS[weighting], 0.0)


class Loss:
    """Cross-entropy or focal loss of soft labels: the mean over the batch of weight times loss.

    The loss of a sample is -sum over c of weight_c t_c (1 - p_c)^gamma log p_c, with gamma 0 for cross-entropy and t
    the smoothed label: term by term what `torch.nn.functional.cross_entropy` gives for `weight` and `label_smoothing`,
    in which the smoothed share of every class has the weight of that class. For hard labels it is Lin et al., Focal
    loss for dense object detection, ICCV 2017. The sum is divided by the number of samples and not by their weights, so
    that a weight means the same in every batch.

    Args:
        config: which loss. Its `class_weights` is a rule for the function of that name; here only `weights_C` counts.
        weights_C: weight of each class; None: all 1.
    """

    def __init__(self, config: LossConfig, weights_C: NDArray[np.float64] | None = None) -> None:
        self._smoothing = config.label_smoothing
        self._gamma = config.focal_gamma if config.kind == "focal" else 0.0
        self._weights_C = None if weights_C is None else torch.from_numpy(np.array(weights_C, dtype=np.float32))

    def __call__(self, logits_BC: Tensor, targets_BC: Tensor, weights_B: Tensor | None = None) -> Tensor:
        """The loss, a float32 scalar (float64 for float64 logits).

        Args:
            logits_BC: of the network, in any floating type.
            targets_BC: shares of the classes, each row summing to 1.
            weights_B: weight of each sample, class weights left out; None: all 1.
        """
        losses_B = self.each(logits_BC, targets_BC)
        return losses_B.mean() if weights_B is None else (losses_B * weights_B.to(losses_B)).mean()

    def each(self, logits_BC: Tensor, targets_BC: Tensor) -> Tensor:
        """The loss of every sample, class weights included and sample weights not."""
        # torch's cross_entropy multiplies in another order, so that smoothed and mixed labels would get other bits; and
        # focal loss needs the terms.
        dtype = logits_BC.dtype if logits_BC.dtype == torch.float64 else torch.float32
        log_BC = logits_BC.to(dtype).log_softmax(dim=1)
        mass_BC = targets_BC.to(log_BC)
        if self._smoothing:
            mass_BC = (1.0 - self._smoothing) * mass_BC + self._smoothing / logits_BC.shape[1]
        if self._weights_C is not None:
            mass_BC = mass_BC * self._weights_C.to(log_BC)
        if self._gamma:
            # 1 - p from its own logarithm would lose digits near p = 1; expm1 keeps them, and the clamp the gradient.
            wrong_BC = (-torch.expm1(log_BC)).clamp_min(torch.finfo(dtype).tiny)
            log_BC = wrong_BC**self._gamma * log_BC
        return -(mass_BC * log_BC).sum(dim=1)


def penalty(config: LossConfig, parameters: Iterable[nn.Parameter]) -> Tensor | None:
    """What L1 and L2 add to the loss: l1 sum |w| + l2 sum w^2 over trained weights, biases and norms left out.

    Returns:
        A scalar, or None where both are 0.
    """
    if not (config.l1 or config.l2):
        return None
    weights = [parameter for parameter in parameters if parameter.requires_grad and parameter.ndim > 1]
    terms = [config.l1 * weight.abs().sum() + config.l2 * weight.square().sum() for weight in weights]
    return torch.stack(terms).sum() if terms else None


def hard_targets(labels_B: Tensor, num_classes: int) -> Tensor:
    """Labels int64 (B,) as shares float32 (B, C), what `Loss` takes."""
    return nn.functional.one_hot(labels_B, num_classes).to(torch.float32)
