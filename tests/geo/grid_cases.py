"""Grids and rasters for tests of `swath.geo`."""

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from swath.geo.windows import whole


def north_up(crs, x, y, size, height, width):
    """A grid with its top-left corner at `(x, y)` and square pixels."""
    return GeoBox((height, width), Affine(size, 0, x, 0, -size, y), crs)


def centres(grid):
    """`(x, y)` of all pixel centres, `[height, width]` each."""
    rows, cols = np.mgrid[: grid.shape[0], : grid.shape[1]] + 0.5
    a = grid.affine
    return a.a * cols + a.b * rows + a.c, a.d * cols + a.e * rows + a.f


def lon_lat(grid):
    """Longitude and latitude of all pixel centres."""
    return Transformer.from_crs(grid.crs.proj, 4326, always_xy=True).transform(*centres(grid))


class Held:
    """An array to read by window, which remembers what was read."""

    def __init__(self, values, grid, valid=None):
        self.values, self.grid, self.dtype, self.windows = values, grid, values.dtype, []
        self.valid = np.ones(values.shape[1:], bool) if valid is None else valid

    def read(self, window):
        self.windows.append(window)
        values = np.zeros((len(self.values), *window.shape), self.dtype)
        valid = np.zeros(window.shape, bool)
        inside = window.intersect(whole(self.valid.shape))
        if not inside.empty:
            here, there = inside.relative_to(window).slices, inside.slices
            values[:, *here], valid[here] = self.values[:, *there], self.valid[there]
        return values, valid


def field(lon, lat):
    """A function that is smooth on the whole globe, poles and antimeridian included."""
    lon, lat = np.radians(lon), np.radians(lat)
    return (1000 * np.cos(lat) * np.cos(lon + 0.3) + 300 * np.sin(lat)).astype(np.float64)
