"""Two processes learn what one learns, go on where they were stopped, and none of them is left when one is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.networks.drawn import cnn, draw_data, draw_slide
from tests.training.networks.together_of import train
from tilewise.errors import TrainingError, UsageError
from tilewise.models import HeadConfig
from tilewise.models.networks import NetworkModel
from tilewise.training.history import History
from tilewise.training.networks import distributed
from tilewise.training.networks.engine import num_devices
from tilewise.training.networks.train import train_network
from tilewise.training_config.training import TrainingConfig
from tilewise.training_loop import TrainingProgress

ON_LINUX = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
Trained = tuple[NetworkModel, History]


@pytest.fixture(scope="module")
def both() -> Trained:
    return train(2)


def wait_for(is_there: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not is_there():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def pids(folder: Path) -> list[int]:
    texts = [path.read_text() for path in folder.glob("together-*/*.pid")]
    return [int(text) for text in texts if text]


def is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_two_processes_end_where_one_ends(both: Trained) -> None:
    (alone, before), (shared, after) = train(1), both
    for one, other in zip(before.rows, after.rows, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, abs=1e-6)
        assert other.validation_loss == pytest.approx(one.validation_loss, abs=1e-6)
        assert (other.learning_rate, other.is_kept) == (one.learning_rate, one.is_kept)
    moved = []
    first = {name: tensor.numpy() for name, tensor in together_first().items()}
    for name, array in alone.weights.items():
        np.testing.assert_allclose(shared.weights[name], array, atol=1e-5)
        moved.append(np.abs(array - first[name]).max())
    assert max(moved) > 1e-3
    batch = draw_data(8, 4, num_tiles=3)[0].validation.batch(np.arange(12))
    np.testing.assert_allclose(shared.predict_tiles(batch), alone.predict_tiles(batch), atol=1e-6)
    assert (shared.origin["num_devices"], alone.origin.get("num_devices")) == (2, None)


def together_first() -> dict[str, torch.Tensor]:
    from tests.training.networks.together_of import network

    return network().state_dict()


@ON_LINUX
def test_a_process_that_is_killed_ends_all_of_them(tmp_path: Path) -> None:
    known: list[int] = []

    def kill() -> None:
        wait_for(lambda: len(pids(tmp_path)) == 2)
        known.extend(pids(tmp_path))
        os.kill(known[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(TrainingError, match=r"fold 7: one of the 2 processes of the training died .* run it again"):
        train(2, tmp_path)
    killer.join()
    wait_for(lambda: not any(map(is_running, known)), 10.0)
    assert not list(tmp_path.iterdir())


@pytest.mark.soak
@ON_LINUX
def test_killed_in_the_middle_the_training_goes_on_to_the_bit(both: Trained, tmp_path: Path) -> None:
    known: list[int] = []

    def kill() -> None:
        wait_for((tmp_path / TrainingProgress.state_name).is_file)
        known.extend(pids(tmp_path))
        os.kill(known[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    # More epochs than it lives to see; the rate, a plateau's, does not depend on how many are to come.
    with pytest.raises(TrainingError, match="fold 7: one of the 2 processes of the training died"):
        train(2, tmp_path, epochs=2000, patience="never")
    killer.join()
    assert len(known) == 2
    wait_for(lambda: not any(map(is_running, known)), 10.0)
    assert not list(tmp_path.glob("together-*"))
    num_done = len((tmp_path / "history.csv").read_text().splitlines()) - 1
    assert num_done >= 1
    model, history = train(2, tmp_path, epochs=num_done + 2)
    expected, rows = both if num_done == 2 else train(2, epochs=num_done + 2)
    assert history.rows == rows.rows
    assert all(model.weights[name].tobytes() == array.tobytes() for name, array in expected.weights.items())


@pytest.mark.soak
@ON_LINUX
def test_processes_end_with_their_caller_whose_script_runs_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    source = Path(distributed.__file__).parents[4] / "tests/training/networks/together_of.py"
    script.write_text(source.read_text().replace('if __name__ == "__main__" and', "if"))
    environment = {**os.environ, "PYTHONPATH": str(source.parents[3])}
    command = [sys.executable, str(script), str(tmp_path)]
    with subprocess.Popen(command, env=environment) as caller:
        wait_for((tmp_path / "fold" / TrainingProgress.state_name).is_file)
        known = pids(tmp_path / "fold")
        assert [is_running(pid) for pid in known] == [True, True]
        caller.kill()
    wait_for(lambda: not any(map(is_running, known)), 10.0)
    assert (tmp_path / "ran.txt").read_text() == "once\n"
    # What lay there for them goes with the next training.
    assert list((tmp_path / "fold").glob("together-*"))
    train(2, tmp_path / "fold", epochs=1)
    assert not list((tmp_path / "fold").glob("together-*"))


@pytest.mark.soak
def test_what_one_process_finds_wrong_is_said_in_its_own_words() -> None:
    wild = {"learning_rate": 10.0, "optimizer": {"kind": "sgd"}, "loss": {"l2": 10.0}, "step": {}, "epochs": 20}
    with pytest.raises(TrainingError, match=r"^fold 7: the loss is (nan|inf) at epoch \d+, step \d+, .*slides s0\d"):
        train(2, **wild)


@pytest.mark.soak
def test_batchnorm_sees_its_own_share_and_still_learns() -> None:
    data, _, _ = draw_data(8, 4)
    config = TrainingConfig.model_validate(
        {"input": "tiles", "epochs": 16, "batch_size": 16, "learning_rate": 3e-3, "num_threads": 1, "patience": "never"}
        | {"engine": {"device": "cpu", "devices": 2}}
    )
    _, history = train_network(cnn(HeadConfig(norm="batch", dropout=0.1)), data, config, seed=0)
    assert min(row.validation_loss or 9.0 for row in history.rows) < 0.4


def test_more_devices_than_there_are_or_than_a_batch_can_feed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"batches of 2 tiles cannot be shared by 2 devices.*training\.batch_size"):
        train(2, batch_size=2)

    def num(devices: int | str, kind: str) -> int:
        config = TrainingConfig.model_validate({"input": "tiles", "engine": {"devices": devices}})
        return num_devices(config, torch.device(kind))

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert [num("all", "cuda"), num(2, "cuda"), num("all", "cpu"), num(2, "cpu")] == [3, 2, 1, 2]
    with pytest.raises(UsageError, match=r"devices=4: torch sees here 3 graphics cards"):
        num(4, "cuda")


def test_tiles_that_lie_in_a_file_are_not_written_again(tmp_path: Path) -> None:
    images = draw_slide(0, np.random.default_rng(0)).images_TSCHW
    np.save(tmp_path / "kept.npy", images)
    mapped = np.load(tmp_path / "kept.npy", mmap_mode="r")
    assert distributed._file(mapped, tmp_path / "new.npy") == str(tmp_path / "kept.npy")
    for part in (mapped[1:], images):
        path = distributed._file(part, tmp_path / "new.npy")
        assert path == str(tmp_path / "new.npy")
        np.testing.assert_array_equal(np.load(path), part)
