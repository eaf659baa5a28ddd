"""A source seen on another grid."""

from __future__ import annotations

import numpy as np
from odc.geo.geobox import GeoBox

from swath.data.sources import Source
from swath.geo.grids import require_crs, same_grid, shape_of, window_grid
from swath.geo.warp import Resampling, warp
from swath.geo.windows import Window, whole


def on_grid(source: Source, grid: GeoBox, resampling: Resampling = "bilinear") -> Source:
    """The source as it is where it lies on `grid`, else warped to it; see `WarpedSource`."""
    return source if same_grid(source.grid, grid) else WarpedSource(source, grid, resampling)


class WarpedSource:
    """The pixels of `source` on `grid`, warped window by window as they are read.

    Args:
        source: What to read.
        grid: The grid to read it on; not cut to the source, pixels beyond it are invalid.
        resampling: `nearest` for classes and flags, `average` for much coarser grids, else `bilinear` or `cubic`.
        tolerance: Largest error of positions, in pixels of the source.

    Raises:
        GridError: If one of the grids has no CRS.
    """

    def __init__(
        self, source: Source, grid: GeoBox, resampling: Resampling = "bilinear", tolerance: float = 0.125
    ) -> None:
        require_crs(source.grid, source.name)
        require_crs(grid, f"The grid that {source.name} is warped to")
        self.name, self.bands, self.dtype, self.grid = source.name, source.bands, source.dtype, grid
        self._source, self._resampling, self._tolerance = source, resampling, tolerance

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `swath.data.sources.Source.read`; numbers stay in the stored type, integers are rounded."""
        values, valid = warp(self._source, window_grid(self.grid, window), self._resampling, self._tolerance)
        inside = window.intersect(whole(shape_of(self.grid)))
        if inside != window:  # the source may go on where this grid has ended
            kept = np.zeros(window.shape, bool)
            kept[inside.relative_to(window).slices] = True
            values[:, ~kept], valid = 0, valid & kept
        return values, valid
