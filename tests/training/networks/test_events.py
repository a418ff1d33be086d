"""What TensorBoard would read: records, checksums and scalars, read back by a reader of its own."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.networks.drawn import cnn, draw_data
from tilewise.training.history import EpochRow
from tilewise.training.networks.events import EventFile, checksum
from tilewise.training.networks.train import train_network
from tilewise.training_config.training import TrainingConfig
from tilewise.training_loop import Record


def crc32c(data: bytes) -> int:
    """CRC-32C by long division of the whole message, bit by bit, as RFC 3720 defines it."""
    bits = [byte >> place & 1 for byte in data for place in range(8)] + [0] * 32
    for place in range(32):
        bits[place] ^= 1
    generator = [0x11EDC6F41 >> place & 1 for place in reversed(range(33))]
    for place in range(len(bits) - 32):
        if bits[place]:
            for offset, bit in enumerate(generator):
                bits[place + offset] ^= bit
    return sum((bit ^ 1) << place for place, bit in enumerate(bits[-32:]))


def masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


def records(content: bytes) -> Iterator[bytes]:
    while content:
        length = int.from_bytes(content[:8], "little")
        data = content[12 : 12 + length]
        assert int.from_bytes(content[8:12], "little") == masked(content[:8])
        assert int.from_bytes(content[12 + length : 16 + length], "little") == masked(data)
        yield data
        content = content[16 + length :]


def varint(data: bytes) -> tuple[int, bytes]:
    for size in range(1, 11):
        if data[size - 1] < 128:
            return sum((byte & 127) << 7 * place for place, byte in enumerate(data[:size])), data[size:]
    raise AssertionError("a number of more than ten bytes")


def message(data: bytes) -> list[tuple[int, bytes | int]]:
    """Fields of a protocol buffer by number: whole numbers as such, all else as bytes."""
    fields: list[tuple[int, bytes | int]] = []
    while data:
        tag, data = varint(data)
        value: bytes | int
        if tag & 7 == 0:
            value, data = varint(data)
        else:
            size = {1: 8, 5: 4}.get(tag & 7)
            if size is None:
                size, data = varint(data)
            value, data = data[:size], data[size:]
        fields.append((tag >> 3, value))
    return fields


def scalars(folder: Path) -> tuple[bytes, dict[int, dict[str, float]]]:
    """The version record, and step -> name -> value."""
    (path,) = folder.glob("events.out.tfevents.*")
    first, *others = (dict(message(record)) for record in records(path.read_bytes()))
    assert first[2] == 0
    steps = {}
    for event in others:
        assert struct.unpack("<d", event[1])[0] > 1.6e9  # seconds since 1970
        values = [dict(message(value)) for _, value in message(event[5])]
        steps[event[2]] = {value[1].decode(): struct.unpack("<f", value[2])[0] for value in values}
    return first[3], steps


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    for data in (b"", b"\0", b"tilewise" * 9, bytes(range(256))):
        assert checksum(data) == masked(data)


def test_scalars_come_back_and_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    file.add(EpochRow(1, 0.7, 0.6, 0.5, 1e-3))
    file.add(EpochRow(300, 0.25, None, None, 1e-4))
    version, steps = scalars(tmp_path)
    assert version == b"brain.Event:2"
    assert steps == {
        1: pytest.approx({"train_loss": 0.7, "validation_loss": 0.6, "validation_score": 0.5, "learning_rate": 1e-3}),
        300: pytest.approx({"train_loss": 0.25, "learning_rate": 1e-4}),
    }


def test_a_training_that_goes_on_holds_every_epoch_once(tmp_path: Path) -> None:
    data, _, _ = draw_data(4, 2)
    config = TrainingConfig.model_validate(
        {"input": "tiles", "epochs": 2, "num_threads": 1, "engine": {"device": "cpu", "log": "tensorboard"}}
    )
    _, history = train_network(cnn(), data, config, seed=0, record=Record("f", tmp_path, "a"))
    assert list(scalars(tmp_path / "tensorboard")[1]) == [1, 2]
    train_network(cnn(), data, config, seed=0, record=Record("f", tmp_path, "a"))
    _, steps = scalars(tmp_path / "tensorboard")
    assert [step["train_loss"] for step in steps.values()] == pytest.approx([row.train_loss for row in history.rows])
