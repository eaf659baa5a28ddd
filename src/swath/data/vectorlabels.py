"""Labels from polygons, lines and points, rasterised where they are asked for.

Convention: a pixel belongs to a polygon that covers its centre, to a line that passes through it and to a point that
lies in it; of several, the last row of the file counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely
from odc.geo.geobox import GeoBox

from swath.data.classes import IGNORE, Classes
from swath.data.instances import Instances, lay
from swath.errors import ConfigError, DataError, some
from swath.geo.grids import coordinates, positions, shape_of, transformer, window_grid
from swath.geo.vectors import rasterize, read_vectors
from swath.geo.windows import Window

if TYPE_CHECKING:
    import geopandas as gpd
    from pyproj import CRS


class VectorLabels:
    """Classes of polygons, lines and points, in any CRS, rasterised where they are asked for.

    Args:
        vectors: A vector file, or its rows.
        attribute: Column that tells the class: by code, or by text.
        classes: Legend.
        texts: The code of each text; other texts are taken as names of classes or as written codes.
        width: Width of lines in metres (in pixels where there is no CRS), or the column that tells it; by default a
            line labels the pixels that it passes through.
        background: Name of the class of all ground without geometry; by default it has no label.
        crowd: Column that tells, by a number other than 0, which rows stand for a group of things that are not told
            apart; by default none does.
        layer: Layer of the file.
        crs: CRS, where the file does not say.

    Attributes:
        name: The file.
        notes: What a report should say: rows left out, and why.

    Raises:
        ReadError: If the file cannot be read.
        ConfigError: If a column, layer or class is unknown, or a width has no line to apply to.
        DataError: If no geometry is there, or a value is neither a class nor ignored.
        GridError: If the CRS is missing.
    """

    def __init__(
        self,
        vectors: gpd.GeoDataFrame | str | Path,
        attribute: str,
        classes: Classes,
        *,
        texts: Mapping[str, int] | None = None,
        width: float | str | None = None,
        background: str | None = None,
        crowd: str | None = None,
        layer: str | None = None,
        crs: str | None = None,
    ) -> None:
        from_file = isinstance(vectors, str | Path)
        frame = read_vectors(vectors, layer, crs) if isinstance(vectors, str | Path) else vectors
        self.name = str(vectors) if from_file else "vector labels"
        for column in (attribute, width, crowd):
            if isinstance(column, str) and column not in frame.columns:
                raise ConfigError(
                    f"{self.name} has no attribute '{column}'",
                    expected=", ".join(map(str, frame.columns.drop(frame.geometry.name))),
                )
        if background is not None and background not in classes.names:
            raise ConfigError("The background is no class", got=background, expected=", ".join(classes.names))
        self._fill = IGNORE if background is None else classes.names.index(background)
        shapes = frame.geometry.to_numpy()
        empty = shapely.is_missing(shapes) | shapely.is_empty(shapes)
        indices, unset = attribute_classes(frame[attribute], classes, texts or {}, self.name)
        notes = {"empty geometries, left out": empty, f"no value in '{attribute}', ignored": unset & ~empty}
        self.notes = tuple(
            f"{self.name}: rows with {what}: {_rows(rows)}" for what, rows in notes.items() if rows.any()
        )
        if len(frame) and empty.all():
            raise DataError(f"{self.name} holds no geometry", expected="at least one")
        self._crs: CRS | None = frame.crs
        shapes, self._classes = shapes[~empty], indices[~empty]
        groups = np.zeros(len(frame), bool) if crowd is None else frame[crowd].fillna(0).to_numpy() != 0
        self._crowd = groups[~empty]
        if width is not None:
            widths = frame[width].to_numpy(float) if isinstance(width, str) else np.full(len(frame), float(width))
            shapes = _widened(shapes, widths[~empty], self._crs, self.name)
        self._shapes = shapes
        self._points = bool(np.isin(shapely.get_type_id(shapes), (0, 4)).all())
        self._tree = shapely.STRtree(shapes)

    @property
    def crs(self) -> CRS | None:
        """CRS of the geometries."""
        return self._crs

    @property
    def only_points(self) -> bool:
        """Whether a pixel has a label only where a point is."""
        return self._points and not self.dense

    @property
    def dense(self) -> bool:
        """Whether all ground has a class, because a background fills it."""
        return self._fill != IGNORE

    def read(self, grid: GeoBox) -> np.ndarray:
        """See `swath.data.scenes.Labels.read`.

        Raises:
            GridError: If either the vectors or `grid` have no CRS.
        """
        from geopandas import GeoSeries

        near = self.near(grid)
        shapes = GeoSeries(self._shapes[near], crs=self._crs)
        return rasterize(shapes, self._classes[near], grid, fill=self._fill, dtype=np.int16)

    def instances(self, grid: GeoBox) -> Instances:
        """See `swath.data.instances.InstanceLabels`: each row whose class counts is a thing.

        Raises:
            GridError: If either the vectors or `grid` have no CRS.
        """
        near = self.near(grid)
        near = near[self._classes[near] != IGNORE]
        return lay(self._shapes[near], self._crs, grid, self._classes[near], self._crowd[near], near)

    def near(self, grid: GeoBox) -> np.ndarray:
        """Places of the geometries that may meet a grid, in order."""
        if (self._crs is None) != (grid.crs is None):
            return np.arange(len(self._shapes))  # `rasterize` refuses them with both sides named
        box = _bounds(grid, self._crs)
        if box is None:
            return np.empty(0, np.int64)
        turns = (-360.0, 0.0, 360.0) if self._crs is not None and self._crs.is_geographic else (0.0,)
        return np.unique(
            np.concatenate([self._tree.query(shapely.box(box[0] + t, box[1], box[2] + t, box[3])) for t in turns])
        )

    def pixels(self, grid: GeoBox) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row, column and class of each labelled pixel of a grid, where all geometries are points, without rasterising.

        Raises:
            GridError: If either the points or `grid` have no CRS.
        """
        if grid.crs is None or self._crs is None:
            self.read(window_grid(grid, Window(0, 0, 1, 1)))  # refuses one without CRS, with both sides named
        parts, place = shapely.get_parts(self._shapes, return_index=True)
        x, y = shapely.get_x(parts), shapely.get_y(parts)
        if grid.crs is not None and self._crs is not None and self._crs != grid.crs.proj:
            x, y = transformer(self._crs, grid.crs).transform(x, y)
        if grid.crs is not None and grid.crs.geographic:
            middle = grid.affine @ (grid.shape[1] / 2, grid.shape[0] / 2)
            x = middle[0] + (x - middle[0] + 180) % 360 - 180
        rows, cols = (np.floor(np.where(np.isfinite(v), v, -1)).astype(np.int64) for v in positions(grid, x, y))
        height, width = shape_of(grid)
        inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
        rows, cols, classes = rows[inside], cols[inside], self._classes[place[inside]]
        flat, last = np.unique((rows * width + cols)[::-1], return_index=True)
        classes = classes[::-1][last]
        counts = classes != IGNORE
        return flat[counts] // width, flat[counts] % width, classes[counts]


