"""A STAC item beside each product: where and when it is, what is in it, and how it was made.

Convention: footprints are longitude and latitude (EPSG:4326); `proj:transform` maps `(col, row)` of pixel corners to
`(x, y)`; `proj:shape` is `(height, width)`; times are UTC. A product without CRS has a null geometry.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pystac
import shapely
from odc.geo.geobox import GeoBox

from swath.errors import ConfigError, ReadError
from swath.files import write_text
from swath.geo.grids import shape_of
from swath.geo.vectors import footprint

#: What a product's provenance must say.
REQUIRED = ("system", "weights", "inputs", "version")

_PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
_CLASSIFICATION = "https://stac-extensions.github.io/classification/v2.0.0/schema.json"
_TYPES = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".gpkg": "application/geopackage+sqlite3",
    ".geojson": "application/geo+json",
    ".parquet": "application/vnd.apache.parquet",
}


def sha256(path: str | Path) -> str:
    """SHA-256 of a file in hexadecimal, read in pieces.

    Raises:
        ReadError: If it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ReadError(f"Cannot read {path}", got=error.strerror) from error


def write_item(
    product: str | Path,
    *,
    grid: GeoBox,
    provenance: Mapping[str, Any],
    bands: Sequence[Mapping[str, Any]] = (),
    classes: Mapping[int, Mapping[str, Any]] | None = None,
    time: datetime | tuple[datetime, datetime] | None = None,
    assets: Mapping[str, str | Path] | None = None,
) -> Path:
    """Write `<product>.stac.json` beside a product, whole or not at all.

    Args:
        product: The file that the item describes.
        grid: Where it is.
        provenance: How it was made: at least `system`, `weights` (their hash or None), `inputs` and `version`; goes
            into `swath:provenance`.
        bands: For each band the fields of STAC 1.1 `bands`: `name`, `description`, `unit`, `nodata`, `data_type`, ...
        classes: Legend of a class map, as `Classes.to_dict` gives it: `{code: {"name": ..., "colour": "#rrggbb"}}`.
        time: When its input was acquired, or from when to when; naive times are UTC. By default the time of writing.
        assets: Further files by key, for example the report.

    Returns:
        The path of the item.

    Raises:
        ConfigError: If the provenance lacks a field or does not fit JSON, or times are in the wrong order.
        ReadError: If the product or an asset is missing.
        WriteError: If the item cannot be written.
    """
    product = Path(product)
    if missing := [name for name in REQUIRED if name not in provenance]:
        raise ConfigError("The provenance is not complete", got=", ".join(provenance), expected=", ".join(missing))
    place = product.with_name(product.name + ".stac.json")
    outline = None if grid.crs is None else footprint(grid)
    moment, span = _times(time)
    item = pystac.Item(
        id=product.stem,
        geometry=None if outline is None else shapely.geometry.mapping(outline),
        bbox=None if outline is None else _bbox(outline),
        datetime=moment,
        start_datetime=span and span[0],
        end_datetime=span and span[1],
        properties={
            "created": _text(datetime.now(UTC)),
            **_projection(grid),
            "swath:provenance": dict(provenance),
        },
        stac_extensions=[_PROJECTION, *([_CLASSIFICATION] if classes else [])],
    )
    fields: dict[str, Any] = {"bands": [dict(band) for band in bands]} if bands else {}
    if classes:
        fields["classification:classes"] = [_class(code, entry) for code, entry in classes.items()]
    item.add_asset("data", _asset(product, place, "data", fields))
    for key, path in (assets or {}).items():
        item.add_asset(key, _asset(Path(path), place, "metadata", {}))
    try:
        text = json.dumps(item.to_dict(include_self_link=False, transform_hrefs=False), indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError("The provenance or a band does not fit JSON", got=error) from error
    write_text(place, text + "\n")
    return place


def _asset(path: Path, item: Path, role: str, fields: dict[str, Any]) -> pystac.Asset:
    if not path.is_file():
        raise ReadError(f"{path} does not exist", expected="a file for the STAC item")
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    href = Path(os.path.relpath(path, item.parent)).as_posix()
    return pystac.Asset(
        href=href if href.startswith("..") else f"./{href}", media_type=kind, roles=[role], extra_fields=fields
    )


def _projection(grid: GeoBox) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "proj:code": None,
        "proj:shape": list(shape_of(grid)),
        "proj:transform": list(grid.affine)[:6],
    }
    if grid.crs is not None:
        authority = grid.crs.proj.to_authority()
        if authority:
            fields["proj:code"] = ":".join(authority)
        else:
            fields["proj:wkt2"] = grid.crs.proj.to_wkt()
    return fields


def _class(code: int, entry: Mapping[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"value": int(code), "name": str(entry["name"]), "description": str(entry["name"])}
    if "colour" in entry:
        described["color_hint"] = str(entry["colour"]).lstrip("#").upper()
    return described


def _bbox(outline: shapely.Polygon | shapely.MultiPolygon) -> list[float]:
    """Bounds; across the antimeridian, west is larger than east (RFC 7946, section 5.2)."""
    west, south, east, north = outline.bounds
    parts = list(getattr(outline, "geoms", ()))
    if (west, east) == (-180.0, 180.0) and len(parts) == 2:
        west = max(part.bounds[0] for part in parts)
        east = min(part.bounds[2] for part in parts)
    return [west, south, east, north]


def _times(
    time: datetime | tuple[datetime, datetime] | None,
) -> tuple[datetime | None, tuple[datetime, datetime] | None]:
    if isinstance(time, tuple):
        start, stop = (_utc(t) for t in time)
        if stop < start:
            raise ConfigError("The acquisition ends before it starts", got=f"{start} to {stop}")
        return None, (start, stop)
    return _utc(time or datetime.now(UTC)), None


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
