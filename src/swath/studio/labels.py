"""Labels that people draw: a GeoPackage in WGS 84 with a column `class`, and no edit lost silently.

Every state of the file has a version, the hash of its content. Who saves says which version they began with; if the
file has changed since, nothing is written and they are told.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyogrio
import shapely

from swath.errors import DataError, RunError
from swath.geo.vectors import read_vectors, write_vectors

#: The column that tells the class.
COLUMN = "class"
#: Features that one file of drawn labels may hold.
MOST = 50_000
_KINDS = {"Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon"}

_saving = threading.Lock()


class ConflictError(RunError):
    """A file has changed since the version that an edit began with."""


def version(path: Path) -> str:
    """The version of a label file; `new` where there is none yet."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32] if path.is_file() else "new"


def load(path: Path) -> tuple[str, dict[str, Any]]:
    """The version of a label file, and its features as GeoJSON; empty where there is none yet.

    Raises:
        ReadError: If it is damaged.
    """
    if not path.is_file():
        return "new", {"type": "FeatureCollection", "features": []}
    with _saving:
        began = version(path)
        frame = read_vectors(path).to_crs("EPSG:4326")
    column = COLUMN if COLUMN in frame.columns else None
    features = [
        {
            "type": "Feature",
            "geometry": shapely.geometry.mapping(shape),
            "properties": {COLUMN: None if column is None or pd.isna(label) else str(label)},
        }
        for shape, label in zip(frame.geometry, frame[column] if column else frame.index, strict=True)
    ]
    return began, {"type": "FeatureCollection", "features": features}


def save(path: Path, features: Sequence[Mapping[str, Any]], began: str) -> str:
    """Write features as the new state of a label file; returns its version.

    Args:
        path: The GeoPackage.
        features: GeoJSON features with `class` among their properties.
        began: The version that the edit began with.

    Raises:
        ConflictError: If the file has changed since.
        DataError: If a feature is no valid geometry on Earth, or has no class, or the file holds more than classes.
        WriteError: If it cannot be written.
    """
    frame = _frame(features)
    with _saving:
        if (now := version(path)) != began:
            raise ConflictError(
                f"{path.name} has been changed by someone else since you opened it",
                got=f"version {now[:8]}",
                expected=f"version {began[:8]}",
                fix="Load it again and repeat your edit, or save under another name",
            )
        if path.is_file():
            _require_only_classes(path)
        write_vectors(frame, path)
        return version(path)


def _require_only_classes(path: Path) -> None:
    """Refuse to write over layers and columns that drawing does not keep."""
    try:
        layers = [name for name, _ in pyogrio.list_layers(path)]
        columns = sorted({str(name) for layer in layers for name in pyogrio.read_info(path, layer=layer)["fields"]})
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise DataError(f"{path.name} is no label file", got=error, fix="Save under another name") from error
    if len(layers) > 1 or columns != [COLUMN]:
        raise DataError(
            f"{path.name} holds more than Studio would keep",
            got=f"{len(layers)} layers, columns {', '.join(columns) or 'none'}",
            expected=f"one layer with the column {COLUMN}",
            fix="Save under another name",
        )


def _frame(features: Sequence[Mapping[str, Any]]) -> gpd.GeoDataFrame:
    if not 0 < len(features) <= MOST:
        raise DataError("There are no labels to save, or too many", got=len(features), expected=f"1 to {MOST}")
    shapes, labels = [], []
    for number, feature in enumerate(features, 1):
        geometry = feature.get("geometry")
        label = (feature.get("properties") or {}).get(COLUMN)
        if not isinstance(label, str) or not label.strip() or len(label) > 200:
            raise DataError(f"Feature {number} has no class", got=label, expected="a text")
        if not isinstance(geometry, Mapping) or geometry.get("type") not in _KINDS:
            raise DataError(f"Feature {number} is no point, line or polygon")
        try:
            shape = shapely.geometry.shape(geometry)
            west, south, east, north = shape.bounds
        except (shapely.errors.ShapelyError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise DataError(f"Feature {number} is damaged", got=error) from error
        if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
            raise DataError(f"Feature {number} is not on Earth", got=shape.bounds, expected="longitude and latitude")
        if not shape.is_valid:
            raise DataError(f"Feature {number} crosses itself", fix="Draw it again")
        shapes.append(shape)
        labels.append(label.strip())
    return gpd.GeoDataFrame({COLUMN: labels}, geometry=shapes, crs="EPSG:4326")
