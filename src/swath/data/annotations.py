"""Things annotated in pictures, in pixels, as labels: what readers of COCO and labelme share.

JSON comes from anywhere: what is broken or hostile ends in one error that names the file and the entry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from odc.geo.geobox import GeoBox

from swath.data.classes import Classes
from swath.data.vectorlabels import VectorLabels
from swath.errors import DataError, ReadError
from swath.geo.grids import coordinates, shape_of

#: Largest coordinate that is taken for a pixel.
_FARTHEST = 1e7


@dataclass(frozen=True)
class Annotation:
    """One thing.

    Attributes:
        shape: Its outline in pixels `(x, y)` = `(col, row)` from the top-left corner.
        category: Name of its class.
        crowd: Whether it stands for a group whose members are not told apart.
    """

    shape: shapely.Geometry
    category: str
    crowd: bool = False


@dataclass(frozen=True)
class Annotated:
    """A picture with its things.

    Attributes:
        file: Name of the picture's file, perhaps with folders.
        shape: `(height, width)` in pixels.
        things: What was annotated; may be empty.
    """

    file: str
    shape: tuple[int, int]
    things: tuple[Annotation, ...] = ()


def picture_labels(
    picture: Annotated,
    grid: GeoBox,
    classes: Classes,
    name: str,
    texts: Mapping[str, int] | None = None,
    background: str | None = None,
) -> VectorLabels:
    """The things of a picture as labels on its grid.

    Args:
        picture: The picture.
        grid: Its grid, with or without CRS.
        classes: Legend; categories are told by name, whatever their order in a file.
        name: Of the file, for messages.
        texts: Code of each name of a category; other names are those of classes.
        background: Name of the class of all ground without a thing; by default it has no label.

    Raises:
        DataError: If the picture has another size than its grid, or a category is no class.
    """
    if picture.shape != shape_of(grid):
        raise DataError(
            f"{name} annotates a picture of another size",
            got=picture.shape,
            expected=f"{shape_of(grid)} of {picture.file}",
        )
    shapes = np.array([thing.shape for thing in picture.things], object)
    placed = shapely.transform(shapes, lambda xy: np.column_stack(coordinates(grid, xy[:, 1], xy[:, 0])))
    frame = gpd.GeoDataFrame(
        {
            "category": np.array([thing.category for thing in picture.things], object),
            "crowd": np.array([thing.crowd for thing in picture.things], bool),
        },
        geometry=placed,
        crs=None if grid.crs is None else grid.crs.proj,
    )
    labels = VectorLabels(frame, "category", classes, texts=texts, crowd="crowd", background=background)
    labels.name = name
    return labels


def find_picture(pictures: Mapping[str, Annotated], path: PurePath, name: str) -> Annotated:
    """The picture of a file, told by its path or else its name.

    Raises:
        DataError: If the annotations know no such picture, or several.
    """
    near = [p for p in pictures.values() if path.as_posix().endswith(f"/{p.file}") or path.as_posix() == p.file]
    found = near or [p for p in pictures.values() if PurePath(p.file).name == path.name]
    if len(found) != 1:
        raise DataError(
            f"{name} has {'several pictures' if found else 'no picture'} of the name of {path}",
            got=", ".join(list(pictures)[:4]),
            expected="one entry for each image",
        )
    return found[0]


def load_json(path: Path) -> Any:
    """Parsed JSON of a file.

    Raises:
        ReadError: If it cannot be read, is no JSON, holds numbers that are not finite or is nested too deeply.
    """
    try:
        return parse_json(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"{path} cannot be read", got=error, expected="a JSON file in UTF-8") from error


def parse_json(text: str, name: str) -> Any:
    """Parsed JSON; see `load_json`."""

    def refuse(constant: str) -> None:
        raise ValueError(f"the number {constant}")

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise ReadError(f"{name} is no JSON that can be used", got=reason) from error


def member(found: object, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """A member of a JSON object, if it is there and of its kind.

    Raises:
        DataError: If not.
    """
    value = found.get(key) if isinstance(found, dict) else None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        told = "no object" if not isinstance(found, dict) else f"{value!r:.60}" if key in found else "nothing"
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise DataError(f"`{key}` of {where} cannot be used", got=told, expected=" or ".join(k.__name__ for k in kinds))
    return value


def points(found: object, where: str, least: int) -> np.ndarray:
    """Points `[n, 2]` of a flat list of coordinates, or of a list of pairs.

    Raises:
        DataError: If they are no finite numbers of pixels, not in pairs, or fewer than `least`.
    """
    try:
        values = np.array(found, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"The points of {where} are no numbers", got=f"{found!r:.60}") from error
    if values.size % 2 or values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != 2):
        raise DataError(f"The points of {where} are not in pairs", got=f"shape {values.shape}")
    pairs = values.reshape(-1, 2)
    if len(pairs) < least or not (np.abs(pairs) <= _FARTHEST).all():
        raise DataError(
            f"The points of {where} are no outline in pixels",
            got=f"{len(pairs)} points" + (f" up to {np.abs(pairs).max():g}" if len(pairs) else ""),
            expected=f"at least {least} points, up to {_FARTHEST:g}",
        )
    return pairs


def polygon(pairs: np.ndarray) -> shapely.Geometry:
    """The polygon of a ring, made valid; it may have no area."""
    ring = shapely.Polygon(pairs)
    return ring if ring.is_valid else shapely.make_valid(ring, method="structure", keep_collapsed=False)
