"""Several processes, one for each device, train one network; this one waits, and ends them all when one fails."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tilewise import errors
from tilewise.compute import default_threads, find_device
from tilewise.errors import TilewiseError, TrainingError
from tilewise.execution import Claim, WorkerPool, current_ray
from tilewise.inference.slide_tiles import Pixels, SlideTiles
from tilewise.models.networks import NetworkModel
from tilewise.store import cache_dir, room_in, write_text
from tilewise.training.history import History
from tilewise.training.networks.data import PixelData, TilePart
from tilewise.training.networks.objective import NetworkTraining, train_share
from tilewise.training.networks.views import WORKDIR, remove_workdirs
from tilewise.training.networks.worker import Worker
from tilewise.training_config.training import TrainingConfig
from tilewise.training_loop import Sampler

_MEETING, _ERROR, _PIDS = "meeting", "error.json", "*.pid"
_ARRAYS = ("images_TSCHW", "masks_THW", "wide_CHW")
# The end of another process is noticed by whoever waits here, never by a clock: scoring may take long.
_PATIENCE = datetime.timedelta(days=7)
# An exchange also fails because another process has ended, whose own words are heard first.
_AFTER_OTHERS_S = 3.0
_LOOK_S = 0.05


def train_together(
    network: NetworkModel, data: PixelData, training: NetworkTraining, num: int
) -> tuple[NetworkModel, History]:
    """As `train_network`, in this many processes of this machine or of a cluster, each with a device of its own.

    They exchange gradients by NCCL between graphics cards and by Gloo between processors. Tiles in memory are written
    to the fold's folder for as long as it takes, and read by all from there.

    Raises:
        TrainingError: as `train_network`, or a process died; a training with a folder goes on after its last epoch.
        UsageError: a batch has fewer tiles than there are devices.
    """
    _check_batches(training.config, data, num)
    cluster = current_ray()
    with _workdir(training.record.folder, shared=cluster is not None) as workdir:
        train, validation = (
            _parked(part, workdir / name) for part, name in ((data.train, "train"), (data.validation, "validation"))
        )
        job = _Job(network, training, data.classes, train, validation, num, workdir, cluster is not None)
        try:
            if cluster is not None:
                results = cluster.run_together(partial(_work, job), num, training.record.name, _claim(training, num))
            else:
                results = _in_processes(job)
        except BrokenProcessPool as error:
            cause = "out of memory, or killed" if cluster is None else str(error)
            raise _reason(workdir, training.record.name, num, cause) from error
    first = results[0]
    assert first is not None
    return first


def _in_processes(job: _Job) -> list[tuple[NetworkModel, History] | None]:
    with WorkerPool(job.num) as pool:
        try:
            running = [pool.submit(_work, job, rank) for rank in range(job.num)]
            # The pool's thread looks for dead processes among those it knew when it last woke, which the newest is none
            # of; one more task wakes it.
            pool.submit(os.getpid)
            wait(running, return_when=FIRST_EXCEPTION)
            return [future.result() for future in running]
        except BaseException:
            _end_all(job.workdir)
            raise


def _claim(training: NetworkTraining, num: int) -> Claim:
    config = training.config
    device = find_device(config.engine.device, config.step.precision)
    if device.type == "cuda":
        return Claim(gpus=1)
    return Claim(config.epoch_config.num_threads or max(1, default_threads() // num))


@contextlib.contextmanager
def _workdir(folder: Path | None, *, shared: bool) -> Iterator[Path]:
    if folder is None and shared:  # by all nodes
        folder = cache_dir()
        folder.mkdir(parents=True, exist_ok=True)
    elif folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        remove_workdirs(folder)
    with tempfile.TemporaryDirectory(prefix=WORKDIR, dir=folder, ignore_cleanup_errors=True) as workdir:
        yield Path(workdir)


@dataclass(frozen=True)
class _StoredPart:
    """A part whose tiles lie in files: of each slide, name of an array -> its file."""

    part: TilePart
    files: tuple[dict[str, str], ...]

    def opened(self) -> TilePart:
        tiles = tuple(
            replace(one, **{name: np.load(path, mmap_mode="r", allow_pickle=False) for name, path in files.items()})
            for one, files in zip(self.part.tiles, self.files, strict=True)
        )
        return replace(self.part, tiles=tiles)


@dataclass(frozen=True)
class _Job:
    """What all processes get: the network with its first weights, what it learns from, and where they meet."""

    network: NetworkModel
    training: NetworkTraining
    classes: tuple[str, ...]
    train: _StoredPart
    validation: _StoredPart
    num: int
    workdir: Path
    on_cluster: bool


def _parked(part: TilePart, folder: Path) -> _StoredPart:
    """The part with nothing in it that is large; tiles that lie in a file already stay where they are."""
    folder.mkdir()
    empty: Pixels = np.empty(0, dtype=np.uint8)
    files: list[dict[str, str]] = []
    for number, tiles in enumerate(part.tiles):
        arrays = {name: getattr(tiles, name) for name in _ARRAYS if getattr(tiles, name) is not None}
        files.append({name: _file(array, folder / f"{number}-{name}.npy") for name, array in arrays.items()})
    light = tuple(SlideTiles(one.key, empty, num_unnormalised=one.num_unnormalised) for one in part.tiles)
    return _StoredPart(replace(part, tiles=light), tuple(files))


def _file(array: Pixels, path: Path) -> str:
    if isinstance(array, np.memmap) and array.filename is not None and str(array.filename).endswith(".npy"):
        stored: Any = np.load(array.filename, mmap_mode="r", allow_pickle=False)
        if stored.shape == array.shape and stored.offset == array.offset:
            return str(array.filename)
    with room_in(path.parent):
        np.save(path, array)
    return str(path)


def _check_batches(config: TrainingConfig, data: PixelData, num: int) -> None:
    train = data.train.slide_data
    num_draws = Sampler(config.sampling, train.labels_S, train.tile_slide_N).num_draws
    least = num_draws // config.epoch_config.num_batches(num_draws)
    # A share of one tile gives BatchNorm nothing to go by.
    if least < 2 * num:
        raise errors.UsageError(
            f"training.engine.devices: batches of {least} tiles cannot be shared by {num} devices, each of which takes "
            f"at least 2; set a larger training.batch_size, or fewer devices"
        )


def _work(job: _Job, rank: int) -> tuple[NetworkModel, History] | None:
    """All that one process does; the first one gives the result.

    Where it fails it ends itself, for the others would wait for it in vain.
    """
    (job.workdir / f"{rank}.pid").write_text(str(os.getpid()), encoding="utf-8")
    try:
        result = _trained(job, rank)
    except Exception as error:  # noqa: BLE001 - the boundary of a process: the other side says it
        _report(error, job.workdir)
    return None if rank else result


def _trained(job: _Job, rank: int) -> tuple[NetworkModel, History]:
    import torch
    from torch import distributed

    from tilewise.compute import prepare_runtime

    prepare_runtime()
    device = find_device(job.training.config.engine.device, job.training.config.step.precision)
    if device.type == "cuda":
        device = torch.device("cuda", 0 if job.on_cluster else rank)  # a cluster shows a process its own card alone
        torch.cuda.set_device(device)
    data = PixelData(job.classes, job.train.opened(), job.validation.opened())
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        rank=rank,
        world_size=job.num,
        timeout=_PATIENCE,
        **(_meet_on_cluster(job, rank) if job.on_cluster else _meet_here(job)),
    )
    try:
        return train_share(job.network.build(), data, job.training, Worker(rank, job.num, device))
    finally:
        distributed.destroy_process_group()


def _meet_here(job: _Job) -> dict[str, Any]:
    own = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)
    if own is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", own)
        os.environ.setdefault("NCCL_SOCKET_IFNAME", own)
    return {"init_method": (job.workdir / _MEETING).resolve().as_uri()}


def _meet_on_cluster(job: _Job, rank: int) -> dict[str, Any]:
    """The first process opens a store, and says where in the folder that all nodes share."""
    from torch import distributed

    from tilewise.execution.ray_pool import node_address

    tcp_store: Any = vars(distributed)["TCPStore"]  # torch exports it without a type
    place = job.workdir / _MEETING
    if rank == 0:
        store = tcp_store(node_address(), 0, job.num, is_master=True, timeout=_PATIENCE, wait_for_workers=False)
        write_text(place, f"{store.host} {store.port}")
        return {"store": store}
    while not place.is_file():  # whoever waits for one that is gone is ended
        time.sleep(_LOOK_S)
    host, port = place.read_text("utf-8").split()
    return {"store": tcp_store(host, int(port), job.num, is_master=False, timeout=_PATIENCE)}


def _report(error: Exception, workdir: Path) -> NoReturn:
    if not isinstance(error, TilewiseError):
        time.sleep(_AFTER_OTHERS_S)
    failure = {"kind": type(error).__name__, "message": str(error) or type(error).__name__}
    # The first to fail has the word; the others fail because of it.
    with contextlib.suppress(FileExistsError), (workdir / _ERROR).open("x", encoding="utf-8") as file:
        json.dump(failure, file)
    os._exit(1)


def _reason(workdir: Path, name: str, num: int, cause: str) -> TilewiseError:
    """What a process said before it ended, as the error it was; the cause where it said nothing."""
    path = workdir / _ERROR
    if not path.is_file():
        return TrainingError(
            f"{name}: one of the {num} processes of the training died ({cause}); run it again, and it goes on "
            "after the last whole epoch, if need be with a smaller training.batch_size or "
            "training.engine.devices=1"
        )
    failure = json.loads(path.read_text("utf-8"))
    kind = getattr(errors, failure["kind"], None)
    if isinstance(kind, type) and issubclass(kind, TilewiseError):
        return kind(failure["message"])
    return TrainingError(
        f"{name}: one of the {num} processes of the training failed ({failure['kind']}: {failure['message']}); set "
        "training.engine.devices=1, or run it again"
    )


def _end_all(workdir: Path) -> None:
    """End processes that may wait for one that is gone."""
    for path in workdir.glob(_PIDS):
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(path.read_text("utf-8")), signal.SIGTERM)
