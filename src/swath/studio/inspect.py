"""What stands at a place: values of rasters with their units, names of classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rasterio.errors import RasterioError
from rio_tiler.errors import PointOutsideBounds

from swath.errors import ReadError
from swath.studio.layers import describe
from swath.studio.rasters import reader


def values_at(path: Path, lon: float, lat: float) -> dict[str, Any] | None:
    """Values of all bands of a raster at a place, decoded by scale and offset; None outside of it.

    Raises:
        ReadError: If it cannot be read.
    """
    facts = describe(path)
    try:
        # all by number: a band that is marked as alpha would be left out
        point = reader(path).point(lon, lat, indexes=tuple(band["index"] for band in facts["bands"]))
    except PointOutsideBounds:
        return None
    except (RasterioError, OSError) as error:
        raise ReadError(f"{path.name} cannot be read there", got=error) from error
    names = {entry["code"]: entry["name"] for entry in facts["classes"] or ()}
    values = [
        {
            **{key: band[key] for key in ("name", "unit", "wavelength")},
            "value": _physical(stored, valid, band),
            **({"class": names.get(int(stored))} if names and valid else {}),
        }
        for band, stored, valid in zip(facts["bands"], point.data.tolist(), _valid(point.array.mask), strict=True)
    ]
    return {"path": path.name, "date": facts["date"], "bands": values}


def _valid(mask: Any) -> Sequence[bool]:
    return [not hidden for hidden in mask.tolist()]


def _physical(stored: float, valid: bool, band: dict[str, Any]) -> float | None:
    value = stored * band["scale"] + band["offset"]
    return value if valid and math.isfinite(value) else None
