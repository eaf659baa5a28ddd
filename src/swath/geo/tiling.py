"""Tilings: windows of one size that cover a raster, and weights that blend what is computed in them.

Convention: tiles are half-open windows in `(row, col)`, counted row by row from the top-left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from swath.errors import ConfigError
from swath.geo.windows import Window


@dataclass(frozen=True)
class Tiling:
    """Tiles of one size over a raster, with a given overlap.

    Attributes:
        shape: `(height, width)` of the raster.
        size: Side of the square tiles, in pixels.
        overlap: Pixels that neighbours share at least.
        aligned: Whether the last tile of a row or column is moved inward, so that no tile reaches beyond a raster that
            is at least as large as a tile (neighbours then share more). If not, tiles keep their stride and the last
            ones reach beyond.
        even: Whether as many tiles, aligned, are spread evenly, so that all neighbours share about as much.
    """

    shape: tuple[int, int]
    size: int
    overlap: int = 0
    aligned: bool = True
    even: bool = False

    def __post_init__(self) -> None:
        if self.size < 1 or not 0 <= self.overlap < self.size:
            raise ConfigError(
                "Tiles cannot be laid",
                got=f"size {self.size}, overlap {self.overlap}",
                expected="a positive size and an overlap of at least 0 and less than the size",
            )
        if self.even and not self.aligned:
            raise ConfigError("Tiles that keep their stride cannot be spread evenly")
        if min(self.shape) < 1:
            raise ConfigError("A raster without pixels has no tiles", got=self.shape)

    @cached_property
    def starts(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """First rows of the rows of tiles, and first columns of the columns of tiles."""
        rows, cols = (_starts(length, self.size, self.overlap, self.aligned, self.even) for length in self.shape)
        return rows, cols

    def __len__(self) -> int:
        return len(self.starts[0]) * len(self.starts[1])

    def __getitem__(self, index: int) -> Window:
        """Tile `index`; it reaches beyond a raster that is smaller than a tile."""
        row, col = self._place(index)
        return Window(self.starts[0][row], self.starts[1][col], self.size, self.size)

    def __iter__(self) -> Iterator[Window]:
        return (self[index] for index in range(len(self)))

    def rows(self) -> Iterator[range]:
        """Indices of the tiles of each row of tiles, from the top."""
        across = len(self.starts[1])
        return (range(row * across, (row + 1) * across) for row in range(len(self.starts[0])))

    def core(self, index: int) -> Window:
        """The part of the raster that is tile `index`'s own: overlaps are halved, and cores partition the raster."""
        spans = [
            _core(starts, place, self.size, length)
            for starts, place, length in zip(self.starts, self._place(index), self.shape, strict=True)
        ]
        (top, bottom), (left, right) = spans
        return Window(top, left, bottom - top, right - left)

    def _place(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"tile {index} of {len(self)}")
        return divmod(index, len(self.starts[1]))


def weights(size: int, overlap: int, kind: Literal["cosine", "linear", "none"] = "cosine") -> np.ndarray:
    """Weights that fade a tile out towards its edges, float32 `[size, size]`, strictly positive.

    Over an overlap of exactly `overlap` pixels, the weights of two neighbours sum to one. A sum of weighted tiles
    is divided by the sum of the weights where overlaps differ.

    Args:
        size: Side of the tile.
        overlap: Width of the ramp; where ramps of both sides meet (`overlap > size / 2`) the lower one counts.
        kind: `cosine` (a raised cosine, smooth at both ends), `linear`, or `none` (all ones).

    Raises:
        ConfigError: If `kind` is another or the ramp is wider than the tile.
    """
    if not 0 <= overlap < size:
        raise ConfigError("This overlap does not suit", got=overlap, expected=f"0 to {size - 1}")
    if kind not in ("cosine", "linear", "none"):
        raise ConfigError("Unknown blending weights", got=kind, expected="cosine, linear, none")
    line = np.ones(size)
    if kind != "none" and overlap:
        ramp = (np.arange(overlap) + 0.5) / overlap
        if kind == "cosine":
            ramp = np.sin(np.pi / 2 * ramp) ** 2
        line[:overlap] = ramp
        line[-overlap:] = np.minimum(line[-overlap:], ramp[::-1])
    return np.outer(line, line).astype(np.float32)


def _starts(length: int, size: int, overlap: int, aligned: bool, even: bool) -> tuple[int, ...]:
    stride = size - overlap
    count = 1 + max(0, -(-(length - size) // stride))
    last = max(0, length - size)
    if even:
        return tuple(place * last // max(count - 1, 1) for place in range(count))
    return tuple(min(place * stride, last) if aligned else place * stride for place in range(count))


def _core(starts: tuple[int, ...], place: int, size: int, length: int) -> tuple[int, int]:
    """Half-open span between the middles of the overlaps with both neighbours."""
    first = 0 if place == 0 else (starts[place] + starts[place - 1] + size) // 2
    stop = length if place == len(starts) - 1 else (starts[place + 1] + starts[place] + size) // 2
    return first, stop
