"""Where the pixels of one grid lie in another.

Convention: positions are fractional `(row, col)` in pixels of the source grid, counted from its top-left *corner*:
the centre of its first pixel is `(0.5, 0.5)`, and pixel `k` reaches from `k` to `k + 1`.

Antimeridian: columns of a geographic source are counted with longitudes unwrapped around its centre, so a source from
170 to 190 degrees meets targets on either side. A source that goes all around the globe (its width is 360 degrees) has
no edge at its seam: columns run on past it. Poles: positions bend so strongly there that they are computed pixel by
pixel. Where a projection is undefined, positions are NaN and count as outside.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from swath.geo import grids
from swath.geo.lattice import interpolate
from swath.geo.windows import Window

#: Grids of one CRS that agree to this many pixels are one; the same for whole-pixel shifts.
_SAME = 1e-3


@dataclass(frozen=True, eq=False)
class PixelMap:
    """Where the pixel centres of one grid lie in another.

    Attributes:
        rows: Fractional source rows, less `origin[0]`; float32 `[height, width]`, or `[height, 1]` where they are the
            same in all columns; NaN where undefined.
        cols: Fractional source columns, less `origin[1]`; float32 `[height, width]` or `[1, width]`.
        origin: Whole `(row, col)` of the source that positions are counted from.
        scale: Source pixels for one target pixel, down and across.
        shift: `(row, col)` of the source where the first target pixel lies, if grids differ by whole pixels only.
        period: Columns around the globe, if the source grid goes all around it.
    """

    rows: np.ndarray
    cols: np.ndarray
    origin: tuple[int, int]
    scale: tuple[float, float]
    shift: tuple[int, int] | None = None
    period: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """`(height, width)` of the target."""
        return self.rows.shape[0], self.cols.shape[1]

    @property
    def separable(self) -> bool:
        """Whether rows depend on target rows only, and columns on target columns only."""
        return (self.rows.shape[1], self.cols.shape[0]) == (1, 1)

    def within(self, window: Window) -> PixelMap:
        """The same map with positions counted from the top-left pixel of a source `window`."""
        shift = None if self.shift is None else (self.shift[0] - window.row, self.shift[1] - window.col)
        return replace(self, origin=(self.origin[0] - window.row, self.origin[1] - window.col), shift=shift)


def pixel_map(to: GeoBox, of: GeoBox, tolerance: float = 0.125) -> PixelMap:
    """Find every pixel centre of `to` in the grid `of`.

    Between CRS, positions are exact on a lattice, linear in between; the lattice is refined until linear positions
    are right to `tolerance` at the middle of its cells and edges, or until every pixel is exact.

    Args:
        to: The grid to warp to.
        of: The grid of the source.
        tolerance: Largest error in source pixels.

    Raises:
        GridError: If one of the grids has no CRS and the other has.
    """
    middle = _centre(of)[0] if grids.is_geographic(of) else 0.0
    period = _period(of)
    if to.crs == of.crs:
        turns = round((_centre(to)[0] - middle) / 360) if grids.is_geographic(of) else 0
        ends = [x - 360 * turns - middle for x, _ in (to.affine @ (0, 0), to.affine @ (to.shape[1], to.shape[0]))]
        if not grids.is_geographic(of) or period or max(map(abs, ends)) <= 180:
            return _affine_map(to, of, 360.0 * turns, period)
    transform = grids.transformer(grids.require_crs(to, "The target"), grids.require_crs(of, "The source")).transform
    if period:
        x, _ = transform(*_centre(to))
        middle = x if np.isfinite(x) else middle
        middle -= 360 * np.floor((middle - (of.affine @ (0, 0))[0]) / 360)

    def exact(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        """Positions `[2, rows, cols]` in `of` of the points of `to` at `rows` x `cols`."""
        x, y = transform(*grids.coordinates(to, rows[:, None], cols[None, :]))
        lost = ~(np.isfinite(x) & np.isfinite(y))
        x, y = np.where(lost, np.nan, x), np.where(lost, np.nan, y)
        if grids.is_geographic(of):
            x = middle + (x - middle + 180) % 360 - 180
        return np.stack(grids.positions(of, x, y))

    positions, lattice = interpolate(exact, grids.shape_of(to), tolerance)
    if min(to.shape) == 1:
        lattice = exact(np.array([0.5, 1.5]), np.array([0.5, 1.5]))
        scale = _steps(lattice, (2, 2))
    else:
        scale = _steps(lattice, grids.shape_of(to))
    return _counted(positions[0], positions[1], scale, period=period)


def _centre(grid: GeoBox) -> tuple[float, float]:
    return grid.affine @ (grid.shape[1] / 2, grid.shape[0] / 2)


def _period(grid: GeoBox) -> int | None:
    """Columns around the globe, if a geographic grid goes all around it."""
    if not grids.is_geographic(grid) or grid.affine.b or grid.affine.d or grid.affine.a <= 0:
        return None
    around = 360 / grid.affine.a
    period = round(around)
    return period if abs(around - period) < 10 * _SAME and grid.shape[1] >= period else None


def _affine_map(to: GeoBox, of: GeoBox, turn: float, period: int | None) -> PixelMap:
    """Map of two grids in one CRS, `to` moved west by `turn` degrees."""
    a, b, c, d, e, f = (~of.affine @ Affine.translation(-turn, 0) @ to.affine)[:6]
    height, width = grids.shape_of(to)
    down, across = np.arange(height)[:, None] + 0.5, np.arange(width)[None, :] + 0.5
    scale = (float(np.hypot(d, e)), float(np.hypot(a, b)))
    if max(abs(b) * height, abs(d) * width) > _SAME:
        return _counted(d * across + e * down + f, a * across + b * down + c, scale, period=period)
    drift = max(abs(a - 1) * width, abs(e - 1) * height, abs(c - round(c)), abs(f - round(f)))
    shift = (round(f), round(c)) if drift <= _SAME else None
    return _counted(e * down + f, a * across + c, scale, shift, period)


def _counted(
    rows: np.ndarray,
    cols: np.ndarray,
    scale: tuple[float, float],
    shift: tuple[int, int] | None = None,
    period: int | None = None,
) -> PixelMap:
    """A map with positions as float32, counted from a whole pixel near them so that none is lost to rounding."""
    starts = [np.fmin.reduce(axis, axis=None) for axis in (rows, cols)]
    origin = tuple(int(np.floor(start)) if np.isfinite(start) else 0 for start in starts)
    near = [(axis - start).astype(np.float32) for axis, start in zip((rows, cols), origin, strict=True)]
    return PixelMap(near[0], near[1], (origin[0], origin[1]), scale, shift, period)


def _steps(positions: np.ndarray, shape: tuple[int, int]) -> tuple[float, float]:
    """Source pixels for one target pixel, down and across, in the median of a lattice `[2, h, w]` of positions."""
    steps = [(size - 1) / max(nodes - 1, 1) for size, nodes in zip(shape, positions.shape[1:], strict=True)]
    down = np.diff(positions, axis=1)[:, :, 1:] / steps[0]
    across = np.diff(positions, axis=2)[:, 1:, :] / steps[1]
    sizes = np.hypot(down, across).reshape(2, -1)
    sizes = sizes[:, np.isfinite(sizes).all(0)]
    return (float(np.median(sizes[0])), float(np.median(sizes[1]))) if sizes.size else (1.0, 1.0)
