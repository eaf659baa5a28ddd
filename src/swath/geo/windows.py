"""Windows: half-open rectangles of pixels.

Convention: `(row, col)` of the top-left pixel, then `(height, width)`; rows grow downward. A window may reach
beyond its raster: readers then answer with invalid pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from swath.errors import GridError


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open rectangle of pixels: rows `row <= r < row + height`, columns `col <= c < col + width`."""

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 0 or self.width < 0:
            raise GridError("A window has a negative size", got=f"{self.height} x {self.width} pixels")

    @property
    def row_stop(self) -> int:
        """First row below the window."""
        return self.row + self.height

    @property
    def col_stop(self) -> int:
        """First column right of the window."""
        return self.col + self.width

    @property
    def shape(self) -> tuple[int, int]:
        """`(height, width)`."""
        return self.height, self.width

    @property
    def empty(self) -> bool:
        """Whether no pixel is in it."""
        return self.height == 0 or self.width == 0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices for an array that the window lies inside."""
        if self.row < 0 or self.col < 0:
            raise GridError("A window outside its array has no slices", got=self)
        return slice(self.row, self.row_stop), slice(self.col, self.col_stop)

    def shift(self, rows: int, cols: int) -> Window:
        """The same window, moved."""
        return Window(self.row + rows, self.col + cols, self.height, self.width)

    def pad(self, pixels: int) -> Window:
        """Grown by `pixels` on every side (shrunk when negative, at most to nothing)."""
        grow = max(pixels, -(min(self.height, self.width) // 2))
        return Window(self.row - grow, self.col - grow, self.height + 2 * grow, self.width + 2 * grow)

    def intersect(self, other: Window) -> Window:
        """The part that both share; empty where they are apart."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        height = max(0, min(self.row_stop, other.row_stop) - row)
        width = max(0, min(self.col_stop, other.col_stop) - col)
        return Window(row, col, height, width)

    def relative_to(self, origin: Window) -> Window:
        """This window counted from the top-left pixel of `origin`."""
        return self.shift(-origin.row, -origin.col)

    def contains(self, other: Window) -> bool:
        """Whether every pixel of `other` is in this window."""
        return self.intersect(other) == other


def whole(shape: Sequence[int]) -> Window:
    """The window of a whole raster of `shape` `(height, width)`."""
    return Window(0, 0, int(shape[0]), int(shape[1]))


def union(windows: Iterable[Window]) -> Window:
    """The smallest window around all `windows`."""
    listed = list(windows)
    if not listed:
        raise GridError("The union of no windows is not defined")
    row, col = min(w.row for w in listed), min(w.col for w in listed)
    return Window(row, col, max(w.row_stop for w in listed) - row, max(w.col_stop for w in listed) - col)
