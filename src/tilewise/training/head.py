"""Training of a head on the features of one fold."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tilewise.compute import default_threads, reproducible
from tilewise.folds import derived_seed
from tilewise.metrics import PrimaryMetric
from tilewise.models import FoldModel, HeadConfig, Standardisation
from tilewise.training.bags import BagSamples
from tilewise.training.data import FeatureData
from tilewise.training.fitted_heads.fit_head import fit_head
from tilewise.training.history import STOPPED, EpochRow, History, SeedRow, notes
from tilewise.training.samples import Samples, TileSamples
from tilewise.training.scores import score_probabilities, selection_loss
from tilewise.training_config.training import TrainingConfig
from tilewise.training_loop import (
    Ema,
    EpochTotals,
    Loss,
    Mixer,
    Record,
    Trainer,
    TrainingProgress,
    build_optimizer,
    build_schedule,
    penalty,
)

Trained = TypeVar("Trained")
_MOST_BYTES = 4 << 30  # of features that trainings side by side hold


def train_head(
    data: FeatureData,
    head: HeadConfig,
    config: TrainingConfig,
    *,
    seed: int,
    name: str = "the fold",
    metric: PrimaryMetric = "macro_f1",
) -> tuple[FoldModel, History]:
    """Train a head on `data.train`, keep the epoch that does best on `data.validation`.

    The loss of a tile counts by the weight of its class and its share of its slide. Where the head sees one vector
    per slide (`head.aggregate`) a sample is a whole slide, and counts by the weight of its class. Heads of kind lda and
    logistic have no epochs; see `fit_head`. Without a validation part training runs its full length and the last epoch
    is kept. With `config.num_seeds` so many heads are trained, side by side where there are processors for it, each of
    which keeps its own best epoch. The same data, configs and seed give the same model, to the bit, on one machine,
    whatever the number of processors; and a head is the same however many others are trained beside it.

    Args:
        data: features and labels of the parts train and validation.
        head: what is trained.
        config: how.
        seed: of initial weights, order of samples and dropout; of several heads, of the first one, and the others draw
            theirs from it.
        name: what messages call the fold.
        metric: that epochs are scored by on validation.

    Raises:
        TrainingError: the loss is no longer finite; names the fold, epoch, step and slides.
    """
    num_context = 0 if data.train.context_SE is None else data.train.context_SE.shape[1]
    if head.takes_slide_vectors:
        data = data.of_slides(head.statistics)
    if not head.learns_in_epochs:
        model, fits = fit_head(data, head, config, seed=seed, metric=metric)
        return replace(model, num_context=num_context), fits
    seeds = [seed, *(derived_seed(seed, number) for number in range(1, config.num_seeds))]
    rows: list[EpochRow] = []
    messages: dict[str, None] = {}
    weights: dict[str, NDArray[Any]] = {}
    several, num_threads = len(seeds) > 1, config.epoch_config.num_threads or 1

    def trained(number: int) -> tuple[Standardisation, TrainingProgress[EpochRow]]:
        objective = _HeadObjective(data, head, config, torch.Generator().manual_seed(seeds[number]), metric)
        progress = _train(objective, data, config, f"{name}, seed {number}" if several else name)
        return objective.samples.standardisation, progress

    with reproducible(num_threads):
        trainings = _side_by_side(trained, len(seeds), data, num_threads)
    for number, (_, progress) in enumerate(trainings):
        assert progress.best is not None
        prefix, label = (f"{number}.", f"seed {number}: ") if several else ("", "")
        weights |= {prefix + key: tensor.numpy() for key, tensor in progress.best.weights.items()}
        rows += [SeedRow(**asdict(row), seed=number) if several else row for row in progress.marked()]
        own_notes = notes(progress.rows, config, data.classes, data.train, data.validation)
        messages |= dict.fromkeys(label * note.startswith(STOPPED) + note for note in own_notes)
    standardisation, _ = trainings[0]
    model = FoldModel(data.classes, head, standardisation, weights, num_context=num_context, num_seeds=config.num_seeds)
    return model, History(tuple(rows), tuple(messages))


def _side_by_side(trained: Callable[[int], Trained], num: int, data: FeatureData, num_threads: int) -> list[Trained]:
    """What becomes of each number, in their order.

    Each training holds standardised features of its own, so that they run side by side as far as these fit into memory.
    """
    room = max(1, _MOST_BYTES // max(1, data.train.features_ND.nbytes + data.validation.features_ND.nbytes))
    num_workers = min(num, default_threads() // num_threads, room)
    if num_workers < 2:
        return [trained(number) for number in range(num)]
    with ThreadPoolExecutor(num_workers, initializer=torch.set_num_threads, initargs=(num_threads,)) as pool:
        futures = [pool.submit(trained, number) for number in range(num)]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)  # one has failed, so that the others need not go on
            raise


def _train(
    objective: _HeadObjective, data: FeatureData, config: TrainingConfig, name: str
) -> TrainingProgress[EpochRow]:
    """Train one head."""
    epoch_config, step, module = config.epoch_config, config.step, objective.samples.module
    rate, epochs = epoch_config.learning_rate, epoch_config.epochs
    optimizer = build_optimizer(config.optimizer, _parameter_groups(module, config), learning_rate=rate)
    steps = math.ceil(objective.num_batches / step.accumulate)
    trainer = Trainer(
        objective,
        module,
        optimizer,
        build_schedule(config.schedule, optimizer, learning_rate=rate, num_epochs=epochs, steps_per_epoch=steps),
        epochs=epochs,
        patience=epoch_config.patience if data.validation.num_slides else None,
        accumulate=step.accumulate,
        clip_norm=step.clip_norm,
        ema=Ema.of(module, step),
    )
    progress = TrainingProgress(EpochRow, Record(name))
    trainer.run(progress)
    return progress


class _HeadObjective:
    """Samples of features and their loss; see `Objective`."""

    loss_name = "loss"
    advice = "lower training.learning_rate or training.weight_decay, or look for absurd features of these slides"

    def __init__(
        self,
        data: FeatureData,
        head: HeadConfig,
        config: TrainingConfig,
        generator: torch.Generator,
        metric: PrimaryMetric,
    ) -> None:
        self._data, self._config, self._generator, self._metric = data, config, generator, metric
        self.samples: Samples = (BagSamples if head.attends else TileSamples)(data, head, config, generator)
        self._loss = Loss(config.loss, self.samples.class_weights_C)
        self._mixer = Mixer(config.mixup)
        self._tile_share = head.instance_weight

    @property
    def num_batches(self) -> int:
        """See `Objective`."""
        return self.samples.num_batches

    def batches(self, epoch: int) -> Generator[tuple[Tensor, Tensor]]:
        """See `Objective`; a batch is the positions of its samples."""
        del epoch  # the generator alone decides
        self.samples.module.train()
        for batch in self.samples.sampler.draw(self._generator).tensor_split(self.num_batches):
            yield batch, batch

    def losses(self, batch: Tensor) -> tuple[Tensor, ...]:
        """See `Objective`; mixed and penalised as the config says."""
        samples = self.samples
        targets_BC, weights_B = samples.targets_MC[batch], samples.weights_M[batch]
        vectors_BD, tile_loss = samples.vectors(batch)
        mix = self._mixer.draw(len(batch), self._generator)
        if mix is not None:
            vectors_BD = mix.features(vectors_BD)
            targets_BC, weights_B = mix.targets(targets_BC, weights_B)
        loss = self._loss(samples.head(vectors_BD), targets_BC, weights_B)
        if tile_loss is not None:
            loss = (1.0 - self._tile_share) * loss + self._tile_share * tile_loss
        more = penalty(self._config.loss, samples.module.parameters())
        return (loss if more is None else loss + more,)

    def name_slides(self, samples: Tensor) -> str:
        """See `Objective`."""
        return self._data.train.name_slides(self.samples.tiles(samples).numpy())

    def score(self, epoch: int, totals: EpochTotals, learning_rate: float) -> tuple[EpochRow, float | None]:
        """See `Objective`; loss and metric over the slides of validation."""
        validation = self._data.validation
        scores: tuple[float | None, float | None] = (None, None)
        if validation.num_slides:
            self.samples.module.eval()
            with torch.inference_mode():
                probabilities_SC = self.samples.predict_validation()
            scores = score_probabilities(probabilities_SC, validation, self.samples.class_weights_C, self._metric)
        row = EpochRow(epoch + 1, totals.means[0], *scores, learning_rate=learning_rate)
        return row, selection_loss(row, self._config.select_by)


def _parameter_groups(module: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
    """Parameters by their factor on the rate and their decay; each group costs a call in every step."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for layer in module.modules():
        for parameter in layer.parameters(recurse=False):
            matrix = parameter.ndim >= 2
            factor = 1.0 / math.sqrt(parameter[0].numel()) if matrix else 1.0
            # Decay apart from the gradient is taken by the undivided rate; biases and norms are not decayed.
            undivided = 1.0 if config.optimizer.kind in {"adam", "sgd"} else factor
            decay = config.weight_decay / undivided if matrix else 0.0
            groups.setdefault((factor, decay), []).append(parameter)
    return [{"params": some, "factor": factor, "weight_decay": decay} for (factor, decay), some in groups.items()]
