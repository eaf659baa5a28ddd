"""Pictures without CRS, averaged to fewer pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from swath.data.scenes import Collection
from swath.data.sources import Source
from swath.errors import ConfigError
from swath.geo.grids import window_grid
from swath.geo.warp import Resampling, warp
from swath.geo.windows import Window, whole


class ReducedPicture:
    """A picture averaged to fewer pixels; a `Source`.

    Args:
        source: The picture.
        shape: Height and width in pixels that it shall have.
        resampling: How values are found; `bilinear` for more pixels than there are.
    """

    def __init__(self, source: Source, shape: tuple[int, int], resampling: Resampling = "average") -> None:
        height, width = source.grid.shape
        to_full = Affine.scale(width / shape[1], height / shape[0])
        self.grid = GeoBox(shape, source.grid.affine @ to_full, source.grid.crs)
        self.name, self.bands, self.dtype = source.name, source.bands, source.dtype
        self._source, self._resampling = source, resampling

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `Source.read`."""
        values, valid = np.zeros((len(self.bands), *window.shape), self.dtype), np.zeros(window.shape, bool)
        inside = window.intersect(whole(self.grid.shape))
        if not inside.empty:
            here = inside.relative_to(window).slices
            values[:, *here], valid[here] = warp(self._source, window_grid(self.grid, inside), self._resampling)
        return values, valid


def with_reduced_pictures(collection: Collection, factor: int) -> Collection:
    """The collection with every picture averaged over squares of about `factor` pixels; labels are read at centres.

    Raises:
        ConfigError: If the factor is not positive.
    """
    if factor < 1:
        raise ConfigError("Pictures cannot be reduced by this factor", got=factor, expected="1 or more")
    scenes = []
    for scene in collection:
        height, width = scene.grid.shape
        shape = max(height // factor, 1), max(width // factor, 1)
        layers: dict[str, Source] = {name: ReducedPicture(layer, shape) for name, layer in scene.layers.items()}
        scenes.append(replace(scene, layers=layers))
    return collection.with_scenes(scenes, reduced=f"by {factor}")