def attribute_classes(
    column: object, classes: Classes, texts: Mapping[str, int], name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Class index of each row, `IGNORE` where none counts, and whether its value is missing."""
    import pandas as pd

    values = pd.Series(column)
    missing = values.isna().to_numpy()
    present = values[~missing]
    if pd.api.types.is_numeric_dtype(values):
        known: dict[object, int] = {code: code for code in (*classes.codes, *classes.ignored)}
    else:
        present = present.astype(str)
        known = {str(code): code for code in (*classes.codes, *classes.ignored)}
        known.update(zip(classes.names, classes.codes, strict=True))
        known.update(texts)
    if strange := present[~present.isin(known)].value_counts().to_dict():
        raise DataError(
            f"{name} holds values outside the classes",
            got=", ".join(f"{value!r} ({count} rows)" for value, count in list(strange.items())[:8]),
            expected=", ".join(texts or map(str, known)),
            fix="Add them to `classes:` or to `ignore:`",
        )
    indices = np.full(len(values), IGNORE, np.int16)
    indices[~missing] = classes.to_index(present.map(known).to_numpy(float))
    return indices, missing


def _rows(chosen: np.ndarray) -> str:
    """Numbers of the chosen rows, from 0."""
    return some(np.flatnonzero(chosen), 8)


def _widened(shapes: np.ndarray, widths: np.ndarray, crs: CRS | None, name: str) -> np.ndarray:
    """Lines as polygons of their width in metres, measured in the UTM (or polar) zone of their middle."""
    lines = np.isin(shapely.get_type_id(shapes), (1, 2, 5))
    if not lines.any():
        raise ConfigError(f"{name} holds no line that a width could apply to", got="`width`")
    if not (np.isfinite(widths[lines]) & (widths[lines] > 0)).all():
        raise DataError(f"{name} holds lines without a positive width", got=_rows(lines & ~(widths > 0)))
    shapes = shapes.copy()
    if crs is None:
        shapes[lines] = shapely.buffer(shapes[lines], widths[lines] / 2)
        return shapes
    bounds = shapely.bounds(shapes)
    lon, lat = transformer(crs, _crs(4326)).transform(
        (bounds[:, 0] + bounds[:, 2]) / 2, (bounds[:, 1] + bounds[:, 3]) / 2
    )
    zone = np.where(lat < 0, 32700, 32600) + np.clip((lon + 180) // 6, 0, 59) + 1
    zone = np.where(np.abs(lat) > 84, np.where(lat < 0, 5042, 5041), zone).astype(int)
    for code in np.unique(zone[lines]).tolist():
        members = lines & (zone == code)
        if members.any():
            there, back = transformer(crs, _crs(code)), transformer(_crs(code), crs)
            flat = shapely.transform(shapes[members], lambda xy, t=there: np.column_stack(t.transform(*xy.T)))
            wide = shapely.buffer(flat, widths[members] / 2)
            shapes[members] = shapely.transform(wide, lambda xy, t=back: np.column_stack(t.transform(*xy.T)))
    return shapes


def _crs(code: int) -> CRS:
    from pyproj import CRS

    return CRS.from_epsg(code)


def _bounds(grid: GeoBox, crs: CRS | None) -> np.ndarray | None:
    """`[xmin, ymin, xmax, ymax]` in `crs` of a box around a grid; None where it lies outside of the CRS."""
    height, width = shape_of(grid)
    rows, cols = np.linspace(0, height, 17)[:, None], np.linspace(0, width, 17)[None, :]
    x, y = (v + np.zeros((17, 17)) for v in coordinates(grid, rows, cols))
    if crs is not None and grid.crs is not None and grid.crs.proj != crs:
        x, y = transformer(grid.crs, crs).transform(x, y)
        known = np.isfinite(x) & np.isfinite(y)
        if not known.any():
            return None
        x, y = x[known], y[known]
        if crs.is_geographic:
            x = x.flat[0] + (x - x.flat[0] + 180) % 360 - 180
            if np.ptp(x) > 180:  # around a pole
                return np.array([-180.0, -90.0, 180.0, 90.0])
    low, high = np.array([x.min(), y.min()]), np.array([x.max(), y.max()])
    margin = 0.05 * (high - low)
    return np.concatenate([low - margin, high + margin])
