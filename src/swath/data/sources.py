"""Sources: anything that gives pixels of a grid, window by window.

A source answers *stored* numbers (as the file holds them) with a validity mask; `bands.decode` makes them physical.
Keeping them apart lets caches hold small integers and batches be decoded at once.
"""

from __future__ import annotations

from itertools import product
from typing import Protocol, runtime_checkable

import numpy as np
from odc.geo.geobox import GeoBox

from swath.errors import DataError, GridError, ReadError
from swath.geo.windows import Window, whole
from swath.sensors.bands import Bands

#: Around damage, windows are halved until they are no larger than this.
_SMALLEST = 64


@runtime_checkable
class Source(Protocol):
    """Pixels of one grid.

    Attributes:
        name: Where they come from, for messages: a path, a URL.
        grid: Where they are.
        bands: What they are, in order.
        dtype: Type of the stored numbers.
    """

    name: str
    grid: GeoBox
    bands: Bands
    dtype: np.dtype

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Stored numbers `[bands, height, width]` and validity `[height, width]` (bool) of a window of the grid.

        Pixels outside the grid are invalid and zero. A pixel is valid where every band is: neither nodata, NaN,
        infinite nor masked by the file. Safe to call from several threads.
        """
        ...


def require_dtype(source: Source, dtype: str) -> None:
    """Refuse a source whose stored numbers are of another type.

    Raises:
        DataError: If they are.
    """
    if source.dtype != np.dtype(dtype):
        raise DataError(f"{source.name} is of another type", got=source.dtype, expected=dtype)


def read_around(source: Source, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """As `source.read`, but squares of up to 64 pixels that cannot be read are invalid and zero."""
    try:
        return source.read(window)
    except ReadError:
        values, valid = np.zeros((len(source.bands), *window.shape), source.dtype), np.zeros(window.shape, bool)
    if max(window.shape) > _SMALLEST:
        down, across = -(-window.height // 2), -(-window.width // 2)
        for row, col in product((0, down), (0, across)):
            quarter = Window(window.row + row, window.col + col, down, across).intersect(window)
            here = quarter.relative_to(window).slices
            values[:, *here], valid[here] = read_around(source, quarter)
    return values, valid


class ArraySource:
    """An array in memory as a source.

    Args:
        values: Stored numbers `[bands, height, width]`.
        bands: What they are.
        grid: Where they are.
        valid: Validity `[height, width]`; by default taken from nodata and from NaN or infinity.
        name: For messages.
    """

    def __init__(
        self,
        values: np.ndarray,
        bands: Bands,
        grid: GeoBox,
        valid: np.ndarray | None = None,
        name: str = "array",
    ) -> None:
        if values.shape != (len(bands), *grid.shape):
            raise GridError(
                f"{name} does not fit its grid and bands",
                got=f"array {values.shape}",
                expected=f"{(len(bands), *grid.shape)}",
            )
        self.name, self.grid, self.bands, self.dtype = name, grid, bands, values.dtype
        self._values = values
        self._valid = valid_pixels(values, bands) if valid is None else valid

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `Source.read`."""
        values = np.zeros((len(self.bands), *window.shape), self.dtype)
        valid = np.zeros(window.shape, bool)
        inside = window.intersect(whole(self._values.shape[1:]))
        if not inside.empty:
            here, there = inside.relative_to(window).slices, inside.slices
            values[:, *here] = self._values[:, *there]
            valid[here] = self._valid[there]
        return values, valid


def valid_pixels(values: np.ndarray, bands: Bands) -> np.ndarray:
    """Validity `[height, width]` of stored `values` `[bands, height, width]`: finite and not nodata in every band."""
    valid = np.ones(values.shape[1:], bool)
    for plane, band in zip(values, bands, strict=True):
        if band.nodata is not None:
            valid &= plane != band.nodata
        if np.issubdtype(plane.dtype, np.floating):
            valid &= np.isfinite(plane)
    return valid
