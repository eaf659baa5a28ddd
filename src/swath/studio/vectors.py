"""Vector files as GeoJSON in longitude and latitude, as much of them as a browser carries."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyogrio

from swath.errors import ReadError
from swath.geo.vectors import read_vectors

#: Features beyond which a layer is cut.
MOST = 20_000


def geojson(path: Path, layer: str | None = None) -> dict[str, Any]:
    """A layer of a vector file as a GeoJSON feature collection.

    Its members `layers`, `total` and `cut` say which layers the file has, how many features there are and whether
    some were left out.

    Raises:
        ReadError: If the file cannot be read.
        ConfigError: If there is no such layer.
        DataError: If it holds no geometry.
        GridError: If it has no CRS.
    """
    return _geojson(path, layer, path.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _geojson(path: Path, layer: str | None, changed: int) -> dict[str, Any]:
    layers = _layers(path)
    frame = read_vectors(path, layer or (layers[0] if layers else None))
    total = len(frame)
    frame = frame.head(MOST).to_crs("EPSG:4326")
    found: dict[str, Any] = json.loads(frame.to_json(drop_id=True, default=str))
    west, south, east, north = frame.total_bounds.tolist()
    return {
        "type": "FeatureCollection",
        "features": found["features"],
        "bbox": [west, south, east, north],
        "layers": layers,
        "columns": [str(column) for column in frame.columns if column != frame.geometry.name],
        "total": total,
        "cut": total > MOST,
        "version": str(changed),
    }


def _layers(path: Path) -> list[str]:
    if path.suffix.casefold() in (".parquet", ".geoparquet"):
        return []
    try:
        return [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
    except pyogrio.errors.DataSourceError as error:
        raise ReadError(
            f"{path.name} cannot be read as vectors", got=str(error).replace(f"{path.parent}/", "")
        ) from error
