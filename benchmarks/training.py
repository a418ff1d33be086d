"""Tiles per second of training on pixels: our whole loop, the network on one fixed batch, and a plain PyTorch loop.

    python benchmarks/training.py [--network resnet18] [--size 128] [--batch 32] [--rounds 5] [--set KEY=VALUE ...]
    python benchmarks/training.py --cached [--network resnet18] [--slides 96] [--epochs 30]

The first compares, in turns of one epoch each: `ours`, decoding, augmentation and batches included; `limit`, the same
network and optimiser fed one batch that lies ready; `plain`, tiles saved as PNG, read and varied by a DataLoader with
as many workers as there are processors. Medians of wall seconds, and of this process's processor seconds, which a busy
machine changes less (those of the plain loop's workers are not in them); decoding, once for all epochs, stands apart.
`--set` changes the training config, such as `engine.channels_last=true` or `num_threads=1`.

The second trains one fold twice by one recipe: a head on features that a frozen encoder makes once, and a network whose
encoder is frozen and run in every epoch. The cache is an empty folder. Encoders start from random weights, which costs
the same time as trained ones.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
import yaml
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from tilewise import api
from tilewise.auditing.audit_cohort import AuditOptions, audit_cohort
from tilewise.auditing.config import AuditConfig
from tilewise.cohort import Cohort
from tilewise.compute import default_threads, find_device
from tilewise.encoders import EncoderConfig, build_encoder
from tilewise.evaluation.compare import paired_difference
from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.evaluate_predictions import evaluate
from tilewise.evaluation.sample import Sample
from tilewise.extraction.config import FeaturesConfig
from tilewise.extraction.extract_features import extract_features
from tilewise.inference.network import predict_slides
from tilewise.inference.slide_tiles import InputSpec
from tilewise.inference.tilestore import TileStore
from tilewise.models import HeadConfig
from tilewise.models.networks import NetworkConfig, TileBatch, TileNetwork, build_network
from tilewise.tiles.config import TileConfig
from tilewise.tiles.tile_cohort import tile_cohort
from tilewise.torchvision_repair import import_torchvision
from tilewise.training.augment import AugmentConfig
from tilewise.training.data import FeatureData, PartData
from tilewise.training.head import train_head
from tilewise.training.networks.data import PixelData, TilePart
from tilewise.training.networks.engine import training_threads
from tilewise.training.networks.objective import NetworkObjective, NetworkTraining
from tilewise.training.networks.train import train_network
from tilewise.training.networks.views import DrawnViews
from tilewise.training.networks.worker import Worker
from tilewise.training_config.training import TrainingConfig
from tilewise.training_loop import Record, build_optimizer

AUGMENT = AugmentConfig.model_validate(
    {"horizontal_flip": 0.5, "vertical_flip": 0.5, "quarter_turn": 0.75, "color": {"probability": 1.0}}
)
# Features are standardised before a head on features, so a network's head gets a norm: the two learn alike.
HEAD = HeadConfig(norm="batch")
Round = Callable[[int], float]


class Patches(Dataset[tuple[Tensor, int]]):
    """Tiles saved as PNG in a folder for each class, as torchvision's ImageFolder has them, varied like ours."""

    def __init__(self, folder: Path) -> None:
        import_torchvision()
        from torchvision.datasets import ImageFolder
        from torchvision.transforms import v2

        vary = [
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomChoice([v2.RandomRotation((turn, turn)) for turn in (0, 90, 180, 270)]),
            v2.ColorJitter(0.2, 0.2, 0.2, 0.05),
            v2.PILToTensor(),
        ]
        self._folder = ImageFolder(folder, v2.Compose(vary))

    def __len__(self) -> int:
        return len(self._folder)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._folder[index]


def drawn(folder: Path, options: argparse.Namespace) -> tuple[TileStore, dict[str, int], Any]:
    """Tiles of a drawn cohort, its labels as 0 and 1, and what else features are made from."""
    root = folder / "cohort"
    if not root.exists():
        api.synth(root, {"num_slides": options.slides, "classes": {"A": 1.0, "B": 1.0}, "difficulty": 0.2, "seed": 1})
    audited = audit_cohort(Cohort.discover(root), AuditConfig(), AuditOptions(workers=1))
    tile_config = TileConfig(strategy=("random_views",), random_views_num=options.tiles, size_px=options.size)
    tiles, _ = tile_cohort(audited, tile_config, out=None, workers=1)
    store = TileStore.of(audited, tiles, tile_config, InputSpec())
    labels = {item.slide_id: int(item.slide.label == "B") for item in audited.slides}
    return store, labels, (audited, tiles, tile_config)


