"""An image for each footprint: squares cut from a scene around buildings, fields or other outlined things.

Convention: a square has the outline's longer side, with a margin on both sides, in pixels of the scene; pixels beyond
the scene are invalid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from odc.geo.geobox import GeoBox
from pyproj import CRS

from swath.data.classes import IGNORE, Classes
from swath.data.placed import Placed
from swath.data.reviews import MARK, decided
from swath.data.scenes import Scene
from swath.data.sources import Source
from swath.data.vectorlabels import attribute_classes
from swath.data.warped import on_grid
from swath.data.whole_images import ImageLabel
from swath.errors import ConfigError, DataError
from swath.geo.grids import positions, require_crs, shape_of, transformer, window_grid
from swath.geo.reproject import project, to_grid
from swath.geo.vectors import read_vectors
from swath.geo.windows import Window, whole
from swath.sensors.bands import Bands

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Share of an outline's box that must lie on the scene.
_LEAST_INSIDE = 0.5
#: Pixels by which reprojection may widen an outline.
_ROUNDING = 0.05
_DEGREES = CRS.from_epsg(4326)


@dataclass(frozen=True)
class Cuts:
    """What was cut.

    Attributes:
        scenes: An image for each footprint on the scene, in the order of the rows; none where none lies there.
        rows: Place of each among the rows that were given.
        outside: Rows that lie outside of the scene, wholly or by more than half.
        small: Rows of too few pixels.
    """

    scenes: tuple[Placed, ...]
    rows: tuple[int, ...]
    outside: int
    small: int


class WindowSource:
    """A window of another source as a source of its own.

    Args:
        source: The source.
        window: The window on its grid; it may reach beyond it.
    """

    def __init__(self, source: Source, window: Window) -> None:
        self._source, self._window = source, window
        self.name, self.dtype = source.name, source.dtype
        self.bands: Bands = source.bands
        self.grid: GeoBox = window_grid(source.grid, window)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `Source.read`."""
        values = np.zeros((len(self.bands), *window.shape), self.dtype)
        valid = np.zeros(window.shape, bool)
        inside = window.intersect(whole(shape_of(self.grid)))
        if not inside.empty:
            here = inside.relative_to(window).slices
            there = Window(inside.row + self._window.row, inside.col + self._window.col, inside.height, inside.width)
            values[:, *here], valid[here] = self._source.read(there)
        return values, valid


def cut_footprints(
    scene: Scene, footprints: gpd.GeoDataFrame, *, margin: float = 0.1, least: int = 16, name: str = "The footprints"
) -> Cuts:
    """Cut an image for each footprint.

    Args:
        scene: The scene, with a CRS.
        footprints: Polygons in any CRS; their columns become facts of the images.
        margin: What is added on each side, as a share of the outline's longer side.
        least: Pixels that a square must have, counted without margin and beyond the scene too.
        name: Where footprints come from, for messages.

    Raises:
        GridError: If the scene or the footprints have no CRS.
        ConfigError: If the margin is negative.
        DataError: If footprints are no polygons.
    """
    if not margin >= 0:
        raise ConfigError("The margin around footprints is negative", got=margin)
    require_crs(scene.grid, f"Scene {scene.id}")
    if strange := sorted({str(kind) for kind in footprints.geom_type} - {"Polygon", "MultiPolygon"}):
        raise DataError(f"{name} hold other things than polygons", got=", ".join(strange))
    layers = {layer: on_grid(source, scene.grid) for layer, source in scene.layers.items()}
    boxes = _boxes(scene.grid, footprints)
    outlines = _in_degrees(footprints)
    limits = whole(shape_of(scene.grid))
    ids = _ids(footprints)
    scenes, rows, outside, small = [], [], 0, 0
    for row, box in enumerate(boxes):
        side = box[2:] - box[:2]
        inside = np.minimum(box[2:], limits.shape) - np.maximum(box[:2], 0)
        if not (inside > 0).all() or inside.prod() < _LEAST_INSIDE * side.prod():
            outside += 1
            continue
        if (longest := float(side.max())) ** 2 < least:
            small += 1
            continue
        window = _square((box[:2] + box[2:]) / 2, longest * (1 + 2 * margin))
        rows.append(row)
        scenes.append(
            Placed(
                f"{scene.id}/{ids[row]}",
                {layer: WindowSource(source, window) for layer, source in layers.items()},
                group=scene.group,
                time=scene.time,
                part=scene.part if isinstance(scene.part, str) else None,
                series=scene.series,
                place=scene.place if isinstance(scene, Placed) else scene.group or "",
                outline=outlines[row],
                facts=_facts(footprints, row),
            )
        )
    return Cuts(tuple(scenes), tuple(rows), outside, small)


