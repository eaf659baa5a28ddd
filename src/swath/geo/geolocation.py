"""Shapes found on a swath, placed on the Earth by the longitude and latitude of its pixels.

A swath as a sensor sees it has no affine grid and no CRS: it is a picture, with the place of each pixel's centre in
arrays beside it (MODIS: MOD03). Nothing is warped here; corners of shapes are interpolated between pixel centres.

Convention: shapes have the coordinates of pictures, `(col, -row)` from the top-left corner of the swath.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import shapely
from scipy.ndimage import map_coordinates

from swath.errors import DataError, GridError
from swath.geo.reproject import turned

_WORLD = shapely.box(-180, -90, 180, 90)


def placed_on_earth(frame: gpd.GeoDataFrame, longitude: np.ndarray, latitude: np.ndarray) -> gpd.GeoDataFrame:
    """The shapes of a picture in EPSG:4326; those across the antimeridian are cut there.

    Places are interpolated as points of the unit sphere, so that poles and the antimeridian need no care; half a pixel
    beyond the outermost centres, the outermost counts.

    Args:
        frame: Shapes without CRS, with any columns.
        longitude: Of each pixel's centre `[H, W]`, degrees.
        latitude: Of each pixel's centre `[H, W]`, degrees.

    Raises:
        GridError: If the shapes have a CRS already.
        DataError: If the arrays do not fit each other, or hold what is no place on Earth.
    """
    if frame.crs is not None:
        raise GridError("The shapes are on the Earth already", got=frame.crs.to_string(), expected="no CRS")
    if longitude.shape != latitude.shape or longitude.ndim != 2:
        raise DataError("Longitude and latitude do not fit", got=f"{longitude.shape} and {latitude.shape}")
    if not (np.isfinite(longitude).all() and (np.abs(latitude) <= 90).all()):
        raise DataError("Longitude and latitude hold what is no place", expected="degrees, no fill values")
    lon, lat = np.radians(longitude.astype(float)), np.radians(latitude.astype(float))
    sphere = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])

    def place(xy: np.ndarray) -> np.ndarray:
        at = np.stack([-xy[:, 1] - 0.5, xy[:, 0] - 0.5])
        x, y, z = (map_coordinates(plane, at, order=1, mode="nearest") for plane in sphere)
        return np.degrees(np.stack([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))], 1))

    shapes = [_cut(shapely.transform(shape, place)) for shape in frame.geometry]
    return frame.set_geometry(gpd.GeoSeries(shapes, index=frame.index, crs="EPSG:4326"))


def _cut(shape: shapely.Geometry) -> shapely.Geometry:
    """A shape whose longitudes may jump by a whole turn, cut at the antimeridian."""
    if shape.is_empty or shape.bounds[2] - shape.bounds[0] <= 180:
        return shape
    joined = shapely.transform(shape, lambda xy: np.stack([xy[:, 0] % 360, xy[:, 1]], 1))
    return shapely.union_all(shapely.intersection([joined, turned(np.array([joined]), -360)[0]], _WORLD))
