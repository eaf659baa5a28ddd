"""Warping: a window of a source, read on another grid.

Convention: as `swath.geo.positions` (pixel corners, antimeridian, poles) and `swath.geo.resampling` (validity,
kernels).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from odc.geo.geobox import GeoBox

from swath.geo.grids import shape_of, window_grid
from swath.geo.positions import PixelMap, pixel_map
from swath.geo.resampling import Resampling, check, reach, resample
from swath.geo.windows import Window, whole

__all__ = ["PixelMap", "Raster", "Resampling", "pixel_map", "resample", "source_window", "warp"]

#: Source pixels read at once.
_MOST_PIXELS = 1 << 25


class Raster(Protocol):
    """What `warp` reads from; `swath.data.sources.Source` is one."""

    grid: GeoBox
    dtype: np.dtype

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Values `[bands, height, width]` and validity `[height, width]` of a window."""
        ...


def source_window(positions: PixelMap, shape: tuple[int, int], resampling: Resampling) -> Window:
    """The window of a source of `shape` that resampling needs; empty where they do not meet.

    It lies inside the source, but for columns past the seam of a source that goes around the globe.
    """
    margins = [reach(resampling, scale) for scale in positions.scale]
    spans = []
    for axis, start, margin in zip((positions.rows, positions.cols), positions.origin, margins, strict=True):
        low, high = np.fmin.reduce(axis, axis=None), np.fmax.reduce(axis, axis=None)
        if not np.isfinite(low):
            return Window(0, 0, 0, 0)
        spans.append((int(np.floor(low - margin)) + start, int(np.floor(high + margin)) + start + 1))
    (top, bottom), (left, right) = spans
    window = Window(top, left, bottom - top, right - left)
    limits = whole(shape)
    return window.intersect(Window(0, left, limits.height, window.width) if positions.period else limits)


def warp(
    source: Raster, to: GeoBox, resampling: Resampling = "bilinear", tolerance: float = 0.125
) -> tuple[np.ndarray, np.ndarray]:
    """Read a source on another grid. Only the needed window is read, in parts where that would be large.

    Args:
        source: What to read.
        to: The grid to read it on.
        resampling: See `resample`.
        tolerance: Largest error of positions, in source pixels.

    Returns:
        Values `[bands, height, width]` in the source's type and validity `[height, width]`; invalid pixels are zero.

    Raises:
        GridError: If one of the grids has no CRS and the other has.
        ConfigError: If `resampling` does not suit.
    """
    check(resampling, source.dtype)
    positions = pixel_map(to, source.grid, tolerance)
    window = source_window(positions, shape_of(source.grid), resampling)
    if window.height * window.width > _MOST_PIXELS and max(to.shape) > 1:
        height, width = shape_of(to)
        axis = 0 if height >= width else 1
        half = (height // 2, width) if axis == 0 else (height, width // 2)
        rest = Window(half[0], 0, height - half[0], width) if axis == 0 else Window(0, half[1], height, width - half[1])
        parts = [warp(source, window_grid(to, w), resampling, tolerance) for w in (whole(half), rest)]
        return np.concatenate([p[0] for p in parts], axis + 1), np.concatenate([p[1] for p in parts], axis)
    values, valid = _read(source, window, positions.period)
    return resample(values, valid, positions.within(window), resampling)


def _read(source: Raster, window: Window, period: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Read a window whose columns may run on past the seam of the globe."""
    if period is None or (window.col >= 0 and window.col_stop <= source.grid.shape[1]):
        return source.read(window)
    parts, col = [], window.col
    while col < window.col_stop:
        stop = min(window.col_stop, (col // period + 1) * period)
        parts.append(source.read(Window(window.row, col % period, window.height, stop - col)))
        col = stop
    return np.concatenate([p[0] for p in parts], 2), np.concatenate([p[1] for p in parts], 1)
