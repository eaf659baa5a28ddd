"""A part of a raster as a small file that refers to it, so that any command runs on a box that a person drew."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
from pyproj import Transformer

from swath.errors import GridError
from swath.files import write_bytes
from swath.studio.rasters import opened, picture_transform

Bounds = tuple[float, float, float, float]
_TYPES = {"uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32"}


def box_window(path: Path, bounds: Bounds | None) -> tuple[tuple[int, int, int, int], list[list[float]]]:
    """The pixels of a raster in `bounds` (west, south, east, north; all where None), and its corners.

    Returns:
        `(row, col, height, width)`, and longitude and latitude of the upper left, upper right, lower right and lower
        left corner.

    Raises:
        GridError: If the box lies outside of the raster.
        ReadError: If it cannot be read.
    """
    with opened(path) as raster:
        crs = raster.crs.to_wkt() if raster.crs else "EPSG:3857"
        transform = raster.transform if raster.crs else picture_transform(raster.height)
        height, width = raster.shape
    row, col, bottom, right = 0, 0, height, width
    if bounds is not None:
        to_raster = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
        left, low, east, top = to_raster.transform_bounds(*bounds, densify_pts=21)
        if not np.isfinite([left, low, east, top]).all():
            raise GridError(f"The box cannot be on {path.name}", got=[round(b, 5) for b in bounds])
        cols, rows = np.array([~transform @ (x, y) for x in (left, east) for y in (low, top)]).T
        row, col = max(0, int(np.floor(rows.min()))), max(0, int(np.floor(cols.min())))
        bottom, right = min(height, int(np.ceil(rows.max()))), min(width, int(np.ceil(cols.max())))
        if row >= bottom or col >= right:
            raise GridError(f"The box lies outside of {path.name}", got=[round(b, 5) for b in bounds])
    to_lonlat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    corners = [(col, row), (right, row), (right, bottom), (col, bottom)]
    placed = [to_lonlat.transform(*(transform @ corner)) for corner in corners]
    return (row, col, bottom - row, right - col), [list(map(float, corner)) for corner in placed]


def write_box(path: Path, window: tuple[int, int, int, int], output: Path) -> None:
    """Write a virtual raster (.vrt) of a window `(row, col, height, width)` of a raster, in its own grid.

    Raises:
        WriteError: If it cannot be written.
        ReadError: If the raster cannot be read.
    """
    row, col, height, width = window
    with opened(path) as raster:
        root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
        if raster.crs:
            ET.SubElement(root, "SRS", dataAxisToSRSAxisMapping="1,2").text = raster.crs.to_wkt()
            a, b, c, d, e, f = tuple(raster.transform)[:6]
            placed = (c + col * a + row * b, a, b, f + col * d + row * e, d, e)
            ET.SubElement(root, "GeoTransform").text = ", ".join(map(repr, map(float, placed)))
        for i in range(raster.count):
            _band(root, raster, i, path, window)
    write_bytes(output, ET.tostring(root))


def _band(root: ET.Element, raster: Any, i: int, path: Path, window: tuple[int, int, int, int]) -> None:
    row, col, height, width = window
    dtype = raster.dtypes[i]
    band = ET.SubElement(root, "VRTRasterBand", dataType=_TYPES.get(dtype, dtype.capitalize()), band=str(i + 1))
    facts = {
        "Description": raster.descriptions[i],
        "UnitType": raster.units[i],
        "Offset": raster.offsets[i] or None,
        "Scale": None if raster.scales[i] == 1 else raster.scales[i],
        "NoDataValue": raster.nodatavals[i],
        "ColorInterp": raster.colorinterp[i].name.capitalize(),
    }
    for name, value in facts.items():
        if value is not None:
            ET.SubElement(band, name).text = str(value)
    source = ET.SubElement(band, "SimpleSource")
    ET.SubElement(source, "SourceFilename", relativeToVRT="0").text = str(path)
    ET.SubElement(source, "SourceBand").text = str(i + 1)
    ET.SubElement(source, "SrcRect", xOff=str(col), yOff=str(row), xSize=str(width), ySize=str(height))
    ET.SubElement(source, "DstRect", xOff="0", yOff="0", xSize=str(width), ySize=str(height))
