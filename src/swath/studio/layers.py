"""What a person must know of a layer to show it: bands, units, stretch, legend, date, place, provenance."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window

from swath.data.classes import distinct_colours
from swath.errors import ReadError
from swath.geo.stac import footprint
from swath.sensors.catalogue import sensor
from swath.studio.listing import date_of
from swath.studio.rasters import opened, picture_transform

#: Edge of the sample that stretches are taken from, in pixels.
_SAMPLE = 512
#: Metres of a pixel of a 256 pixel tile at zoom 0, on the equator.
_ZOOM_0 = 156543.03392804097
#: Without overviews a tile reads all its pixels; beyond this edge it is not shown.
_MOST = 4096
#: A band of whole numbers with at most so many different ones is shown as classes.
_MOST_CLASSES = 24
#: Seconds between the moments of an item below which both are that of its making.
_MADE = 60
#: Sensors whose names of bands are like no other's (`B4` alone may be red or infrared).
_KNOWN = ("sentinel2_l1c", "naip", "planetscope8")


def describe(path: Path) -> dict[str, Any]:
    """Facts of a raster, remembered until the file changes.

    Raises:
        ReadError: If it cannot be read.
    """
    return _describe(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=512)
def _describe(path: Path, changed: int) -> dict[str, Any]:
    with opened(path) as raster:
        try:
            sample = _sample(raster)
        except RasterioError as error:
            raise ReadError(f"{path.name} is damaged", got=error, fix="Fetch or write the file again") from error
        picture = raster.crs is None
        transform = picture_transform(raster.height) if picture else raster.transform
        grid = GeoBox(raster.shape, transform, "EPSG:3857" if picture else raster.crs)
        outline = footprint(grid)
        item = _item(path)
        names = [name or f"b{i}" for i, name in enumerate(raster.descriptions, 1)]
        classes = _classes(raster, item, sample, path)
        native = _native_zoom(grid, outline)
        return {
            "path": path.name, "kind": "raster", "version": str(changed), "bytes": path.stat().st_size,
            "shape": list(raster.shape), "dtype": raster.dtypes[0], "nodata": _finite(raster.nodata),
            "crs": None if picture else _crs_name(raster.crs),
            "resolution": [abs(transform.a), abs(transform.e)],
            "bounds": list(outline.bounds), "footprint": shapely.geometry.mapping(outline),
            "bands": _bands(raster, names, item, sample), "classes": classes,
            "shown": _shown(names) if classes is None else [1],
            "minzoom": _least_zoom(raster, native), "maxzoom": min(native + 3, 24), "nativezoom": native,
            "overviews": raster.overviews(1),
            "date": _moment(item) or date_of(path.name),
            "provenance": (item or {}).get("properties", {}).get("swath:provenance"),
        }  # fmt: skip


def _sample(raster: Any) -> np.ma.MaskedArray:
    """Some pixels `[bands, height, width]` of all the raster, stored numbers."""
    height, width = raster.shape
    shrink = max(height, width) / _SAMPLE
    if shrink <= 8 or raster.overviews(1):
        shape = (raster.count, *(max(1, round(n / max(shrink, 1))) for n in raster.shape))
        return raster.read(out_shape=shape, masked=True, resampling=Resampling.nearest)
    edge = 128
    spots = [
        ((2 * i + 1) * (height - edge) // 8, (2 * j + 1) * (width - edge) // 8) for i in range(4) for j in range(4)
    ]
    parts = [raster.read(window=Window(col, row, edge, edge), masked=True) for row, col in spots]
    return np.ma.concatenate(parts, axis=1)


def _bands(raster: Any, names: Sequence[str], item: dict[str, Any] | None, sample: np.ma.MaskedArray) -> list[Any]:
    known = _sensor_bands(names)
    told = _item_bands(item, len(names))
    bands = []
    for i, name in enumerate(names):
        scale, offset = raster.scales[i], raster.offsets[i]
        values = sample[i].compressed().astype(float)
        values = values[np.isfinite(values)]
        low, high = (map(float, np.percentile(values, (2, 98)))) if len(values) else (0.0, 1.0)
        if high <= low:
            low, high = (float(values.min()), float(values.max())) if len(values) else (low, high)
        bands.append(
            {
                "index": i + 1,
                "name": name,
                "unit": raster.units[i] or _told_unit(told[i], raster.dtypes[i], scale),
                "wavelength": known[i].wavelength if known else None,
                "scale": scale,
                "offset": offset,
                "low": low,
                "high": high if high > low else low + 1,
            }
        )
    return bands


def _told_unit(told: dict[str, Any], dtype: str, scale: float) -> str | None:
    """The unit that a STAC item tells; not that of whole numbers that stand for reflectance without saying how."""
    stored = np.dtype(dtype).kind in "iu" and scale == 1
    return None if stored and told.get("unit") in ("reflectance", "radiance") else told.get("unit")


def _sensor_bands(names: Sequence[str]) -> list[Any] | None:
    """Bands of the first known sensor that has all the names."""
    for bands in map(sensor, _KNOWN):
        if all(any(band.called(name) for band in bands) for name in names):
            return [bands[bands.index(name)] for name in names]
    return None


def _shown(names: Sequence[str]) -> list[int]:
    """Numbers of the bands that are shown first: true colour where it is known."""
    if known := _sensor_bands(names):
        colours = ("red", "green", "blue")
        chosen = [next((i for i, band in enumerate(known, 1) if band.called(c)), 0) for c in colours]
        if all(chosen):
            return chosen
    return [1, 2, 3] if len(names) in (3, 4) else [1]


def _classes(raster: Any, item: dict[str, Any] | None, sample: np.ma.MaskedArray, path: Path) -> list[Any] | None:
    """The legend: of the STAC item, else of the colour table and the category names, else of the codes found."""
    if raster.count > 2 or np.dtype(raster.dtypes[0]).kind not in "iu":
        return None
    for asset in (item or {}).get("assets", {}).values():
        if told := asset.get("classification:classes"):
            return [
                {
                    "code": c["value"],
                    "name": c.get("title") or c.get("name"),
                    "colour": f"#{c.get('color_hint', '888888')}",
                }
                for c in told
            ]
    names = _categories(path)
    try:
        table = raster.colormap(1)
    except ValueError:
        table = {}
    codes = np.unique(sample[0].compressed())
    if table and len(table) >= len(codes):
        used = [code for code, colour in table.items() if colour[3] and (names.get(code) or code in codes)]
        return [
            {"code": code, "name": names.get(code) or str(code), "colour": _hex(table[code])} for code in used[:256]
        ]
    if raster.count == 1 and 0 < len(codes) <= _MOST_CLASSES:
        return [
            {"code": code, "name": names.get(code) or str(code), "colour": _hex(colour)}
            for code, colour in zip(codes.tolist(), distinct_colours(len(codes)), strict=True)
        ]
    return None


def _hex(colour: Sequence[int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour[:3])


def _categories(path: Path) -> dict[int, str]:
    side = path.with_name(path.name + ".aux.xml")
    try:
        found = ET.fromstring(side.read_text("utf-8")).iterfind("PAMRasterBand[@band='1']/CategoryNames/Category")
        return {code: element.text for code, element in enumerate(found) if element.text}
    except (OSError, ValueError, ET.ParseError):
        return {}


def _item(path: Path) -> dict[str, Any] | None:
    """The STAC item beside a product."""
    try:
        found = json.loads(path.with_name(path.name + ".stac.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _moment(item: dict[str, Any] | None) -> str | None:
    """When what an item shows was seen; None where it tells only when the product was made."""
    told = (item or {}).get("properties", {})
    seen, made = told.get("datetime"), told.get("created")
    try:
        apart = abs((datetime.fromisoformat(seen) - datetime.fromisoformat(made)).total_seconds())
    except (TypeError, ValueError):
        return seen if isinstance(seen, str) else None
    # an item must tell a moment, so one of an undated scene tells that of its making
    return seen if apart > _MADE else None


def _item_bands(item: dict[str, Any] | None, count: int) -> list[dict[str, Any]]:
    for asset in (item or {}).get("assets", {}).values():
        if len(bands := asset.get("bands", [])) == count:
            return list(bands)
    return [{}] * count


def _native_zoom(grid: GeoBox, outline: Any) -> int:
    """The zoom at which a pixel of a 256 pixel tile is about a pixel of the raster."""
    west, south, east, north = outline.bounds
    metres = max((east - west) * 111_320 / grid.shape[1], (north - south) * 111_320 / grid.shape[0], 1e-3)
    return max(0, min(24, math.ceil(math.log2(_ZOOM_0 / metres))))


def _least_zoom(raster: Any, native: int) -> int:
    if raster.overviews(1) or max(raster.shape) <= 2 * _MOST:
        return 0
    return max(0, native - int(math.log2(_MOST / 256)))


def _crs_name(crs: Any) -> str:
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else crs.to_wkt().split('"')[1]


def _finite(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)