def _boxes(grid: GeoBox, footprints: gpd.GeoDataFrame) -> np.ndarray:
    """First and last row and column `[n, (row0, col0, row1, col1)]`, fractional; NaN far from the grid."""
    shapes, index = to_grid(footprints.geometry.to_numpy(), footprints.crs, grid)
    boxes = np.full((len(footprints), 4), np.nan)
    west, south, east, north = shapely.bounds(shapes).reshape(-1, 4).T
    top, left = positions(grid, west, north)
    bottom, right = positions(grid, east, south)
    for place, box in zip(index, np.stack([top, left, bottom, right], 1), strict=True):
        boxes[place, :2] = np.fmin(boxes[place, :2], box[:2])
        boxes[place, 2:] = np.fmax(boxes[place, 2:], box[2:])
    return boxes


def _in_degrees(footprints: gpd.GeoDataFrame) -> np.ndarray:
    if footprints.crs == _DEGREES:
        return footprints.geometry.to_numpy()
    moved, index = project(footprints.geometry.to_numpy(), footprints.crs, _DEGREES)
    outlines = np.full(len(footprints), None, object)
    for place in np.unique(index):
        outlines[place] = shapely.union_all(moved[index == place])
    return outlines


def _square(middle: np.ndarray, side: float) -> Window:
    size = max(int(np.ceil(side - _ROUNDING)), 1)
    row, col = (int(np.floor(m - size / 2 + 0.5)) for m in middle)
    return Window(row, col, size, size)


def _ids(footprints: gpd.GeoDataFrame) -> Sequence[object]:
    """The column `id` where it tells rows apart, else their numbers."""
    if "id" in footprints.columns and footprints["id"].notna().all() and footprints["id"].is_unique:
        return footprints["id"].tolist()
    return range(len(footprints))


def _facts(footprints: gpd.GeoDataFrame, row: int) -> Mapping[str, object]:
    plain = footprints.columns.drop(footprints.geometry.name)
    return {str(column): footprints[column].iat[row] for column in plain}


def labelled_footprints(
    scene: Scene,
    footprints: gpd.GeoDataFrame,
    classes: np.ndarray,
    *,
    margin: float = 0.1,
    block: float = 500.0,
    name: str = "The footprints",
) -> list[Placed]:
    """An image for each footprint of a class; see `cut_footprints`.

    Args:
        scene: The scene; without a group, footprints of one block of ground make one, so that a split by group keeps
            neighbours together.
        footprints: The polygons.
        classes: Class index of each, `IGNORE` where it does not count.
        margin: See `cut_footprints`.
        block: Edge of a block in metres (EPSG:6933).
        name: Where footprints come from, for messages.
    """
    known = np.flatnonzero(classes != IGNORE)
    if not len(known):
        raise DataError(f"{name} hold no class that counts", fix=f"A class that begins with `{MARK}` is a proposal")
    cuts = cut_footprints(scene, footprints.iloc[known], margin=margin, name=name)
    blocks = _blocks([cut.outline for cut in cuts.scenes], block)
    return [
        replace(cut, labels=ImageLabel(int(classes[known[row]]), name), group=scene.group or blocks[number])
        for number, (cut, row) in enumerate(zip(cuts.scenes, cuts.rows, strict=True))
    ]


def _blocks(outlines: Sequence[shapely.Geometry | None], size: float) -> list[str]:
    middles = shapely.get_coordinates(shapely.centroid(np.array(outlines, object)))
    x, y = transformer(_DEGREES, CRS.from_epsg(6933)).transform(*middles.T)
    return [f"block {int(col)} {int(row)}" for col, row in zip(x // size, y // size, strict=True)]


def cut_from_file(scenes: Sequence[Scene], path: str | Path, margin: float = 0.1) -> list[Scene]:
    """An image for each footprint of a vector file on each of some scenes; see `cut_footprints`.

    Raises:
        ReadError: If the file cannot be read.
        DataError: If none lies on any of the scenes.
    """
    outlines = read_vectors(path)
    cuts = [cut_footprints(scene, outlines, margin=margin, name=str(path)) for scene in scenes]
    images = [cut for found in cuts for cut in found.scenes]
    if not images:
        raise DataError(
            f"No footprint of {path} lies on {scenes[0].id}" + (" or another scene" if len(scenes) > 1 else ""),
            got=f"{sum(c.outside for c in cuts)} outside, {sum(c.small for c in cuts)} of too few pixels",
            fix="Check the CRS of both",
        )
    return list(images)


def decided_classes(
    footprints: gpd.GeoDataFrame, attribute: str, classes: Classes | None, texts: Mapping[str, int], name: str
) -> np.ndarray:
    """Class index of each footprint by a column; `IGNORE` where there is none, or only a proposal of a review.

    Raises:
        ConfigError: If there is no such column.
        DataError: If a value is no class.
    """
    if attribute not in footprints.columns:
        columns = footprints.columns.drop(footprints.geometry.name)
        raise ConfigError(f"{name} has no attribute '{attribute}'", expected=", ".join(map(str, columns)))
    values = footprints[attribute]
    if not pd.api.types.is_numeric_dtype(values):
        values = values.str.strip().where(decided(values))
    return attribute_classes(values, classes or Classes.of(1), texts, name)[0]
