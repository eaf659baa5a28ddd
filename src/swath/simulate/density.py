"""Density of things: maps whose sum is a count."""

from __future__ import annotations

import numpy as np
from odc.geo.geobox import GeoBox
from scipy import ndimage, sparse

from swath.geo.grids import positions, shape_of
from swath.geo.windows import Window, whole

#: Standard deviations after which the Gaussian ends.
_TRUNCATE = 4.0


def density(points: np.ndarray, grid: GeoBox, spread: float = 2.0, part: Window | None = None) -> np.ndarray:
    """Density map `[h, w]` float32 of points, things a pixel.

    Each point adds one, spread by a Gaussian that is reflected at the border of the picture, so that the sum over the
    picture is the number of points in it.

    Args:
        points: `[N, 2]` (x, y) in the CRS of the grid.
        grid: The picture.
        spread: Standard deviation, pixels.
        part: The window of the picture to give; by default all of it. Windows fit together without seams.
    """
    height, width = shape_of(grid)
    part = part or whole((height, width))
    place = positions(grid, points[:, 0], points[:, 1])
    row, col = (np.floor(values).astype(np.int64) for values in place)
    inside = (col >= 0) & (col < width) & (row >= 0) & (row < height)
    ones = np.ones(int(inside.sum()))
    counts = sparse.coo_array((ones, (row[inside], col[inside])), (height, width)).tocsr()
    reach = int(_TRUNCATE * spread + 0.5)
    rows = _reflected(np.arange(part.row - reach, part.row_stop + reach), height)
    cols = _reflected(np.arange(part.col - reach, part.col_stop + reach), width)
    spread_out = ndimage.gaussian_filter(counts[rows][:, cols].toarray(), spread, truncate=_TRUNCATE)
    return spread_out[reach : reach + part.height, reach : reach + part.width].astype(np.float32)


def _reflected(index: np.ndarray, size: int) -> np.ndarray:
    """Positions beyond an axis of `size`, mirrored at its borders: d c b a | a b c d | d c b a."""
    turned = index % (2 * size)
    return np.where(turned < size, turned, 2 * size - 1 - turned)