def network_of(options: argparse.Namespace, trained: str) -> TileNetwork:
    config = NetworkConfig.model_validate({"trained": trained, "input_px": None if options.cached else options.size})
    return build_network(config, EncoderConfig(name=options.network, init="random"), HEAD, num_classes=2, seed=0)


def training_of(options: argparse.Namespace, **more: Any) -> TrainingConfig:
    values: dict[str, Any] = {
        "input": "tiles",
        "batch_size": options.batch,
        "engine": {"device": options.device},
    } | more
    for item in options.set:
        key, _, value = item.partition("=")
        *path, last = key.split(".")
        target = values
        for name in path:
            target = target.setdefault(name, {})
        target[last] = yaml.safe_load(value)
    return TrainingConfig.model_validate(values)


def save_patches(part: TilePart, folder: Path) -> None:
    images = part.batch(np.arange(len(part))).images_BSCHW[:, 0].permute(0, 2, 3, 1).numpy()
    labels = part.slide_data.labels_S[part.slide_data.tile_slide_N]
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / "AB"[label] / f"{index:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image[:, :, ::-1])


def step(network: TileNetwork, optimizer: torch.optim.Optimizer, batch: TileBatch, labels_B: Tensor) -> float:
    optimizer.zero_grad(set_to_none=True)
    loss = nn.functional.cross_entropy(network(batch), labels_B)
    loss.backward()
    optimizer.step()
    return loss.item()


def plainly(options: argparse.Namespace, config: TrainingConfig) -> tuple[TileNetwork, torch.optim.Optimizer]:
    network = network_of(options, "all").to(find_device(config.engine.device, config.step.precision)).train()
    groups = network.parameter_groups(config.epoch_config.learning_rate, config.weight_decay)
    return network, build_optimizer(config.optimizer, groups, learning_rate=config.epoch_config.learning_rate)


def ours(options: argparse.Namespace, config: TrainingConfig, data: PixelData) -> Round:
    views = DrawnViews(data.train, num_epochs=config.epoch_config.epochs, folder=None, num_threads=1)
    worker = Worker(device=find_device(config.engine.device, config.step.precision))
    training = NetworkTraining(config, AUGMENT, 0, Record(), "macro_f1")
    trainer = NetworkObjective(network_of(options, "all"), data, views, training, worker).trainer()
    return lambda epoch: trainer.train_epoch(epoch, "ours").means[0]


def limit(options: argparse.Namespace, config: TrainingConfig, data: PixelData) -> Round:
    device = find_device(config.engine.device, config.step.precision)
    size = config.epoch_config.tiles_per_batch(len(data.train))
    network, optimizer = plainly(options, config)
    batch, labels_B = data.train.batch(np.arange(size)).to(device), torch.arange(size, device=device) % 2
    num_batches = config.epoch_config.num_batches(len(data.train))
    return lambda _: [step(network, optimizer, batch, labels_B) for _ in range(num_batches)][-1]


def plain(options: argparse.Namespace, config: TrainingConfig, folder: Path) -> Round:
    device = find_device(config.engine.device, config.step.precision)
    network, optimizer = plainly(options, config)
    loader = DataLoader(
        Patches(folder),
        batch_size=options.batch,
        shuffle=True,
        num_workers=default_threads(),
        persistent_workers=True,
        pin_memory=device.type == "cuda",
        drop_last=True,
    )
    return lambda _: [
        step(network, optimizer, TileBatch(images.to(device)[:, None]), labels.to(device)) for images, labels in loader
    ][-1]


def loops(options: argparse.Namespace, folder: Path) -> None:
    store, labels, _ = drawn(folder, options)
    start = time.perf_counter()
    store.fill()
    decoding = time.perf_counter() - start
    names = store.slide_ids
    data = PixelData(("A", "B"), TilePart.of(store, names, labels), TilePart.of(store, (), labels))
    save_patches(data.train, folder / "patches")
    config = training_of(options)
    num = len(data.train) // options.batch * options.batch
    # Whole batches in all three.
    slide_data = data.train.slide_data
    first = PartData(
        slide_data.slide_ids, slide_data.labels_S, slide_data.features_ND[:num], slide_data.tile_slide_N[:num]
    )
    data = PixelData(("A", "B"), TilePart(first, data.train.tiles, data.train.place_N[:num]), data.validation)
    with training_threads(find_device(config.engine.device, config.step.precision), config) as num_threads:
        deterministic = torch.are_deterministic_algorithms_enabled()
        rounds = {
            "ours": ours(options, config, data),
            "limit": limit(options, config, data),
            "plain": plain(options, config, folder / "patches"),
        }
        wall: dict[str, list[float]] = {name: [] for name in rounds}
        busy: dict[str, list[float]] = {name: [] for name in rounds}
        for epoch in range(options.rounds + 1):
            for name, one in rounds.items():
                torch.use_deterministic_algorithms(deterministic and name == "ours")  # plain loops are not
                start, used = time.perf_counter(), time.process_time()
                one(epoch)
                wall[name].append(time.perf_counter() - start)
                busy[name].append(time.process_time() - used)
    print(f"{options.network}, {options.size} px, batches of {options.batch}, {num} tiles, {num_threads} threads")
    print(f"decoding, once: {decoding:.2f} s")
    for name in rounds:
        print(
            f"{name:6} {num / median(wall[name]):8.1f} tiles/s   {ratio(wall['limit'], wall[name]):6.1%} of limit   "
            f"{1e3 * median(busy[name]) / num:6.1f} processor ms a tile, {ratio(busy['limit'], busy[name]):6.1%}"
        )


