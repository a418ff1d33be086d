"""Training of a network on the tiles of one fold, on one device or several."""

from __future__ import annotations

import torch

from tilewise.compute import find_device
from tilewise.metrics import PrimaryMetric
from tilewise.models.networks import NetworkModel, TileNetwork
from tilewise.training.augment import AugmentConfig
from tilewise.training.history import History
from tilewise.training.networks.data import PixelData
from tilewise.training.networks.distributed import train_together
from tilewise.training.networks.engine import num_devices
from tilewise.training.networks.objective import NetworkTraining, train_share
from tilewise.training.networks.worker import Worker
from tilewise.training_config.training import TrainingConfig
from tilewise.training_loop import Record


def train_network(
    network: TileNetwork,
    data: PixelData,
    config: TrainingConfig,
    augment: AugmentConfig | None = None,
    *,
    seed: int,
    record: Record | None = None,
    metric: PrimaryMetric = "macro_f1",
) -> tuple[NetworkModel, History]:
    """Train a network in place on `data.train`, keep the epoch that does best on `data.validation`.

    The loss of a tile counts by the weight of its class and its share of its slide. Without a validation part
    training runs its full length and the last epoch is kept. Order, variations, mixtures and dropout follow from
    seed, epoch and batch alone, so that a training that was stopped after any epoch and resumed from its folder ends
    as one that was not: on a processor to the bit, with the same number of threads. Several devices each have a process
    of their own, and the network then has the weights of the epoch that is kept.

    Args:
        network: with its first weights.
        data: tiles and labels of the parts train and validation; `redraw` of train gives each epoch its own views.
        config: how.
        augment: how tiles are varied; None leaves them as they are.
        seed: of order, variations, mixtures and dropout.
        record: what messages call the training, and where its state is kept; None keeps nothing.
        metric: that epochs are scored by on validation.

    Returns:
        The model of the epoch that is kept, its `origin` naming device and threads, and what happened.

    Raises:
        TrainingError: the loss is no longer finite (names the fold, epoch, step, learning rate and slides), or the
            network cannot be compiled, or one of several processes died.
        UsageError: a device is not there, or batches are too small to be shared by so many.
    """
    training = NetworkTraining(config, augment or AugmentConfig(), seed, record or Record(), metric)
    device = find_device(config.engine.device, config.step.precision)
    num = num_devices(config, device)
    if num > 1:
        model, history = train_together(NetworkModel.of(network, data.classes), data, training, num)
        network.load_state_dict({name: torch.from_numpy(array) for name, array in model.weights.items()})
        return model, history
    return train_share(network, data, training, Worker(device=device))
