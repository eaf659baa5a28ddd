"""TFRecord files of `tf.train.Example` records, read and written without TensorFlow.

Framing: for each record its length (uint64, little endian), the masked CRC-32C of these eight bytes, the record, and
its masked CRC-32C. A record is a protocol buffer: a map from names to lists of bytes, float32 or int64. Files may be
compressed by gzip, which shows in their first bytes.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from swath.data.crc32c import crc32c
from swath.errors import DataError, ReadError
from swath.files import replacing

#: The values of a feature: bytes, float32 or int64.
Feature = np.ndarray | list[bytes]
#: Features by name.
Example = Mapping[str, Feature]

_MOST_BYTES = 1 << 31
_CHUNK = 1 << 24


def read_examples(path: str | Path) -> Iterator[dict[str, Feature]]:
    """Examples of a file, one after the other; memory holds one record.

    Raises:
        ReadError: If the file is missing, truncated, damaged (checksums are compared) or no TFRecord.
    """
    for number, record in enumerate(read_records(path)):
        try:
            yield parse_example(record)
        except (ValueError, IndexError, UnicodeDecodeError) as error:
            raise ReadError(f"Record {number} of {path} is no tf.train.Example", got=error) from error


def write_examples(path: str | Path, examples: Iterable[Example]) -> None:
    """Write examples, whole or not at all; compressed where the name ends in `.gz`.

    Raises:
        WriteError: If the file cannot be written.
        DataError: If a feature is neither a list of bytes nor an array of numbers.
    """
    path = Path(path)
    with (
        replacing(path) as temporary,
        gzip.open(temporary, "wb", 5) if path.suffix == ".gz" else temporary.open("wb") as file,
    ):
        for example in examples:
            _write_record(file, build_example(example))


def read_records(path: str | Path) -> Iterator[bytes]:
    """The bytes of each record; see `read_examples`."""
    path = Path(path)
    try:
        with path.open("rb") as plain:
            compressed = plain.read(2) == b"\x1f\x8b"
        with gzip.open(path) if compressed else path.open("rb") as file:
            number = 0
            while head := file.read(12):
                yield _read_record(file, head, f"Record {number} of {path}")
                number += 1
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ReadError(f"{path} is truncated or damaged", got=error, fix="Download it again") from error
    except OSError as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(f"{path} cannot be read", got=error.strerror or error) from error


def parse_example(record: bytes) -> dict[str, Feature]:
    """The features of one record.

    Raises:
        ValueError: If the bytes are no `tf.train.Example`.
    """
    found: dict[str, Feature] = {}
    for features in _messages(memoryview(record), 1):
        for entry in _messages(features, 1):
            name = b"".join(bytes(key) for key in _messages(entry, 1)).decode()
            value = b"".join(bytes(part) for part in _messages(entry, 2))
            found[name] = _parse_feature(memoryview(value))
    return found


def build_example(example: Example) -> bytes:
    """The bytes of one record; see `write_examples`."""
    entries = b"".join(
        _field(1, _field(1, name.encode()) + _field(2, _build_feature(value, name))) for name, value in example.items()
    )
    return _field(1, entries)


def _masked(data: bytes | memoryview) -> int:
    checksum = crc32c(data)
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _read_record(file: BinaryIO | gzip.GzipFile, head: bytes, name: str) -> bytes:
    if len(head) < 12:
        raise ReadError(f"{name} is cut off", got=f"{len(head)} bytes of its header", fix="Download the file again")
    length, checksum = struct.unpack("<QI", head)
    if _masked(head[:8]) != checksum or length > _MOST_BYTES:
        raise ReadError(
            f"{name} has a damaged header, or the file is no TFRecord", fix="Download or export the file again"
        )
    # A hostile length claims no memory before the bytes are there.
    parts, missing = [], length + 4
    while missing and (part := file.read(min(missing, _CHUNK))):
        parts.append(part)
        missing -= len(part)
    record = b"".join(parts)
    if missing:
        raise ReadError(
            f"{name} is cut off",
            got=f"{len(record)} bytes",
            expected=f"{length + 4} bytes",
            fix="Download the file again",
        )
    if _masked(record[:-4]) != struct.unpack("<I", record[-4:])[0]:
        raise ReadError(f"{name} is damaged: its checksum does not match", fix="Download the file again")
    return record[:-4]


def _write_record(file: BinaryIO | gzip.GzipFile, record: bytes) -> None:
    length = struct.pack("<Q", len(record))
    file.write(length + struct.pack("<I", _masked(length)) + record + struct.pack("<I", _masked(record)))


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        if shift > 63:
            raise ValueError("a number of more than ten bytes")


def _fields(data: memoryview) -> Iterator[tuple[int, int, memoryview | int]]:
    """Number, wire type and content of each field of a message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        if wire not in (1, 2, 5):
            raise ValueError(f"a field of wire type {wire}")
        size = {1: 8, 5: 4}.get(wire)
        if size is None:
            size, at = _varint(data, at)
        if at + size > len(data):
            raise ValueError("a field that ends after its message")
        yield number, wire, data[at : at + size]
        at += size


