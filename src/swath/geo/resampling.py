"""Resampling arrays at fractional positions: one sparse product a band.

Convention: as `swath.geo.positions`. Validity is a mask.

Which pixels come out valid: those whose kernel lies by at least half of its weight on valid source pixels; pixels
outside the source count as invalid. Values are the mean of the valid ones, with their weights scaled to one. `nearest`
takes the pixel that the position falls into. Invalid pixels are zero.

Where the target is coarser than the source, bilinear and cubic kernels widen with it, as GDAL's do, so that nothing
aliases. `average` weights source pixels by the part of them below the target pixel, taken as an upright box of the
map's median size.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from scipy.sparse import csr_array

from swath.errors import ConfigError
from swath.geo.positions import PixelMap
from swath.geo.windows import Window, whole

Resampling = Literal["nearest", "bilinear", "cubic", "average"]

#: Half width of the kernels in source pixels, for targets that are not coarser.
_RADIUS = {"nearest": 0.0, "bilinear": 1.0, "cubic": 2.0, "average": 0.5}
#: Weights held at once: as many as a processor's cache holds.
_MOST_WEIGHTS = 1 << 18
#: GDAL widens its kernels from this ratio of source to target pixels on.
_COARSER = 1 / 0.95


def check(resampling: str, dtype: np.dtype) -> None:
    """Raise `ConfigError` if `resampling` is unknown or would mix numbers that cannot be mixed (bool)."""
    if resampling not in get_args(Resampling):
        raise ConfigError("Unknown resampling", got=resampling, expected=", ".join(get_args(Resampling)))
    if dtype.kind == "b" and resampling != "nearest":
        raise ConfigError("Flags cannot be mixed", got=resampling, expected="nearest")


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
    check(resampling, values.dtype)
    if values.size == 0:
        return np.zeros((values.shape[0], *positions.shape), values.dtype), np.zeros(positions.shape, bool)
    coarser = max(positions.scale) > _COARSER and resampling != "nearest"
    if positions.shift is not None and not coarser:
        return _shifted(values, valid, positions.shape, positions.shift)
    if resampling == "nearest":
        return _nearest(values, valid, positions)
    return _mixed(values, valid, positions, resampling)


def reach(resampling: Resampling, scale: float) -> float:
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
    return 2 * int(np.ceil(reach(resampling, scale)))


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
        widened = np.float32(reach(resampling, scale) / _RADIUS[resampling])
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
