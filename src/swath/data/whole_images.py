"""Whole images as one small patch each, with one class: what networks that judge an image as a whole take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from odc.geo.geobox import GeoBox
from scipy import sparse

from swath.data.blocks import default_cache
from swath.data.scenes import Collection, Scene
from swath.data.sources import ArraySource, Source
from swath.geo.grids import shape_of
from swath.geo.windows import Window
from swath.sensors.bands import Bands

#: A pixel of the small image is valid where at least so much of its ground is.
_LEAST_VALID = 0.5
#: Rows of an image that are read at once.
_ROWS = 1024


@dataclass
class ImageLabel:
    """The class of an image as labels: the same on every grid.

    Attributes:
        index: Class index.
        name: Where it comes from.
    """

    index: int
    name: str = "label of an image"

    def read(self, grid: GeoBox) -> np.ndarray:
        """See `Labels.read`."""
        return np.full(shape_of(grid), self.index, np.int16)


class SmallSource:
    """A source shrunk, or enlarged, to a square: each pixel is the mean of the valid ground that it covers.

    Args:
        source: The source.
        size: Edge of the square in pixels.
    """

    def __init__(self, source: Source, size: int) -> None:
        self._source, self._size = source, size
        self._key = object()  # of what the cache keeps
        self.name, self.dtype = source.name, np.dtype(np.float32)
        self.grid = source.grid.zoom_to((size, size))
        self.bands = Bands(source.bands.sensor, tuple(replace(band, nodata=None) for band in source.bands))

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `Source.read`."""
        found = default_cache().get(self._key, self._shrunk)
        return ArraySource(found[:-1], self.bands, self.grid, found[-1] > 0).read(window)

    def _shrunk(self) -> np.ndarray:
        """Values and, as the last plane, validity `[bands + 1, size, size]`."""
        height, width = shape_of(self._source.grid)
        down, across = _means(height, self._size), _means(width, self._size).T
        total = np.zeros((len(self.bands) + 1, self._size, self._size))
        for row in range(0, height, _ROWS):
            window = Window(row, 0, min(_ROWS, height - row), width)
            values, valid = self._source.read(window)
            rows = down[:, row : row + window.height]
            for plane, band in zip(total, (*values, valid), strict=True):
                counted = np.where(valid, band, 0).astype(np.float64)
                plane += rows @ (counted @ across)
        share = total[-1]
        total[:-1] /= np.maximum(share, 1e-9)
        total[-1] = share >= _LEAST_VALID
        return (total * total[-1]).astype(np.float32)


def whole_images(collection: Collection, size: int) -> Collection:
    """The collection with images of `size` x `size` pixels; scenes that share an image go on sharing it."""
    small = {id(source): SmallSource(source, size) for scene in collection for source in scene.layers.values()}
    scenes = (
        replace(scene, layers={name: small[id(source)] for name, source in scene.layers.items()})
        for scene in collection
    )
    return replace(collection, scenes=tuple(scenes))


def small_scene(scene: Scene, size: int) -> Scene:
    """The scene with layers of `size` x `size` pixels; labels stay."""
    return replace(scene, layers={name: SmallSource(source, size) for name, source in scene.layers.items()})


def _means(count: int, size: int) -> sparse.csr_array:
    """Weights `[size, count]` whose rows are the shares of `count` pixels in each of `size` equal pieces."""
    edges = np.linspace(0, count, size + 1)
    pieces = []
    for piece, (low, high) in enumerate(pairwise(edges)):
        touched = np.arange(int(low), min(int(np.ceil(high)), count))
        shares = (np.minimum(touched + 1, high) - np.maximum(touched, low)) / (high - low)
        pieces.append((shares, np.full(len(touched), piece), touched))
    weights, rows, cols = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return sparse.csr_array((weights, (rows, cols)), shape=(size, count))