def _messages(data: memoryview, wanted: int) -> Iterator[memoryview]:
    """Contents of the fields `wanted`, which must have a length."""
    for number, _, content in _fields(data):
        if number == wanted:
            if isinstance(content, int):
                raise ValueError("a number in place of a message")
            yield content


def _parse_feature(data: memoryview) -> Feature:
    for number, _, content in _fields(data):
        if isinstance(content, int) or number not in (1, 2, 3):
            raise ValueError("an unknown kind of feature")
        if number == 1:
            return [bytes(part) for part in _messages(content, 1)]
        values = [_parse_numbers(part, number) for _, _, part in _fields(content)]
        kind = np.float32 if number == 2 else np.int64
        return np.concatenate(values).astype(kind, copy=False) if values else np.empty(0, kind)
    return np.empty(0, np.float32)


def _parse_numbers(content: memoryview | int, number: int) -> np.ndarray:
    """Packed or single values of a list of floats (2) or integers (3)."""
    if number == 2:
        if isinstance(content, int):
            raise ValueError("an integer in a list of floats")
        return np.frombuffer(content, "<f4")
    if isinstance(content, int):
        return np.array([content], np.uint64).view(np.int64)
    return _unpack_varints(np.frombuffer(content, np.uint8))


def _unpack_varints(data: np.ndarray) -> np.ndarray:
    """All numbers in bytes that hold nothing else, int64."""
    ends = np.flatnonzero(data < 0x80)
    if not len(data):
        return np.empty(0, np.int64)
    starts = np.concatenate([[0], ends[:-1] + 1])
    if not len(ends) or ends[-1] != len(data) - 1 or (ends - starts).max() > 9:
        raise ValueError("integers that do not end")
    place = np.arange(len(data)) - np.repeat(starts, ends - starts + 1)
    bits = (data & 0x7F).astype(np.uint64) << (7 * place).astype(np.uint64)
    return np.bitwise_or.reduceat(bits, starts).view(np.int64)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _pack_varint(len(content)) + content


def _pack_varint(value: int) -> bytes:
    packed = bytearray()
    while value > 0x7F:
        packed.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*packed, value])


def _build_feature(value: Feature, name: str) -> bytes:
    if isinstance(value, list):
        return _field(1, b"".join(_field(1, part) for part in value))
    flat = np.ravel(value)
    if flat.dtype.kind == "f":
        return _field(2, _field(1, flat.astype("<f4").tobytes()))
    if flat.dtype.kind in "iub":
        packed = b"".join(_pack_varint(int(v) & 0xFFFFFFFFFFFFFFFF) for v in flat.astype(np.int64))
        return _field(3, _field(1, packed))
    raise DataError(
        f"Feature {name} cannot be written", got=flat.dtype, expected="floats, integers, or a list of bytes"
    )
