"""Warping windows of rasters from grid to grid: exact positions, one sparse product a band.

Convention: positions are fractional `(row, col)` in pixels of the source grid, counted from its top-left *corner*:
the centre of its first pixel is `(0.5, 0.5)`, and pixel `k` reaches from `k` to `k + 1`. Validity is a mask.

Which pixels come out valid: those whose kernel lies by at least half of its weight on valid source pixels; pixels
outside the source grid count as invalid. Values are the mean of the valid ones, with their weights scaled to one.
`nearest` takes the pixel that the position falls into. Invalid pixels are zero.

Where the target is coarser than the source, bilinear and cubic kernels widen with it, as GDAL's do, so that nothing
aliases. `average` weights source pixels by the part of them below the target pixel, taken as an upright box of the
window's median size.

Antimeridian: columns of a geographic source are counted with longitudes unwrapped around its centre, so a source from
170 to 190 degrees meets targets on either side. A source that goes all around the globe (its width is 360 degrees) has
no edge at its seam: columns run on past it and reads are put together from both sides. Poles: positions bend so
strongly there that they are computed pixel by pixel; above the first row of a geographic raster nothing is valid.
Where a projection is undefined, positions are NaN and count as outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, Protocol, get_args

import numpy as np
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from scipy.sparse import csr_array

from swath.errors import ConfigError, GridError
from swath.geo.grids import window_grid
from swath.geo.lattice import interpolate
from swath.geo.windows import Window, whole

Resampling = Literal["nearest", "bilinear", "cubic", "average"]

#: Half width of the kernels in source pixels, for targets that are not coarser.
_RADIUS = {"nearest": 0.0, "bilinear": 1.0, "cubic": 2.0, "average": 0.5}
#: Grids of one CRS that agree to this many pixels are one; the same for whole-pixel shifts.
_SAME = 1e-3
#: Weights held at once (as many as a processor's cache holds) and source pixels read at once.
_MOST_WEIGHTS = 1 << 18
_MOST_PIXELS = 1 << 25
#: GDAL widens its kernels from this ratio of source to target pixels on.
_COARSER = 1 / 0.95


class Raster(Protocol):
    """What `warp` reads from; `swath.data.sources.Source` is one."""

    grid: GeoBox
    dtype: np.dtype

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Values `[bands, height, width]` and validity `[height, width]` of a window, which may reach beyond the grid."""
        ...


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
    if (to.crs is None) != (of.crs is None):
        raise GridError(
            "Nothing can be warped between a picture and a map",
            got=f"CRS {of.crs or 'none'} of the source, {to.crs or 'none'} of the target",
            expected="a CRS on both sides",
            fix="Give the missing one with `crs:` / `--crs`",
        )
    middle = _centre(of)[0] if _geographic(of) else 0.0
    period = _period(of)
    if to.crs == of.crs:
        turns = round((_centre(to)[0] - middle) / 360) if _geographic(of) else 0
        ends = [x - 360 * turns - middle for x, _ in (to.affine @ (0, 0), to.affine @ (to.shape[1], to.shape[0]))]
        if not _geographic(of) or period or max(map(abs, ends)) <= 180:
            return _affine_map(to, of, 360.0 * turns, period)
    transform = _transformer(to.crs, of.crs)
    if period:
        x, _ = transform(*_centre(to))
        middle = x if np.isfinite(x) else middle
        middle -= 360 * np.floor((middle - (of.affine @ (0, 0))[0]) / 360)

    inverse = ~of.affine

    def exact(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        """Positions `[2, rows, cols]` in `of` of the points of `to` at `rows` x `cols`."""
        x, y = transform(*(to.affine @ (cols[None, :], rows[:, None])))
        lost = ~(np.isfinite(x) & np.isfinite(y))
        x, y = np.where(lost, np.nan, x), np.where(lost, np.nan, y)
        if _geographic(of):
            x = middle + (x - middle + 180) % 360 - 180
        col, row = inverse @ (x, y)
        return np.stack([row, col])

    positions, lattice = interpolate(exact, to.shape, tolerance)
    if min(to.shape) == 1:
        lattice = exact(np.array([0.5, 1.5]), np.array([0.5, 1.5]))
        scale = _steps(lattice, (2, 2))
    else:
        scale = _steps(lattice, to.shape)
    return _counted(positions[0], positions[1], scale, period=period)


def source_window(positions: PixelMap, shape: tuple[int, int], resampling: Resampling) -> Window:
    """The window of a source of `shape` that resampling needs; empty where they do not meet.

    It lies inside the source, but for columns past the seam of a source that goes around the globe.
    """
    margins = [_reach(resampling, scale) for scale in positions.scale]
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


def resample(
    values: np.ndarray, valid: np.ndarray, positions: PixelMap, resampling: Resampling = "bilinear"
) -> tuple[np.ndarray, np.ndarray]:
    """Resample an array at the positions of a map.

    Integers are rounded half up and kept within their type; the type never changes.

    Args:
        values: `[bands, h, w]`.
        valid: `[h, w]`, bool.
        positions: Positions in the array; for a part of a source, `positions.within(window)`.
        resampling: `nearest` for classes and flags, `average` for much coarser targets, else `bilinear` or `cubic`.

    Returns:
        Values `[bands, height, width]` and validity `[height, width]`; invalid pixels are zero.

    Raises:
        ConfigError: If `resampling` is unknown or would mix numbers that cannot be mixed (bool).
    """
    _check(resampling, values.dtype)
    if values.size == 0:
        return np.zeros((values.shape[0], *positions.shape), values.dtype), np.zeros(positions.shape, bool)
    coarser = max(positions.scale) > _COARSER and resampling != "nearest"
    if positions.shift is not None and not coarser:
        return _shifted(values, valid, positions.shape, positions.shift)
    if resampling == "nearest":
        return _nearest(values, valid, positions)
    return _mixed(values, valid, positions, resampling)


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
    _check(resampling, source.dtype)
    positions = pixel_map(to, source.grid, tolerance)
    window = source_window(positions, source.grid.shape, resampling)
    if window.height * window.width > _MOST_PIXELS and max(to.shape) > 1:
        height, width = to.shape
        axis = 0 if height >= width else 1
        half = (height // 2, width) if axis == 0 else (height, width // 2)
        rest = Window(half[0], 0, height - half[0], width) if axis == 0 else Window(0, half[1], height, width - half[1])
        parts = [warp(source, window_grid(to, w), resampling, tolerance) for w in (whole(half), rest)]
        return np.concatenate([p[0] for p in parts], axis + 1), np.concatenate([p[1] for p in parts], axis)
    values, valid = _read(source, window, positions.period)
    return resample(values, valid, positions.within(window), resampling)


def _check(resampling: str, dtype: np.dtype) -> None:
    if resampling not in get_args(Resampling):
        raise ConfigError("Unknown resampling", got=resampling, expected=", ".join(get_args(Resampling)))
    if dtype == bool and resampling != "nearest":
        raise ConfigError("Flags cannot be mixed", got=resampling, expected="nearest")


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


def _geographic(grid: GeoBox) -> bool:
    return grid.crs is not None and grid.crs.geographic


def _centre(grid: GeoBox) -> tuple[float, float]:
    return grid.affine @ (grid.shape[1] / 2, grid.shape[0] / 2)


def _period(grid: GeoBox) -> int | None:
    """Columns around the globe, if a geographic grid goes all around it."""
    if not _geographic(grid) or grid.affine.b or grid.affine.d or grid.affine.a <= 0:
        return None
    around = 360 / grid.affine.a
    period = round(around)
    return period if abs(around - period) < 10 * _SAME and grid.shape[1] >= period else None


@lru_cache(maxsize=256)
def _transformer(source: CRS, target: CRS) -> Callable[..., tuple[Any, Any]]:
    """pyproj's transformers may be shared by threads (they keep one context a thread)."""
    return Transformer.from_crs(source.proj, target.proj, always_xy=True).transform


def _affine_map(to: GeoBox, of: GeoBox, turn: float, period: int | None) -> PixelMap:
    """Map of two grids in one CRS, `to` moved west by `turn` degrees."""
    a, b, c, d, e, f = (~of.affine @ type(to.affine).translation(-turn, 0) @ to.affine)[:6]
    height, width = to.shape
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


def _reach(resampling: Resampling, scale: float) -> float:
    """How far a kernel reaches from its centre, in source pixels."""
    widened = scale if resampling == "average" or scale > _COARSER else 1.0
    return _RADIUS[resampling] * widened


def _shifted(
    values: np.ndarray, valid: np.ndarray, shape: tuple[int, int], shift: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a window out of an array that may not cover it."""
    target = Window(*shift, *shape)
    inside = target.intersect(whole(valid.shape))
    cut, kept = np.zeros((values.shape[0], *shape), values.dtype), np.zeros(shape, bool)
    if not inside.empty:
        here, there = inside.relative_to(target).slices, inside.slices
        kept[here] = valid[there]
        cut[:, *here] = values[:, *there] * valid[there]
    return cut, kept


def _nearest(values: np.ndarray, valid: np.ndarray, positions: PixelMap) -> tuple[np.ndarray, np.ndarray]:
    indices, known = [], []
    for axis, start, size in zip((positions.rows, positions.cols), positions.origin, valid.shape, strict=True):
        place = np.floor(np.nan_to_num(axis, nan=-1.0 - start) + start)
        known.append((place >= 0) & (place < size))
        indices.append(np.clip(place, 0, size - 1).astype(np.intp))
    flat = (indices[0] * valid.shape[1] + indices[1]).ravel()
    kept = valid.reshape(-1)[flat].reshape(positions.shape) & known[0] & known[1]
    taken = np.take(values.reshape(values.shape[0], -1), flat, axis=1).reshape(-1, *positions.shape)
    return (taken if kept.all() else taken * kept), kept


def _mixed(
    values: np.ndarray, valid: np.ndarray, positions: PixelMap, resampling: Resampling
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted means; weights of one axis at a time where the map is separable."""
    bands, (height, width) = values.shape[0], positions.shape
    # float32 holds all integers of up to 16 bit exactly
    small = values.dtype.kind in "iu" and values.dtype.itemsize <= 2
    work = np.float32 if small else np.result_type(values.dtype, np.float32)
    whole_valid = bool(valid.all())
    planes = np.where(valid, values, 0).astype(work) if not whole_valid else values.astype(work, copy=False)
    mixed, share = np.zeros((bands, height, width), work), np.empty((height, width), np.float32)
    if positions.separable:
        down, across = (
            _axis_matrix(axis.ravel(), start, size, scale, resampling)
            for axis, start, size, scale in zip(
                (positions.rows, positions.cols), positions.origin, valid.shape, positions.scale, strict=True
            )
        )
        for plane, out in zip(planes, mixed, strict=True):
            out[:] = (across @ (down @ plane).T).T
        share[:] = (across @ (down @ valid.astype(np.float32)).T).T
    else:
        taps = [_taps(resampling, scale) for scale in positions.scale]
        step = max(1, _MOST_WEIGHTS // (width * taps[0] * taps[1]))
        for start in range(0, height, step):
            rows = slice(start, start + step)
            part = replace(positions, rows=positions.rows[rows], cols=positions.cols[rows])
            matrix, inside = _matrix(part, valid.shape, resampling)
            for plane, out in zip(planes, mixed, strict=True):
                out[rows] = (matrix @ plane.reshape(-1)).reshape(-1, width)
            share[rows] = (
                1 if inside and whole_valid else (matrix @ valid.reshape(-1).astype(np.float32)).reshape(-1, width)
            )
    kept = share >= 0.5
    if not (whole_valid and share.min() > 1 - 1e-5):
        mixed /= np.where(kept, share, np.inf)
    if values.dtype.kind in "iu":
        limits = np.iinfo(values.dtype)
        mixed += 0.5
        mixed = np.clip(np.floor(mixed, out=mixed), limits.min, limits.max, out=mixed)
    return mixed.astype(values.dtype, copy=False), kept


def _taps(resampling: Resampling, scale: float) -> int:
    """Number of source pixels that a kernel touches along one axis."""
    if resampling == "average":
        return int(np.floor(scale)) + 2
    return 2 * int(np.ceil(_reach(resampling, scale)))


def _weights(
    at: np.ndarray, start: int, size: int, scale: float, resampling: Resampling
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Kernel weights along one axis.

    Args:
        at: Positions less `start`, any shape.
        start: What positions are counted from.
        size: Number of source pixels.
        scale: Source pixels for one target pixel.
        resampling: The kernel.

    Returns:
        Source pixels, int32, and weights, both `[taps, *at.shape]`, and whether all pixels lie inside. Weights sum to
        one before those of pixels outside are set to zero.
    """
    taps = np.arange(_taps(resampling, scale), dtype=np.float32).reshape(-1, *[1] * at.ndim)
    if resampling == "average":
        half = np.float32(scale / 2)
        first = np.floor(at - half)
        low = (at - first) - taps
        weights = (np.clip(low + half, 0, 1) - np.clip(low - half, 0, 1)) / np.float32(scale)
    else:
        first = np.floor(at - np.float32(0.5)) - np.float32(len(taps) // 2 - 1)
        distance = (at - first - np.float32(0.5)) - taps
        widened = np.float32(_reach(resampling, scale) / _RADIUS[resampling])
        if widened != 1:
            distance /= widened
        weights = _KERNELS[resampling](np.abs(distance, out=distance))
        if widened != 1:
            weights /= weights.sum(0)
    if first.min() + start >= 0 and first.max() + start + len(taps) <= size:
        return (first + np.float32(start)).astype(np.int32) + taps.astype(np.int32), weights, True
    pixels = np.nan_to_num(first, nan=-1e9).astype(np.float64) + start + taps
    outside = (pixels < 0) | (pixels >= size)
    return np.clip(pixels, 0, size - 1).astype(np.int32), np.where(outside, np.float32(0), weights), False


def _axis_matrix(at: np.ndarray, start: int, size: int, scale: float, resampling: Resampling) -> csr_array:
    """Sparse `[target, source]` weights of one axis."""
    pixels, weights, _ = _weights(at, start, size, scale, resampling)
    return _csr(np.ascontiguousarray(pixels.T), np.ascontiguousarray(weights.T), size)


def _matrix(positions: PixelMap, shape: tuple[int, ...], resampling: Resampling) -> tuple[csr_array, bool]:
    """Sparse `[target pixels, source pixels]` weights, and whether no kernel reaches beyond the source."""
    rows, down, inside_rows = _weights(positions.rows, positions.origin[0], shape[0], positions.scale[0], resampling)
    cols, across, inside_cols = _weights(positions.cols, positions.origin[1], shape[1], positions.scale[1], resampling)
    rows *= np.int32(shape[1])
    taps = (len(rows), len(cols))
    pixels, weights = np.empty((*positions.shape, *taps), np.int32), np.empty((*positions.shape, *taps), np.float32)
    for i, j in np.ndindex(taps):
        np.add(rows[i], cols[j], out=pixels[..., i, j])
        np.multiply(down[i], across[j], out=weights[..., i, j])
    count = int(np.prod(positions.shape))
    matrix = _csr(pixels.reshape(count, -1), weights.reshape(count, -1), shape[0] * shape[1])
    return matrix, inside_rows and inside_cols


def _csr(pixels: np.ndarray, weights: np.ndarray, size: int) -> csr_array:
    targets, taps = pixels.shape
    ends = np.arange(0, targets * taps + 1, taps, dtype=np.int32)
    return csr_array((weights.ravel(), pixels.ravel(), ends), shape=(targets, size))


def _linear(distance: np.ndarray) -> np.ndarray:
    return np.maximum(np.float32(1) - distance, 0)


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Cubic convolution with a = -1/2 (Keys 1981, https://doi.org/10.1109/TASSP.1981.1163711, equation 15)."""
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.where(distance <= 1, near, np.where(distance < 2, far, np.float32(0)))


_KERNELS = {"bilinear": _linear, "cubic": _cubic}
