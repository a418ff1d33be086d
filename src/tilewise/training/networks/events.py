"""The history as TensorBoard reads it, written without TensorBoard, which is no dependency and has a server in it.

An event file is a row of records: the length as 8 bytes, its checksum, the data, its checksum (TensorFlow's TFRecord).
The data is an `Event` of `tensorflow/core/util/event.proto` in the wire format of Protocol Buffers, with the scalars of
one epoch.
"""

from __future__ import annotations

import struct
import time
from pathlib import Path

from tilewise.store import write_bytes
from tilewise.training.history import SCALARS, EpochRow

_NAME = "events.out.tfevents.tilewise"
_POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed
_MASK = 0xA282EAD8
_LENGTH, _FIXED_64, _FIXED_32, _VARINT = 2, 1, 5, 0


class EventFile:
    """One file in a folder, begun anew.

    Args:
        folder: that TensorBoard is pointed at, or one above it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        write_bytes(self._path, _record(_event(0, _field(3, _LENGTH, b"brain.Event:2"))))

    def add(self, row: EpochRow) -> None:
        """Append the scalars of an epoch; those that there are not are left out."""
        values = [(name, getattr(row, name)) for name in SCALARS]
        summary = b"".join(_field(1, _LENGTH, _value(name, value)) for name, value in values if value is not None)
        with self._path.open("ab") as file:
            file.write(_record(_event(row.epoch, _field(5, _LENGTH, summary))))

    def close(self) -> None:
        """Nothing is left open between epochs."""


def checksum(data: bytes) -> int:
    """CRC-32C of the data, masked as TFRecord has it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = tuple(_entry(byte) for byte in range(256))


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", checksum(length)) + data + struct.pack("<I", checksum(data))


def _event(step: int, content: bytes) -> bytes:
    when = _field(1, _FIXED_64, struct.pack("<d", time.time()))
    return when + _field(2, _VARINT, _varint(step)) + content


def _value(name: str, value: float) -> bytes:
    return _field(1, _LENGTH, name.encode()) + _field(2, _FIXED_32, struct.pack("<f", value))


def _field(number: int, kind: int, content: bytes) -> bytes:
    length = _varint(len(content)) if kind == _LENGTH else b""
    return _varint(number << 3 | kind) + length + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
