"""Tiny georeferenced rasters, pictures and vectors for tests, written where they are asked for."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from PIL import Image

UTM33, UTM32, LAEA, WGS84 = "EPSG:32633", "EPSG:32632", "EPSG:3035", "EPSG:4326"


def grid(height=32, width=32, crs=UTM33, size=10.0, x=500_000.0, y=5_000_000.0):
    """A north-up grid with its top-left corner at (x, y) and square pixels of `size`."""
    return GeoBox((height, width), Affine(size, 0, x, 0, -size, y), crs)


def smooth(height=32, width=32, bands=1, seed=0, low=0.0, high=1.0):
    """Smooth random float32 numbers `[bands, height, width]` between `low` and `high`."""
    rows, cols = np.mgrid[0:height, 0:width]
    rng = np.random.default_rng(seed)
    waves = np.zeros((bands, height, width))
    for band in waves:
        for _ in range(6):
            down, across = rng.normal(0, 0.2, 2)
            band += np.sin(down * rows + across * cols + rng.uniform(0, 7))
    return (low + (waves - waves.min()) / (waves.max() - waves.min()) * (high - low)).astype(np.float32)


def write_raster(path, values, grid, *, nodata=None, colormap=None, names=(), **profile):
    """Write `values` `[bands, height, width]` (or `[height, width]`) as GeoTIFF; returns the path."""
    values = np.atleast_3d(values.T).T if values.ndim == 2 else values
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "crs": str(grid.crs) if grid.crs else None, "transform": grid.affine, **profile}
    with rasterio.open(
        path, "w", height=values.shape[1], width=values.shape[2], count=len(values), dtype=values.dtype, **profile
    ) as file:
        if nodata is not None:
            file.nodata = nodata
        file.write(values)
        if colormap is not None:
            file.write_colormap(1, colormap)
        if names:
            file.descriptions = names
    return path


def write_picture(path, values):
    """Write `[3, height, width]` or `[height, width]` uint8 as a picture of the suffix, without georeference."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.moveaxis(values, 0, -1) if values.ndim == 3 else values).save(path)
    return path


def boxes(cells, grid, **columns):
    """Polygons around the cells `(row, col, height, width)` of `grid`, with attribute columns."""
    corners = [(c, r, c + w, r + h) for r, c, h, w in cells]
    shapes = [shapely.box(*(grid.affine @ (a, b)), *(grid.affine @ (c, d))) for a, b, c, d in corners]
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=str(grid.crs) if grid.crs else None)


def centres(cells, grid, **columns):
    """Points at the centres of the pixels `(row, col)` of `grid`, with attribute columns."""
    points = [shapely.Point(*(grid.affine @ (col + 0.5, row + 0.5))) for row, col in cells]
    return gpd.GeoDataFrame(columns, geometry=points, crs=str(grid.crs) if grid.crs else None)
