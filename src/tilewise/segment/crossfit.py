"""Networks cross-fitted: each slide's mask comes from one that saw neither it nor its group."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tilewise.auditing.cohort import AuditedSlide
from tilewise.cohort import read_mask
from tilewise.encoders import find_card
from tilewise.encoders.config import EncoderConfig
from tilewise.encoders.find_weights import find_weights
from tilewise.errors import ArtifactError, TrainingError, UsageError
from tilewise.execution import Claim, Failure, run_each, slide_time_limit
from tilewise.folds import FoldItem, derived_seed
from tilewise.folds.groups import GroupTable
from tilewise.segment.config import UNetConfig
from tilewise.segment.segmenter import FoldNetwork
from tilewise.segment.square import Square
from tilewise.slides import open_slide
from tilewise.store import cache_writes, digest_config, digest_file
from tilewise.wording import count

_log = logging.getLogger(__name__)

# Goes up whenever the same slides and options give other networks.
CODE = 1
_SEED_OF_FOLDS = 7


@dataclass(frozen=True)
class Crossfit:
    """Networks of all folds.

    Attributes:
        networks: their folders.
        digests: of what each was made from.
        fold_of_group: group -> the one network that saw none of its slides.
        failures: slides whose pixels or mask could not be read.
    """

    networks: tuple[Path, ...]
    digests: tuple[str, ...]
    fold_of_group: Mapping[str, int]
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class _Pair:
    slide: AuditedSlide
    side: int


@dataclass(frozen=True)
class _Request:
    number: int
    config: UNetConfig
    seed: int
    names: tuple[str, ...]
    rows: tuple[int, ...]
    training_digests: tuple[str, ...]
    data: Path
    out: Path
    key: str


def check_unet(config: UNetConfig, *, offline: bool) -> None:
    """Find out before the long work whether the U-Net can be built and its encoder's weights are here.

    Raises:
        UsageError: it cannot; says why and what to do.
    """
    from tilewise.segment.network import create_unet, load_encoder

    network = create_unet(config, seed=0)
    if config.init == "pretrained":
        load_encoder(network, config, offline=offline)


def fold_of_groups(slides: Sequence[AuditedSlide], num_folds: int, *, seed: int) -> dict[str, int]:
    """Deal groups out to folds of like size; a group is never split. Labels have no say in how a slide is cut.

    Raises:
        UsageError: there are fewer groups than folds.
    """
    items = [FoldItem(item.slide_id, "", item.group, None) for item in slides]
    table = GroupTable.of(items)
    if table.num_groups < num_folds:
        step = (
            f"set segment.unet.num_folds={table.num_groups}"
            if table.num_groups >= 2
            else "give masks for slides of at least 2 groups, or take segment.method tissue or sam"
        )
        raise UsageError(
            f"segment: {count(len(slides), 'slide')} with a mask in {count(table.num_groups, 'group')}, too few for "
            f"{num_folds} networks of which each leaves some out; {step}"
        )
    rule = table.rule(1.0 / num_folds, least=1, least_in_all=1, priority=0)
    parts = table.split((rule,) * num_folds, seed=(seed, _SEED_OF_FOLDS))
    return {str(item.group): number for number, part in enumerate(parts) for group in part.members for item in group}


def crossfit(
    slides: Sequence[AuditedSlide], config: UNetConfig, *, seed: int, workers: int | None, offline: bool, cache: Path
) -> Crossfit:
    """Train one network per fold, or find it in the cache. A stopped call goes on with the fold it was at.

    Args:
        slides: with masks of use.
        config: how.
        seed: of folds, first weights and augmentation.
        workers: processes; None takes every processor. Results do not depend on it.
        offline: never reach for the network.
        cache: folder that networks are kept in, by content.

    Raises:
        UsageError: there are too few groups, or the cache cannot be written to.
        TrainingError: the loss is no longer finite, or no slide is left.
    """
    fold_of_group = fold_of_groups(slides, config.num_folds, seed=seed)
    config, weights = _with_weights(config, offline=offline)
    pairs = {item.slide_id: _Pair(item, config.input_px) for item in slides}
    outcome = run_each(_read_pair, pairs, stage="masks read", workers=workers, limit_s=slide_time_limit())
    readable = [item for item in slides if item.slide_id in outcome.results]
    requests, folders, keys = {}, [], []
    with cache_writes(), tempfile.TemporaryDirectory(prefix=".squares", dir=_made(cache)) as temporary:
        data = Path(temporary) / "squares.npy"
        if readable:
            np.save(data, np.stack([outcome.results[item.slide_id] for item in readable]))
        for number in range(config.num_folds):
            rows = tuple(row for row, item in enumerate(readable) if fold_of_group[item.group] != number)
            if len(rows) < 2:
                raise TrainingError(
                    f"segment: network {number} has {len(rows)} slides to learn from, at least 2 are needed; "
                    "give more masks"
                )
            learnt = [readable[row] for row in rows]
            what = [[item.slide_id, item.content, item.pixel_digest] for item in learnt]
            key = digest_config(
                [CODE, config.model_dump(mode="json", exclude={"weights"}), weights, seed, number, what]
            )
            folder = cache / "networks" / key[:2] / key
            folders.append(folder)
            keys.append(key)
            requests[f"network {number}"] = _Request(
                number=number,
                config=config,
                seed=derived_seed(seed, number),
                names=tuple(item.slide_id for item in learnt),
                rows=rows,
                training_digests=tuple(item.pixel_digest for item in learnt),
                data=data,
                out=folder,
                key=key,
            )
        trained = run_each(_train, requests, stage="networks", workers=workers, claim=Claim(config.num_threads))
    if trained.failures:
        raise TrainingError(trained.failures[0].message)
    return Crossfit(tuple(folders), tuple(keys), fold_of_group, outcome.failures)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _with_weights(config: UNetConfig, *, offline: bool) -> tuple[UNetConfig, str]:
    """The config with the path of the encoder's weights, and their digest."""
    if config.init == "random":
        return config, ""
    card = find_card(config.encoder)
    path = find_weights(card, EncoderConfig(name=card.name, weights=config.weights), offline=offline)
    return config.model_copy(update={"weights": path}), digest_file(path)


