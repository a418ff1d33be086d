"""What the loop learns, and what it leaves alone."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.networks.drawn import CLASSES, cnn, draw_data, draw_slide
from tests.training.networks.rounding import rounding, watched_convolutions
from tilewise.errors import TrainingError, UsageError
from tilewise.models import HeadConfig
from tilewise.models.networks import NetworkModel
from tilewise.training.augment import AugmentConfig
from tilewise.training.history import History
from tilewise.training.networks.data import PixelData, TilePart
from tilewise.training.networks.train import train_network
from tilewise.training_config.training import TrainingConfig
from tilewise.training_loop import Record, TrainingProgress

FLIPS = AugmentConfig(horizontal_flip=0.5, quarter_turn=0.5)


def config(**changes: Any) -> TrainingConfig:
    fast = {
        "input": "tiles",
        "epochs": 3,
        "batch_size": 16,
        "learning_rate": 3e-3,
        "num_threads": 1,
        "patience": "never",
    }
    return TrainingConfig.model_validate(fast | {"engine": {"device": "cpu"}} | changes)


def weights(model: NetworkModel) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in model.weights.items()}


def test_overfits_eight_tiles_to_zero_loss() -> None:
    data, _, _ = draw_data(8, 0, num_tiles=1, signal="none")
    _, history = train_network(cnn(), data, config(epochs=120, learning_rate=0.01, weight_decay=0.0), seed=0)
    assert history.rows[-1].train_loss < 1e-3
    assert history.kept_epoch == 120
    assert "no validation part" in history.notes[0]


def test_the_loss_of_a_step_is_torchs_with_class_weights_and_smoothed_labels() -> None:
    from tilewise.training_loop import inverse_frequency_weights

    rng = np.random.default_rng(3)
    labels = {f"s{number}": int(number == 3) for number in range(4)}
    slides = {name: draw_slide(label, rng, num_tiles=2) for name, label in labels.items()}
    train = TilePart.of(slides, tuple(slides), labels)
    data = PixelData(CLASSES, train, TilePart.of(slides, (), labels))
    loss = {"class_weights": "inverse", "label_smoothing": 0.3}
    network = cnn(seed=1)
    logits = copy.deepcopy(network)(train.batch(np.arange(8)))
    _, history = train_network(network, data, config(epochs=1, batch_size=8, loss=loss), seed=0)
    weight = torch.from_numpy(inverse_frequency_weights(np.array([3, 1]), "inverse").astype("f4"))
    truth = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1])
    # Torch divides by the weights of the labels, which are 1 on average over this one batch.
    expected = torch.nn.functional.cross_entropy(logits, truth, weight=weight, label_smoothing=0.3)
    assert history.rows[0].train_loss == pytest.approx(expected.item(), rel=1e-5)


def test_learns_a_colour_and_keeps_the_best_epoch_of_select() -> None:
    data, slides, labels = draw_data(12, 6)
    model, history = train_network(cnn(), data, config(epochs=14), FLIPS, seed=0)
    losses = [row.validation_loss for row in history.rows]
    assert min(losses) == losses[history.kept_epoch - 1] < 0.3
    assert [row.is_kept for row in history.rows].count(True) == 1
    from tilewise.inference.network import tile_batch

    probabilities = {name: model.predict_tiles(tile_batch(slides[name], np.arange(4))).mean(axis=0) for name in slides}
    assert all(probabilities[name].argmax() == label for name, label in labels.items())


def test_mixup_with_alpha_0_is_the_identity() -> None:
    data, _, _ = draw_data()
    plain, _ = train_network(cnn(), data, config(), seed=0)
    for level in ("tiles", "features"):
        unmixed, _ = train_network(cnn(), data, config(mixup={"level": level, "mixup_alpha": 0.0}), seed=0)
        assert weights(unmixed) == weights(plain)
        mixed, _ = train_network(cnn(), data, config(mixup={"level": level, "mixup_alpha": 1.0}), seed=0)
        assert weights(mixed) != weights(plain)


@pytest.mark.parametrize(("trained", "moves"), [("frozen", ("head",)), ("last", ("encoder.blocks.3", "head"))])
def test_frozen_parameters_do_not_move(trained: str, moves: tuple[str, ...]) -> None:
    data, _, _ = draw_data()
    network = cnn(trained=trained)
    before = {name: tensor.numpy().tobytes() for name, tensor in network.state_dict().items()}
    ema = {"ema_decay": 0.9, "clip_norm": 1.0}
    model, _ = train_network(network, data, config(step=ema, optimizer={"kind": "lion"}), seed=0)
    moved = {name for name, value in weights(model).items() if value != before[name]}
    assert moved == {name for name in before if name.startswith(moves)}


def test_progressive_training_moves_blocks_when_their_stage_comes() -> None:
    data, _, _ = draw_data()
    network = cnn(trained="progressive", epochs_per_stage=1, blocks_per_stage=1)
    first = network.encoder.blocks[3][0].weight.detach().clone()
    earlier = network.encoder.blocks[2][0].weight.detach().clone()
    train_network(network, data, config(epochs=2), seed=0)
    assert not torch.equal(network.encoder.blocks[3][0].weight, first)
    assert torch.equal(network.encoder.blocks[2][0].weight, earlier)


EVERYTHING: dict[str, Any] = {
    "mixup": {"level": "tiles", "cutmix_alpha": 1.0},
    "schedule": {"kind": "plateau", "plateau_patience": 0, "warmup_epochs": 0.5},
    "optimizer": {"kind": "ranger"},
    "sampling": {"unit": "slide", "tiles_per_slide": 3, "balance": "class"},
    "step": {"ema_decay": 0.9, "clip_norm": 1.0, "accumulate": 2},
    "batch_size": 7,
    "epochs": 4,
}


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("when", [1, 2, 3])
def test_a_stopped_training_goes_on_to_the_bit(when: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, _, _ = draw_data(8, 4, num_tiles=3)
    head = HeadConfig(kind="mlp", hidden_sizes=(8,), norm="batch", dropout=0.3)
    augment = AugmentConfig(quarter_turn=0.5, color={"probability": 0.5})
    whole, expected = train_network(cnn(head), data, config(**EVERYTHING), augment, seed=3)
    record = Record("fold 1", tmp_path, "these")
    from tilewise.training.networks import engine

    original = engine.Engine.start_epoch

    def stop(self: engine.Engine, epoch: int, seed: int) -> int:
        if epoch == when:
            raise Killed
        return original(self, epoch, seed)

    with monkeypatch.context() as patch:
        patch.setattr(engine.Engine, "start_epoch", stop)
        with pytest.raises(Killed):
            train_network(cnn(head), data, config(**EVERYTHING), augment, seed=3, record=record)
    assert len((tmp_path / "history.csv").read_text().splitlines()) == when + 1
    torch.manual_seed(when)  # another process has another state
    # Even its first weights do not matter: the state has them all.
    model, history = train_network(cnn(head, seed=9), data, config(**EVERYTHING), augment, seed=3, record=record)
    assert history == expected
    assert weights(model) == weights(whole)
    assert len(list(tmp_path.glob("best-*"))) == 1


def test_the_state_of_other_inputs_or_a_damaged_one_starts_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data, _, _ = draw_data()
    whole, _ = train_network(cnn(), data, config(epochs=2), seed=0, record=Record("f", tmp_path, "a"))
    again, history = train_network(cnn(), data, config(epochs=2), seed=1, record=Record("f", tmp_path, "b"))
    assert (weights(again) != weights(whole), len(history.rows)) == (True, 2)
    path = tmp_path / TrainingProgress.state_name
    path.write_bytes(path.read_bytes()[:-5])
    last, _ = train_network(cnn(), data, config(epochs=2), seed=0, record=Record("f", tmp_path, "b"))
    assert weights(last) == weights(whole)
    assert "starts from the beginning" in caplog.text


def test_callers_random_state_threads_and_determinism_come_back() -> None:
    data, _, _ = draw_data(4, 0)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    train_network(cnn(), data, config(epochs=1), seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (1, False)


def test_a_loss_that_is_not_finite_stops_the_fold_and_says_where() -> None:
    data, _, _ = draw_data(4, 2)
    wild = config(epochs=20, learning_rate=10.0, optimizer={"kind": "sgd"}, loss={"l2": 10.0})
    with pytest.raises(
        TrainingError, match=r"fold 7: the loss is (nan|inf) at epoch \d+, step \d+, learning rate .*s0\d"
    ):
        train_network(cnn(), data, wild, seed=0, record=Record("fold 7"))


def test_accumulated_batches_make_the_step_of_one_large_batch() -> None:
    data, _, _ = draw_data(8, 0)
    plain = {"epochs": 2, "learning_rate": 1e-3, "optimizer": {"kind": "sgd"}, "weight_decay": 0.0}
    large, _ = train_network(cnn(), data, config(batch_size=32, **plain), seed=0)
    parts, _ = train_network(cnn(), data, config(batch_size=8, step={"accumulate": 4}, **plain), seed=0)
    first = cnn().state_dict()
    for name, array in large.weights.items():
        np.testing.assert_allclose(parts.weights[name], array, atol=1e-6)
    assert any(np.abs(array - first[name].numpy()).max() > 1e-5 for name, array in large.weights.items())


@pytest.mark.parametrize(
    ("changes", "dtype", "channels_last"),
    [
        ({"engine": {"device": "cpu", "channels_last": True}}, torch.float32, True),
        ({"step": {"precision": "bfloat16"}}, torch.bfloat16, False),
    ],
    ids=["channels_last", "bfloat16"],
)
def test_layout_and_precision_change_a_step_by_rounding_only(
    changes: dict[str, Any], dtype: torch.dtype, channels_last: bool
) -> None:
    """A single step of SGD is the gradient. More of them would amplify its rounding, on each processor differently."""
    data, _, _ = draw_data(8, 4)
    one_step = {"epochs": 1, "batch_size": 32, "optimizer": {"kind": "sgd"}, "weight_decay": 0.0}
    first = cnn().state_dict()
    plain, history = train_network(cnn(), data, config(**one_step), seed=0)
    with watched_convolutions() as outputs:
        model, other = train_network(cnn(), data, config(**one_step, **changes), seed=0)
    assert outputs == {(dtype, channels_last)}
    assert all(array.dtype == np.float32 for array in model.weights.values())
    (before,), (after,) = history.rows, other.rows
    assert after.train_loss == pytest.approx(before.train_loss, rel=rounding(dtype))
    assert after.validation_loss == pytest.approx(before.validation_loss, rel=rounding(dtype))
    learnt = [name for name, _ in cnn().named_parameters()]
    steps = [
        np.concatenate([(one.weights[name] - first[name].numpy()).ravel() for name in learnt]) for one in (plain, model)
    ]
    assert np.linalg.norm(steps[1] - steps[0]) < rounding(dtype) * np.linalg.norm(steps[0])


def test_stops_when_select_gets_no_better() -> None:
    data, _, _ = draw_data(8, 6, signal="none")
    _, history = train_network(cnn(), data, config(epochs=200, learning_rate=0.01, patience=3), seed=0)
    assert len(history.rows) == history.kept_epoch + 3 < 200
    assert "3 epochs without a better validation_loss" in history.notes[0]


def test_select_changes_what_is_kept_and_nothing_of_what_is_learnt() -> None:
    data, slides, labels = draw_data(8, 4)
    nothing = PixelData(CLASSES, data.train, TilePart.of(slides, (), labels))
    _, with_select = train_network(cnn(), data, config(), FLIPS, seed=0)
    _, without = train_network(cnn(), nothing, config(), FLIPS, seed=0)
    assert [row.train_loss for row in with_select.rows] == [row.train_loss for row in without.rows]


@pytest.mark.parametrize("network_input", ["mask_channel", "dual_branch", "dual_stream", "multi_scale"])
def test_every_input_is_trained_with_augmentation_and_mixing(network_input: str) -> None:
    data, _, _ = draw_data(
        4, 2, num_tiles=2, fields=2 if network_input == "multi_scale" else 1, has_wide=network_input == "dual_stream"
    )
    mixed = config(epochs=1, mixup={"level": "tiles", "cutmix_alpha": 1.0})
    _, history = train_network(cnn(input=network_input), data, mixed, FLIPS, seed=0)
    assert math.isfinite(history.rows[0].train_loss)


def test_a_class_that_weighs_more_is_learnt_more() -> None:
    """Nine slides of A and three of B that cannot be told apart: unweighted the share of A, weighted one half."""
    data, _, _ = draw_data(12, 0, signal="none", num_tiles=2)
    slide_data = replace(data.train.slide_data, labels_S=np.array([0] * 9 + [1] * 3))
    skewed = replace(data, train=replace(data.train, slide_data=slide_data))
    shares = []
    for rule in ("none", "inverse"):
        model, _ = train_network(
            cnn(trained="frozen"), skewed, config(epochs=25, learning_rate=0.02, loss={"class_weights": rule}), seed=0
        )
        shares.append(model.predict_tiles(skewed.train.batch(np.arange(24)))[:, 0].mean())
    assert shares == pytest.approx([0.75, 0.5], abs=0.05)


def curve(history: History) -> list[list[float]]:
    return [[row.train_loss, row.validation_loss, row.validation_score, row.learning_rate] for row in history.rows]


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    data, _, _ = draw_data(4, 0)
    with pytest.raises(UsageError, match="sees no graphics card"):
        train_network(cnn(), data, config(engine={"device": "cuda"}), seed=0)
    with pytest.raises(UsageError, match="float16 needs a graphics card"):
        train_network(cnn(), data, config(engine={"device": "auto"}, step={"precision": "float16"}), seed=0)


# torch's compiler, when it is imported, still takes a decorator that torch itself has deprecated; no word of ours.
_TORCH_DEPRECATES_ITSELF = pytest.mark.filterwarnings(r"ignore:`torch\.jit\.script_method` is:DeprecationWarning")


@_TORCH_DEPRECATES_ITSELF
def test_without_a_compiler_compiling_is_refused_in_words() -> None:
    from torch._inductor import config as inductor

    data, _, _ = draw_data(4, 0)
    missing = inductor.patch({"cpp.cxx": ("/no/such/compiler",)})
    with missing, pytest.raises(TrainingError, match=r"set training\.engine\.compile=false"):
        train_network(cnn(), data, config(engine={"compile": True}), seed=0)


@_TORCH_DEPRECATES_ITSELF
@pytest.mark.soak
def test_compiled_it_learns_the_same() -> None:
    data, _, _ = draw_data(8, 4)
    _, plain = train_network(cnn(), data, config(), seed=0)
    _, compiled = train_network(cnn(), data, config(engine={"compile": True}), seed=0)
    np.testing.assert_allclose(curve(compiled), curve(plain), rtol=5e-3)
