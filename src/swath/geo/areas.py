"""Areas of pixels on the ellipsoid.

Convention: square metres; rows run downward; a pixel is bounded by lines straight in the grid's CRS.
"""

from __future__ import annotations

import numpy as np
from odc.geo.geobox import GeoBox
from pyproj import CRS, Geod, Proj

from swath.errors import GridError
from swath.geo.grids import coordinates, require_crs, window_grid
from swath.geo.lattice import interpolate
from swath.geo.windows import Window

#: Relative error that linear interpolation of the areal scale may add.
_TOLERANCE = 1e-6
_WEB_MERCATOR = "Popular Visualisation Pseudo Mercator"


def cell_areas(grid: GeoBox, window: Window) -> np.ndarray:
    """Area of each pixel of a window, float64 `[height, width]`, in square metres.

    Geographic grids: the exact area between two parallels and two meridians (Snyder 1987, USGS Professional Paper
    1395, equation 3-12). Projected grids: the plane area divided by the areal scale at the pixel's centre. NaN where
    the projection is undefined, zero beyond the poles.

    Args:
        grid: The grid; without CRS a pixel has no area.
        window: Which pixels; the window may reach beyond the grid.

    Raises:
        GridError: If the grid has no CRS.
    """
    crs = require_crs(grid, "The grid").proj
    part = window_grid(grid, window)
    if crs.is_geographic and part.affine.b == 0 and part.affine.d == 0:
        return np.broadcast_to(_between_parallels(part, crs)[:, None], window.shape)
    unit = crs.axis_info[0].unit_conversion_factor
    plane = abs(part.affine.determinant) * unit**2
    projection = Proj(crs)
    operation = crs.coordinate_operation
    web_mercator = operation is not None and operation.method_name == _WEB_MERCATOR

    def scale(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        lon, lat = projection(*coordinates(part, rows[:, None], cols[None, :]), inverse=True)
        lost = ~(np.isfinite(lon) & np.isfinite(lat))
        lon, lat = np.where(lost, 0, lon), np.where(lost, 0, lat)
        areal = np.asarray(projection.get_factors(lon, lat, errcheck=False).areal_scale)
        if web_mercator:
            # PROJ gives the scale to a sphere of the major axis; the ellipsoid's radii of curvature are smaller
            squared = _eccentricity(crs) ** 2
            areal = areal * (1 - squared * np.sin(np.radians(lat)) ** 2) ** 2 / (1 - squared)
        return np.where(lost, np.nan, areal)

    return plane / interpolate(scale, window.shape, _TOLERANCE)[0]


def _between_parallels(grid: GeoBox, crs: CRS) -> np.ndarray:
    """Area of one pixel in each row of a north-up geographic grid."""
    geod, eccentricity = _geod(crs), _eccentricity(crs)
    edges = np.clip(grid.affine.f + grid.affine.e * np.arange(grid.shape[0] + 1), -90, 90)
    sine = np.sin(np.radians(edges))
    atanh = np.arctanh(eccentricity * sine) / eccentricity if eccentricity > 0 else sine
    below = geod.b**2 / 2 * (sine / (1 - (eccentricity * sine) ** 2) + atanh)
    return np.abs(np.diff(below)) * np.radians(abs(grid.affine.a))


def _eccentricity(crs: CRS) -> float:
    return float(np.sqrt(_geod(crs).es))


def _geod(crs: CRS) -> Geod:
    geod = crs.get_geod()
    if geod is None:
        raise GridError("The CRS has no ellipsoid", got=crs.name)
    return geod