def _read_pair(pair: _Pair) -> npt.NDArray[np.uint8]:
    """Slide and mask in the network's square: uint8 (side, side, 4), the mask's 0 and 1 last."""
    item = pair.slide
    square = Square(item.size, pair.side)
    with open_slide(item.slide.path, max_pixels=item.size.area) as reader:
        rgb = square.enter(reader.overview())
    mask = square.enter_mask(read_mask(item.slide, item.size)[0])
    return np.dstack([rgb, mask])


def _train(request: _Request) -> None:
    try:
        if FoldNetwork.load(request.out).origin.get("inputs") == request.key:
            return
    except ArtifactError as error:
        _log.debug("%s; it is trained", error)
    from tilewise.compute import prepare_runtime

    prepare_runtime()
    from tilewise.segment.network import create_unet, load_encoder
    from tilewise.segment.training import train_unet

    network = create_unet(request.config, seed=request.seed)
    if request.config.init == "pretrained":
        load_encoder(network, request.config, offline=True)
    data = np.load(request.data, mmap_mode="r", allow_pickle=False)[list(request.rows)]
    loss = train_unet(
        network,
        np.ascontiguousarray(data[..., :3]),
        np.ascontiguousarray(data[..., 3]),
        request.config,
        seed=request.seed,
        names=request.names,
        what=f"network {request.number}",
    )
    weights = {name: tensor.contiguous().numpy() for name, tensor in network.state_dict().items()}
    origin = {"inputs": request.key, "fold": request.number, "seed": request.seed, "loss": loss,
              "num_slides": len(request.names)}  # fmt: skip
    config = request.config.model_copy(update={"weights": None})
    FoldNetwork(config, weights, frozenset(request.training_digests), origin).save(request.out)
