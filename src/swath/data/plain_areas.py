"""Pictures in which large areas of black or white mean that nothing was taken there."""

from __future__ import annotations

import numpy as np

from swath.data.sources import Source
from swath.geo.windows import Window

#: Edge in pixels of a square that is no accident.
EDGE = 16


class PlainAreaIsNoData:
    """A picture whose large areas of one number in every band are invalid; a `Source`.

    A single such pixel is a bright roof or a dark lake, so only those are meant that belong to a square; beyond the
    picture counts as plain.

    Args:
        source: The picture.
        value: The number, 0 for black.
        edge: Edge in pixels of the squares.
    """

    def __init__(self, source: Source, value: int, edge: int = EDGE) -> None:
        self.name, self.grid, self.bands, self.dtype = source.name, source.grid, source.bands, source.dtype
        self._source, self._value, self._edge = source, value, edge

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `Source.read`."""
        from scipy.ndimage import binary_opening

        reach = self._edge - 1
        values, valid = self._source.read(window.pad(reach))
        plain = (values == self._value).all(0) | ~valid
        core = (slice(reach, reach + window.height), slice(reach, reach + window.width))
        values, valid = values[:, *core], valid[core]
        if plain[core].any():
            valid = valid & ~binary_opening(plain, np.ones((self._edge, self._edge), bool))[core]
            values = np.where(valid, values, 0).astype(self.dtype)
        return values, valid