def median(seconds: list[float]) -> float:
    """Of all rounds but the first, which warms up."""
    return statistics.median(seconds[1:])


def ratio(one: list[float], other: list[float]) -> float:
    """Round by round."""
    return median([a / b for a, b in zip(one, other, strict=True)])


def cached(options: argparse.Namespace, folder: Path) -> None:
    store, labels, (audited, tiles, tile_config) = drawn(folder, options)
    names = store.slide_ids
    train, validation, test = (
        names[: len(names) // 2],
        names[len(names) // 2 : -len(names) // 4],
        names[-len(names) // 4 :],
    )
    shared = {"epochs": options.epochs, "patience": "never", "learning_rate": 0.01, "num_threads": default_threads()}
    # Both are made before the clock starts: importing what they come from takes seconds, once for either.
    encoder = build_encoder(
        EncoderConfig(name=options.network, init="random", engine="torch", precision="float32"), offline=True
    )
    network = network_of(options, "frozen")
    start = time.perf_counter()
    bags, _ = extract_features(audited, tiles, encoder, FeaturesConfig(), tile_config)
    parts = [PartData.of({name: bags[name].features_ND for name in part}, labels) for part in (train, validation, test)]
    config = TrainingConfig.model_validate(shared | {"batch_size": options.batch})
    model, _ = train_head(FeatureData(("A", "B"), parts[0], parts[1]), HEAD, config, seed=0)
    found_SC = model.predict_slides(parts[2].features_ND, parts[2].tile_slide_N, parts[2].num_slides)[0]
    once = time.perf_counter() - start
    of_cached = report("cached features", once, found_SC, [labels[name] for name in test])

    start = time.perf_counter()
    store.fill()
    data = PixelData(
        ("A", "B"),
        TilePart.of(store, train, labels),
        TilePart.of(store, validation, labels),
    )
    trained, _ = train_network(network, data, training_of(options, **shared), seed=0)
    found_SC = predict_slides([trained], store, test).probabilities_MSC[0]
    every = time.perf_counter() - start
    of_pixels = report("encoded each epoch", every, found_SC, [labels[name] for name in test])
    print(f"{every / once:.1f} times as fast with the cache, {options.epochs} epochs, decoding included in both")
    samples = (Sample.of(table, ("A", "B")) for table in (of_cached, of_pixels))
    pair = paired_difference(*([sample] for sample in samples)).metrics["macro_f1"]
    value, low, high = pair.difference
    print(f"difference {value:+.3f} [{low:+.3f}, {high:+.3f}], p {pair.p_value:.2f}")


def report(name: str, seconds: float, found_SC: np.ndarray, truth: list[int]) -> pd.DataFrame:
    """Print time and score; returns the predictions."""
    predictions = pd.DataFrame(
        {"slide": [f"{number}" for number in range(len(truth))], "group": None, "fold": 0, "part": "test"}
    )
    predictions["label"], predictions["predicted"] = (
        ["AB"[one] for one in truth],
        ["AB"[one] for one in found_SC.argmax(axis=1)],
    )
    predictions["p_A"], predictions["p_B"] = found_SC[:, 0], found_SC[:, 1]
    score = evaluate(predictions, ("A", "B"), EvaluationConfig(), seed=0).macro_f1
    print(f"{name:20} {seconds:7.1f} s   macro F1 of {len(truth)} test slides {score}", flush=True)
    return predictions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default=None, help="a network of the catalogue; resnet18")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--slides", type=int, default=None)
    parser.add_argument("--tiles", type=int, default=None, help="of a slide")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--cached", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    options.network = options.network or "resnet18"
    options.slides = options.slides or (96 if options.cached else 6)
    options.tiles = options.tiles or (8 if options.cached else 24)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TILEWISE_CACHE"] = str(Path(folder) / "cache")
        (cached if options.cached else loops)(options, Path(folder))


if __name__ == "__main__":
    main()
