"""What is learnt without labels, and that it is the same however often it is stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.networks.drawn import cnn
from tests.training.networks.drawn import draw_slide as draw_whole
from tests.training.networks.rounding import rounding, watched_convolutions
from tests.training.pretrain.drawn import Tiles, draw_slides, simclr, training
from tilewise.errors import TrainingError, UsageError
from tilewise.models.networks import TileBatch, TileNetwork
from tilewise.training.networks.data import TilePart
from tilewise.training.pretrain.loop import STATE_NAME, PretrainedEncoder, pretrain
from tilewise.training_loop import Record, Trainer


def part_of(slides: Tiles) -> TilePart:
    return TilePart.of(slides, slides, dict.fromkeys(slides, 0))


def learn(
    slides: Tiles,
    network: TileNetwork,
    *,
    record: Record | None = None,
    seed: int = 0,
    run: Any = None,
    **config: Any,
) -> PretrainedEncoder:
    return pretrain(network, part_of(slides), simclr(**config), run or training(), record or Record(), seed=seed)


def bytes_of(learnt: PretrainedEncoder) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in learnt.weights.items()}


def right_by_nearest(network: TileNetwork, known: Tiles, asked: Tiles) -> float:
    """Share of tiles whose nearest known tile, by standardised features, has their texture."""

    def described(slides: Tiles) -> tuple[np.ndarray, np.ndarray]:
        images = torch.from_numpy(np.concatenate([one.images_TSCHW for one in slides.values()]))
        with torch.no_grad():
            features = network.eval().features(TileBatch(images)).numpy()
        return features, np.concatenate([np.full(len(one), number % 2) for number, one in enumerate(slides.values())])

    (known_ND, labels_N), (asked_MD, truth_M) = described(known), described(asked)
    mean_D, std_D = known_ND.mean(axis=0), known_ND.std(axis=0) + 1e-6
    units = [(one - mean_D) / std_D for one in (known_ND, asked_MD)]
    units = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in units]
    return float((labels_N[(units[1] @ units[0].T).argmax(axis=1)] == truth_M).mean())


@pytest.mark.parametrize("seed", [0, 2])
def test_textures_are_told_apart_by_what_was_learnt_without_labels(seed: int) -> None:
    known, asked = draw_slides(12, seed=seed, num_tiles=12), draw_slides(12, seed=100 + seed, num_tiles=8)
    network = cnn(seed=seed)
    before = right_by_nearest(network, known, asked)
    plain = {"probability": 0.0}
    views = {"color": {"probability": 1.0, "brightness": 0.5, "contrast": 0.6}, "affine": plain, "blur": plain}
    learnt = learn(known, network, seed=seed, epochs=14, batch_size=48, learning_rate=3e-3, augment=views)
    assert right_by_nearest(network, known, asked) == before  # a copy learns
    network.load_state_dict(learnt.weights, strict=False)
    after = right_by_nearest(network, known, asked)
    assert before < 0.8 < before + 0.15 < after
    assert learnt.rows[-1].loss < learnt.rows[0].loss - 0.3
    assert learnt.rows[-1].matched > 5 / 95  # guessing finds one in 95


def test_it_depends_on_seed_alone_and_the_callers_state_comes_back() -> None:
    slides = draw_slides(4)
    torch.manual_seed(1)
    first = bytes_of(learn(slides, cnn()))
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    assert bytes_of(learn(slides, cnn())) == first
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (1, False)
    assert bytes_of(learn(slides, cnn(), seed=1)) != first


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("when", [1, 2])
def test_stopped_after_any_epoch_it_goes_on_to_the_bit(
    when: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slides = draw_slides(4)
    whole = learn(slides, cnn())
    original = Trainer.train_epoch

    def stop(self: Any, epoch: int, name: str) -> Any:
        if epoch == when:
            raise Killed
        return original(self, epoch, name)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_epoch", stop)
        with pytest.raises(Killed):
            learn(slides, cnn(), record=Record("f", tmp_path, "a"))
    assert len((tmp_path / "pretraining.csv").read_text().splitlines()) == when + 1
    torch.manual_seed(when)
    # Even its first weights do not matter: the state has them all.
    again = learn(slides, cnn(seed=9), record=Record("f", tmp_path, "a"))
    assert again.rows == whole.rows
    assert bytes_of(again) == bytes_of(whole)


def test_the_state_of_other_inputs_or_a_damaged_one_starts_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slides = draw_slides(3)
    learn(slides, cnn(), record=Record("f", tmp_path, "a"), epochs=1)
    other = learn(slides, cnn(), record=Record("f", tmp_path, "b"), seed=1, epochs=2)
    assert bytes_of(other) == bytes_of(learn(slides, cnn(), seed=1, epochs=2))
    path = tmp_path / STATE_NAME
    path.write_bytes(path.read_bytes()[:-5])
    again = learn(slides, cnn(), record=Record("f", tmp_path, "b"), seed=1, epochs=2)
    assert bytes_of(again) == bytes_of(other)
    assert "starts from the beginning" in caplog.text


@pytest.mark.parametrize("network_input", ["mask_channel", "dual_branch", "dual_stream", "multi_scale"])
def test_every_input_is_pretrained_whole(network_input: str) -> None:
    rng = np.random.default_rng(0)
    fields, has_wide = 2 if network_input == "multi_scale" else 1, network_input == "dual_stream"
    slides = Tiles({name: draw_whole(0, rng, fields=fields, has_wide=has_wide) for name in "ab"})
    network = cnn(input=network_input, trained="frozen")
    learnt = learn(slides, network, epochs=1)
    state = network.state_dict()
    assert set(learnt.weights) == {name for name in state if not name.startswith("head.")}
    assert all(not torch.equal(tensor, state[name]) for name, tensor in learnt.weights.items())


# The loss of the first batch comes before any step; steps of AdamW amplify rounding, on each processor differently.
ONE_BATCH = {"epochs": 1, "batch_size": 24}


@pytest.mark.parametrize(
    ("changes", "dtype", "channels_last"),
    [
        ({"engine": {"device": "cpu", "channels_last": True}}, torch.float32, True),
        ({"step": {"precision": "bfloat16"}}, torch.bfloat16, False),
    ],
    ids=["channels_last", "bfloat16"],
)
def test_layout_and_precision_change_the_loss_by_rounding_only(
    changes: dict[str, Any], dtype: torch.dtype, channels_last: bool
) -> None:
    slides = draw_slides(4)
    plain = learn(slides, cnn(), **ONE_BATCH)
    with watched_convolutions() as outputs:
        other = learn(slides, cnn(), run=training(**changes), **ONE_BATCH)
    assert outputs == {(dtype, channels_last)}
    assert all(tensor.dtype == torch.float32 and tensor.is_contiguous() for tensor in other.weights.values())
    (before,), (after,) = plain.rows, other.rows
    assert after.loss == pytest.approx(before.loss, rel=rounding(dtype))


def test_of_training_nothing_counts_that_it_does_not_name() -> None:
    slides = draw_slides(3)
    busy = training(
        mixup={"level": "tiles", "mixup_alpha": 1.0},
        loss={"l2": 1.0},
        step={"ema_decay": 0.9, "accumulate": 3},
        engine={"device": "cpu", "devices": 2},
        epochs=7,
        learning_rate=1,
    )
    assert bytes_of(learn(slides, cnn(), run=busy)) == bytes_of(learn(slides, cnn()))


def test_gradients_are_clipped_as_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    slides = draw_slides(3)
    lengths = []
    original = torch.optim.AdamW.step

    def step(self: torch.optim.AdamW, *args: Any, **options: Any) -> Any:
        gradients = [one.grad for group in self.param_groups for one in group["params"] if one.grad is not None]
        lengths.append(float(torch.cat([gradient.flatten() for gradient in gradients]).norm()))
        return original(self, *args, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    plain = learn(slides, cnn())
    free, lengths[:] = max(lengths), []
    clipped = learn(slides, cnn(), run=training(step={"clip_norm": 0.01}))
    assert free > 0.1
    assert max(lengths) == pytest.approx(0.01, rel=1e-3)
    assert bytes_of(clipped) != bytes_of(plain)


# torch's compiler, when it is imported, still takes a decorator that torch itself has deprecated; no word of ours.
@pytest.mark.filterwarnings(r"ignore:`torch\.jit\.script_method` is:DeprecationWarning")
@pytest.mark.soak
def test_compiled_it_learns_the_same() -> None:
    slides = draw_slides(4)
    plain = learn(slides, cnn(), **ONE_BATCH)
    compiled = learn(slides, cnn(), run=training(engine={"device": "cpu", "compile": True}), **ONE_BATCH)
    assert bytes_of(compiled) != bytes_of(plain)
    (before,), (after,) = plain.rows, compiled.rows
    assert after.loss == pytest.approx(before.loss, rel=rounding(torch.float32))


def test_a_loss_that_is_not_finite_stops_and_says_where() -> None:
    network = cnn()
    with torch.no_grad():
        network.encoder.blocks[3][0].weight[0, 0, 0, 0] = torch.inf
    message = (
        r"fold 7: the pretraining loss is nan at epoch 1, step 1, learning rate 0\.\d+, slides s0\d.*; lower pretrain\."
    )
    with pytest.raises(TrainingError, match=message):
        learn(draw_slides(3), network, record=Record("fold 7"))


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        TrainingError, match="fold 7: pretraining tells tiles from each other, and there is 1; cut more"
    ):
        learn(draw_slides(1, num_tiles=1), cnn(), record=Record("fold 7"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="sees no graphics card"):
        learn(draw_slides(2), cnn(), run=training(engine={"device": "cuda"}))
