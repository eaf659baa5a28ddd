"""A source put elsewhere: the pixels of a file that does not say where they are."""

from __future__ import annotations

import numpy as np
from odc.geo.geobox import GeoBox

from swath.data.sources import Source
from swath.errors import GridError
from swath.geo.windows import Window


class RelocatedSource:
    """The pixels of `source` on another grid of the same shape.

    Args:
        source: Whose pixels.
        grid: Where they are taken to be.

    Raises:
        GridError: If the shapes differ.
    """

    def __init__(self, source: Source, grid: GeoBox) -> None:
        if source.grid.shape != grid.shape:
            raise GridError(
                f"{source.name} is of another size", got=tuple(source.grid.shape), expected=tuple(grid.shape)
            )
        self.name, self.bands, self.dtype, self.grid = source.name, source.bands, source.dtype, grid
        self._source = source

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `Source.read`."""
        return self._source.read(window)
