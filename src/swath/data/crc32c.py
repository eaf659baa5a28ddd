"""CRC-32C (Castagnoli, RFC 3720), computed on many stretches of the data at once.

A checksum register is linear over bits: zeros before the data leave an empty register empty, and appending zeros is a
matrix. So the data are cut into equal stretches, one register runs down each, and registers are joined in pairs.
"""

from __future__ import annotations

from functools import cache

import numpy as np

_POLYNOMIAL = 0x82F63B78
_ALL = 0xFFFFFFFF
#: Below so many bytes, one after the other is faster than many at once.
_SHORT = 4096


def crc32c(data: bytes | memoryview) -> int:
    """The checksum of `data`."""
    size = len(data)
    if size < _SHORT:
        register, words = _ALL, _byte_list()
        for byte in data:
            register = words[(register ^ byte) & 0xFF] ^ (register >> 8)
        return register ^ _ALL
    lanes = 1 << (size.bit_length() - 5) // 2
    length = -(-size // lanes)
    stretches = np.zeros(lanes * length, np.uint8)
    stretches[lanes * length - size :] = np.frombuffer(data, np.uint8)
    table = _byte_table()
    registers = np.zeros(lanes, np.uint32)
    for column in np.ascontiguousarray(stretches.reshape(lanes, length).T):
        registers = table[(registers ^ column) & 0xFF] ^ (registers >> 8)
    while len(registers) > 1:
        registers = _append_zeros(registers[::2], length) ^ registers[1::2]
        length *= 2
    start = _append_zeros(np.array([_ALL], np.uint32), size)
    return int(registers[0] ^ start[0]) ^ _ALL


@cache
def _byte_table() -> np.ndarray:
    """The register after one byte, for each byte."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table


@cache
def _byte_list() -> list[int]:
    return [int(register) for register in _byte_table()]


def _append_zeros(registers: np.ndarray, count: int) -> np.ndarray:
    """Registers after `count` further zero bytes."""
    power = 0
    while count >> power:
        if count >> power & 1:
            registers = _apply(_zeros(power), registers)
        power += 1
    return registers


@cache
def _zeros(power: int) -> np.ndarray:
    """What `2 ** power` zero bytes make of each single bit of a register, `[32]`."""
    if power == 0:
        bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
        return _byte_table()[bits & 0xFF] ^ (bits >> 8)
    return _apply(_zeros(power - 1), _zeros(power - 1))


def _apply(matrix: np.ndarray, registers: np.ndarray) -> np.ndarray:
    """Exclusive or of the columns of `matrix` `[32]` that the bits of each register choose."""
    bits = (registers[:, None] >> np.arange(32, dtype=np.uint32)) & np.uint32(1)
    return np.bitwise_xor.reduce(bits * matrix, axis=1)
