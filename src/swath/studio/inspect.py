"""What stands at a place: values of rasters with their units, names of classes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pyproj import Transformer
from rasterio.errors import RasterioError
from rasterio.windows import Window

from swath.errors import ReadError
from swath.studio.layers import describe
from swath.studio.rasters import reader


def values_at(path: Path, lon: float, lat: float) -> dict[str, Any] | None:
    """Values of all bands of a raster at a place, decoded by scale and offset; None outside of it.

    Raises:
        ReadError: If it cannot be read.
    """
    facts = describe(path)
    raster: Any = reader(path).dataset
    try:
        x, y = Transformer.from_crs("EPSG:4326", raster.crs, always_xy=True).transform(lon, lat)
        if not (math.isfinite(x) and math.isfinite(y)):
            return None
        row, col = map(math.floor, raster.index(x, y, op=float))
        if not (0 <= row < raster.height and 0 <= col < raster.width):
            return None
        # not masked: a band that is marked as alpha, as infrared bands are, would hide the others
        stored = raster.read(window=Window(col, row, 1, 1))[:, 0, 0].tolist()
    except (RasterioError, OSError) as error:
        raise ReadError(f"{path.name} cannot be read there", got=error) from error
    valid = [value != nodata for value, nodata in zip(stored, raster.nodatavals, strict=True)]
    names = {entry["code"]: entry["name"] for entry in facts["classes"] or ()}
    values = [
        {
            **{key: band[key] for key in ("name", "unit", "wavelength")},
            "value": _physical(value, known, band),
            **({"class": names.get(int(value))} if names and known else {}),
        }
        for band, value, known in zip(facts["bands"], stored, valid, strict=True)
    ]
    return {"path": path.name, "date": facts["date"], "bands": values}


def _physical(stored: float, valid: bool, band: dict[str, Any]) -> float | None:
    value = stored * band["scale"] + band["offset"]
    return value if valid and math.isfinite(value) else None
