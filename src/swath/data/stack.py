"""Bands that lie in several files, perhaps of different resolution, as one source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from odc.geo.geobox import GeoBox

from swath.data.sources import Source
from swath.data.warped import on_grid
from swath.errors import BandError, DataError
from swath.geo.grids import require_crs, same_grid
from swath.geo.warp import Resampling
from swath.geo.windows import Window
from swath.sensors.bands import Bands


class StackSource:
    """The bands of `sources` one after the other, on one grid.

    A pixel is valid where it is in every source. Stored types are promoted to one that holds them all.

    Args:
        sources: What to stack, all of one sensor.
        grid: Where; by default the grid of the source with the smallest pixels, the first of equals. Sources on other
            grids are warped to it; a source whose pixels are whole multiples of it takes the separable short cut of
            `swath.geo.warp`.
        resampling: How they are warped.
        name: For messages; by default the names of the sources.

    Raises:
        DataError: If there are no sources.
        BandError: If sensors differ or a band is named twice.
        GridError: If grids differ and one has no CRS.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        grid: GeoBox | None = None,
        resampling: Resampling = "bilinear",
        name: str | None = None,
    ) -> None:
        if not sources:
            raise DataError("A stack of no files is not defined", expected="at least one")
        sensors = {source.bands.sensor for source in sources}
        if len(sensors) > 1:
            raise BandError("Bands of different sensors are stacked", got=", ".join(sorted(sensors)), expected="one")
        self.name = name or " + ".join(source.name for source in sources)
        self.bands = Bands(sensors.pop(), tuple(band for source in sources for band in source.bands))
        self.dtype = np.result_type(*(source.dtype for source in sources))
        self.grid = _finest(sources) if grid is None else grid
        self._sources = tuple(on_grid(source, self.grid, resampling) for source in sources)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `swath.data.sources.Source.read`."""
        values, valid = np.empty((len(self.bands), *window.shape), self.dtype), np.ones(window.shape, bool)
        start = 0
        for source in self._sources:
            stop = start + len(source.bands)
            values[start:stop], inside = source.read(window)
            valid &= inside
            start = stop
        return values, valid


def _finest(sources: Sequence[Source]) -> GeoBox:
    """The grid with the smallest pixels on the ground, measured in the CRS of the first."""
    first = sources[0].grid
    if all(same_grid(source.grid, first) for source in sources):
        return first
    for source in sources:
        require_crs(source.grid, source.name)
    return min((source.grid for source in sources), key=lambda grid: _pixel_area(grid, first))


def _pixel_area(grid: GeoBox, measure: GeoBox) -> float:
    """Mean area of a pixel of `grid` in square units of the CRS of `measure`."""
    extent = grid.extent.to_crs(str(measure.crs))
    return extent.area / (grid.shape[0] * grid.shape[1])
