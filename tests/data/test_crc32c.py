"""Against the vectors of RFC 3720, section B.4, and Google's implementation."""

import google_crc32c
import numpy as np
import pytest

from swath.data.crc32c import crc32c


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"123456789", 0xE3069283),
        (b"", 0),
    ],
)
def test_published_vectors(data, expected):
    assert crc32c(data) == expected


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 5000, 65536, 99_999, 1_048_577])
def test_any_size_equals_google(size):
    data = np.random.default_rng(size).bytes(size)
    assert crc32c(data) == google_crc32c.value(data)
    zeros_first = bytes(size // 2) + data[: size - size // 2]
    assert crc32c(memoryview(zeros_first)) == google_crc32c.value(zeros_first)
