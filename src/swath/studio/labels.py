"""Labels that people draw: a GeoPackage in WGS 84 with a column `class`, and no edit lost silently.

Other columns of a file are kept: a feature says by its property `row` which row of the file it came from.

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

#: The column that tells the class, and the property of a feature that tells the row that it came from.
COLUMN, ROW = "class", "row"
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
            "properties": {COLUMN: None if column is None or pd.isna(label) else str(label), ROW: row},
        }
        for row, (shape, label) in enumerate(zip(frame.geometry, frame[column] if column else frame.index, strict=True))
    ]
    return began, {"type": "FeatureCollection", "features": features}


def save(path: Path, features: Sequence[Mapping[str, Any]], began: str) -> str:
    """Write features as the new state of a label file; returns its version.

    Args:
        path: The GeoPackage.
        features: GeoJSON features with `class` among their properties, and `row` where they came from the file.
        began: The version that the edit began with.

    Raises:
        ConflictError: If the file has changed since.
        DataError: If a feature is no valid geometry on Earth, or has no class, or the file holds several layers.
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
            frame = _with_other_columns(frame, features, path)
        write_vectors(frame, path)
        return version(path)


def _with_other_columns(frame: gpd.GeoDataFrame, features: Sequence[Mapping[str, Any]], path: Path) -> gpd.GeoDataFrame:
    """The features with what other columns of the file say of the rows that they came from."""
    try:
        layers = [name for name, _ in pyogrio.list_layers(path)]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise DataError(f"{path.name} is no label file", got=error, fix="Save under another name") from error
    if len(layers) > 1:
        raise DataError(
            f"{path.name} holds more than Studio would keep",
            got=f"layers {', '.join(layers)}",
            expected="one layer",
            fix="Save under another name",
        )
    others = read_vectors(path).drop(columns=COLUMN, errors="ignore")
    others = pd.DataFrame(others.drop(columns=others.geometry.name))
    rows = [(feature.get("properties") or {}).get(ROW) for feature in features]
    for number, row in enumerate(rows, 1):
        if row is not None and not (isinstance(row, int) and 0 <= row < len(others)):
            raise DataError(
                f"Feature {number} came from no row of {path.name}", got=row, expected=f"0 to {len(others)}"
            )
    told = others.reindex([-1 if row is None else row for row in rows]).reset_index(drop=True)
    return frame.assign(**{str(name): told[name] for name in told})


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
