"""Scenes brought to the pixel size that a network learned at, blurred before they are thinned; and blank ground.

Source: the release of OAM-TCD (arXiv 2407.11743): a box blur of `k` pixels, then bilinear interpolation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy import ndimage

from swath.data.scenes import Partition, Scene
from swath.data.sources import Source
from swath.errors import ConfigError
from swath.geo.grids import shape_of
from swath.geo.windows import Window, whole

#: Pixel sizes that differ by less than this share are the same.
_SAME = 0.01
#: Metres in a degree of latitude.
_DEGREE = 111_320.0


def box_size(ratio: float) -> int:
    """Edge in pixels of the box blur before thinning by `ratio`: the odd number from one and a half times it."""
    return max(1, int(1.5 * ratio) | 1)


def pixel_metres(grid: GeoBox) -> tuple[float, float] | None:
    """Height and width of a pixel in metres; None without CRS.

    In projections these are their own metres, as in the data that networks learned from; degrees are measured at the
    middle of the grid.
    """
    if grid.crs is None:
        return None
    down, across = abs(grid.affine.e), abs(grid.affine.a)
    if grid.crs.geographic:
        latitude = (grid.affine @ (grid.shape[1] / 2, grid.shape[0] / 2))[1]
        return down * _DEGREE, across * _DEGREE * math.cos(math.radians(latitude))
    factor = grid.crs.proj.axis_info[0].unit_conversion_factor
    return down * factor, across * factor


def at_pixel_size(scene: Scene, metres: float) -> Scene:
    """The scene on pixels of another size; as it is where it has no CRS, or such pixels already.

    Raises:
        ConfigError: If the size is not positive.
    """
    if metres <= 0:
        raise ConfigError("A pixel cannot have this size", got=metres, expected="metres, more than 0")
    found = pixel_metres(scene.grid)
    if found is None or all(abs(metres / size - 1) < _SAME for size in found):
        return scene
    ratios = metres / found[0], metres / found[1]
    first, *others = scene.layers.items()
    part = scene.part if isinstance(scene.part, str | None) else _ResampledPartition(scene.part, ratios)
    return replace(scene, layers={first[0]: ResampledSource(first[1], ratios), **dict(others)}, part=part)


def without_blank(scene: Scene) -> Scene:
    """The scene with blank windows invalid; see `NotBlank`."""
    return replace(scene, layers={name: NotBlank(source) for name, source in scene.layers.items()})


class ResampledSource:
    """A source with larger or smaller pixels; a `Source`.

    Args:
        source: The source.
        ratios: New over old height and width of a pixel.
    """

    def __init__(self, source: Source, ratios: tuple[float, float]) -> None:
        height, width = shape_of(source.grid)
        shape = max(1, round(height / ratios[0])), max(1, round(width / ratios[1]))
        self._ratios, self._source = ratios, source
        self.grid = GeoBox(shape, source.grid.affine @ Affine.scale(ratios[1], ratios[0]), source.grid.crs)
        self.name, self.bands, self.dtype = source.name, source.bands, source.dtype

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `Source.read`; a pixel is valid where most of what it is made of is."""
        values, valid = np.zeros((len(self.bands), *window.shape), self.dtype), np.zeros(window.shape, bool)
        inside = window.intersect(whole(shape_of(self.grid)))
        if inside.empty:
            return values, valid
        boxes = [box_size(ratio) for ratio in self._ratios]
        spans = ((inside.row, inside.height), (inside.col, inside.width))
        centres = [
            (start + np.arange(count) + 0.5) * r - 0.5 for (start, count), r in zip(spans, self._ratios, strict=True)
        ]
        firsts = [math.floor(c[0]) - box // 2 for c, box in zip(centres, boxes, strict=True)]
        lasts = [math.floor(c[-1]) + 1 + box // 2 for c, box in zip(centres, boxes, strict=True)]
        needed = Window(firsts[0], firsts[1], lasts[0] - firsts[0] + 1, lasts[1] - firsts[1] + 1)
        stored, known = self._source.read(needed)
        planes = np.concatenate([np.where(known, stored, 0), known[None]]).astype(np.float64)
        planes = ndimage.uniform_filter(planes, (1, *boxes), mode="constant")
        for axis, (centre, first) in enumerate(zip(centres, firsts, strict=True), 1):
            planes = _between(planes, centre - first, axis)
        share = planes[-1]
        made = planes[:-1] / np.maximum(share, 1e-9)
        here = inside.relative_to(window).slices
        valid[here] = share >= 0.5
        # Sums that run along a window end in other last digits than those of another window.
        rounded = np.rint(made.round(6)) if np.issubdtype(self.dtype, np.integer) else made
        values[:, *here] = np.where(valid[here], rounded, 0)
        return values, valid


class NotBlank:
    """A source whose windows without a picture, all black or all white, are invalid; a `Source`.

    Args:
        source: The source.
        low: A window whose mean stored value is not above it is blank,
        high: or not below this.
    """

    def __init__(self, source: Source, low: float = 1.0, high: float = 254.0) -> None:
        self._source, self._low, self._high = source, low, high
        self.name, self.bands, self.dtype, self.grid = source.name, source.bands, source.dtype, source.grid

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `Source.read`."""
        values, valid = self._source.read(window)
        seen = values[:, valid]
        if seen.size and not self._low < seen.mean() < self._high:
            return np.zeros_like(values), np.zeros_like(valid)
        return values, valid


@dataclass(frozen=True)
class _ResampledPartition:
    """A partition of pixels of another size: a pixel belongs where its centre does."""

    partition: Partition
    ratios: tuple[float, float]

    def mask(self, window: Window, part: str) -> np.ndarray:
        """See `swath.data.scenes.Partition.mask`."""
        rows, cols = (
            np.floor((start + np.arange(count) + 0.5) * ratio).astype(np.int64)
            for start, count, ratio in zip((window.row, window.col), window.shape, self.ratios, strict=True)
        )
        if window.empty:
            return np.zeros(window.shape, bool)
        around = Window(int(rows[0]), int(cols[0]), int(rows[-1] - rows[0]) + 1, int(cols[-1] - cols[0]) + 1)
        return self.partition.mask(around, part)[np.ix_(rows - rows[0], cols - cols[0])]


def _between(values: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Values at fractional places along an axis, bilinear."""
    low = np.floor(places).astype(np.int64)
    share = np.expand_dims(places - low, tuple(range(1, values.ndim - axis)))
    return np.take(values, low, axis) * (1 - share) + np.take(values, low + 1, axis) * share
