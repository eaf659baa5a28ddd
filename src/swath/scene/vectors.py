"""Class maps as polygons, outlined from the file so that memory holds the polygons only."""

from __future__ import annotations

import warnings
from pathlib import Path

import geopandas as gpd
import rasterio
import rasterio.features
import shapely.geometry
from pyproj import Geod
from rasterio.errors import NotGeoreferencedWarning

from swath.data.classes import Classes
from swath.geo.grids import pixel_grid
from swath.geo.vectors import write_vectors

_GEOD = Geod(ellps="WGS84")


def outline_map(raster_path: Path, output: Path, classes: Classes) -> Path:
    """Outline connected pixels of one class, over the whole map: no polygon is cut by a tile or strip.

    Args:
        raster_path: A class map.
        output: The vector file, by suffix; columns `code`, `class` and, where the map has a CRS, `area_m2` on the
            ellipsoid.
        classes: Legend of the map.

    Returns:
        `output`.
    """
    with warnings.catch_warnings():  # a map without CRS is a picture
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        raster = rasterio.open(raster_path)
    with raster:
        transform = raster.transform if raster.crs else pixel_grid(*raster.shape).affine
        band = rasterio.band(raster, 1)
        found = [
            (int(code), shapely.make_valid(shapely.geometry.shape(outline)))
            for outline, code in rasterio.features.shapes(band, connectivity=4, transform=transform)
            if code != raster.nodata
        ]
        crs = raster.crs
    names = dict(zip(classes.codes, classes.names, strict=True))
    frame = gpd.GeoDataFrame(
        {"code": [code for code, _ in found], "class": [names[code] for code, _ in found]},
        geometry=[outline for _, outline in found],
        crs=crs,
    )
    if crs is not None:
        frame["area_m2"] = [abs(_GEOD.geometry_area_perimeter(g)[0]) for g in frame.geometry.to_crs(4326)]
    write_vectors(frame, output)
    return output
