"""Labels from rasters and vectors, laid on any grid as it is asked for.

Convention: classes of rasters are warped by nearest neighbour; a pixel belongs to a polygon that covers its centre, to
a line that passes through it and to a point that lies in it; of several, the last row of the file counts.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
import shapely
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning

from swath.data.classes import IGNORE, Classes, Colour
from swath.data.raster import open_raster
from swath.data.sources import Source
from swath.errors import ConfigError, DataError
from swath.geo.grids import coordinates, positions, shape_of, transformer, window_grid
from swath.geo.vectors import rasterize, read_vectors
from swath.geo.warp import warp
from swath.geo.windows import Window, whole

if TYPE_CHECKING:
    import geopandas as gpd
    from pyproj import CRS

    from swath.data.scenes import Labels, Scene

#: What a table says of numbers that mean nothing; never leaves this module.
_UNKNOWN = -2
#: Squares of this many pixels are read where labels may be.
_SQUARE = 512


class RasterLabels:
    """Classes as the codes or colours of a raster, in any CRS and resolution.

    Args:
        source: One band of codes, or of places in a palette, or three bands of 8-bit colour.
        classes: Legend; invalid pixels and ignored codes are no labels.
        colours: The code of each colour, where classes are told by colour; codes may be ignored ones.
        palette: Colours `[65536, 3]` of the numbers of a single band.

    Raises:
        DataError: If the source has another number of bands, or `colours` name a code that is no class.
    """

    def __init__(
        self,
        source: Source,
        classes: Classes,
        colours: Mapping[Colour, int] | None = None,
        palette: np.ndarray | None = None,
    ) -> None:
        expected = 3 if colours is not None and palette is None else 1
        if len(source.bands) != expected:
            raise DataError(
                f"{source.name} has another number of bands than a label",
                got=len(source.bands),
                expected="3 (colours)" if expected == 3 else "1 (codes)",
                fix=None if colours else "Say `colours: true` if its colours tell the classes",
            )
        if expected == 3 and source.dtype != np.uint8:
            raise DataError(f"{source.name} is no 8-bit colour", got=source.dtype, expected="uint8")
        self.name = source.name
        self._source = source
        of_code = {code: index for index, code in enumerate(classes.codes)} | dict.fromkeys(classes.ignored, IGNORE)
        if colours is None:
            self._legend = of_code
        else:
            if strange := sorted(set(colours.values()) - of_code.keys()):
                raise DataError("A colour stands for a code that is no class", got=strange, expected=list(of_code))
            self._legend = {int(_packed(np.array(rgb))): of_code[code] for rgb, code in colours.items()}
        self._coloured = colours is not None
        self._palette = None if palette is None else _packed(palette)
        self._of_palette = None if self._palette is None else _look_up(self._palette, self._legend)

    @classmethod
    def open(
        cls, path: str | Path, classes: Classes, colours: Mapping[Colour, int] | None = None, crs: str | None = None
    ) -> RasterLabels:
        """Open a label file; a nodata number that is also the code of a class counts as the class.

        Args:
            path: The file.
            classes: Legend.
            colours: See the class; colours of a palette are looked up.
            crs: See `swath.data.raster.open_raster`.
        """
        source = open_raster(path, crs=crs)
        if source.bands[0].nodata in classes.codes:
            source = open_raster(path, crs=crs, nodata=float("nan"))
        single = colours is not None and len(source.bands) == 1
        return cls(source, classes, colours, _palette(source.name) if single else None)

    @property
    def grid(self) -> GeoBox:
        """Grid of the raster."""
        return self._source.grid

    def read(self, grid: GeoBox) -> np.ndarray:
        """See `swath.data.scenes.Labels.read`.

        Raises:
            DataError: If there is a code or colour that is neither a class nor ignored; it names and counts them.
            GridError: If either the raster or `grid` has no CRS.
        """
        values, inside = warp(self._source, grid, "nearest")
        if self._of_palette is not None:
            labels = self._of_palette[values[0]]
        else:
            labels = _look_up(_packed(np.moveaxis(values, 0, -1)) if self._coloured else values[0], self._legend)
        labels[~inside] = IGNORE
        unknown = labels == _UNKNOWN
        if unknown.any():
            self._refuse(values[:, unknown])
        return labels

    def _refuse(self, values: np.ndarray) -> None:
        """Raise the error that names stored `values` `[bands, n]` outside of the legend."""
        strange = values[0] if self._palette is None else self._palette[values[0]]
        if len(values) == 3:
            strange = _packed(values.T)
        found, counts = np.unique(strange, return_counts=True)
        show = "#{:06x}".format if self._coloured else str
        order = np.argsort(-counts, kind="stable")[:8]
        more = f" and {len(found) - 8} more" if len(found) > 8 else ""
        raise DataError(
            f"{self.name} holds {'colours' if self._coloured else 'values'} outside the classes",
            got=", ".join(f"{show(found[i])} ({counts[i]} pixels)" for i in order) + more,
            expected=", ".join(show(number) for number in self._legend),
            fix="Add them to `classes:` or to `ignore:`",
        )


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
        layer: str | None = None,
        crs: str | None = None,
    ) -> None:
        from_file = isinstance(vectors, str | Path)
        frame = read_vectors(vectors, layer, crs) if isinstance(vectors, str | Path) else vectors
        self.name = str(vectors) if from_file else "vector labels"
        for column in (attribute, width):
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
        indices, unset = _attribute_classes(frame[attribute], classes, texts or {}, self.name)
        notes = {"empty geometries, left out": empty, f"no value in '{attribute}', ignored": unset & ~empty}
        self.notes = tuple(
            f"{self.name}: rows with {what}: {_rows(rows)}" for what, rows in notes.items() if rows.any()
        )
        if empty.all():
            raise DataError(f"{self.name} holds no geometry", expected="at least one")
        self._crs: CRS | None = frame.crs
        shapes, self._classes = shapes[~empty], indices[~empty]
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
        """Row, column and class of each labelled pixel of a grid, in the order of rows and columns.

        Nothing is rasterised where all geometries are points; else only squares that a geometry meets.
        """
        if self.dense or not self._points or (self._crs is None) != (grid.crs is None):
            return _labelled(self, grid)
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


def label_windows(labels: Labels, grid: GeoBox) -> Iterator[Window]:
    """Windows of a grid, each at most 512 pixels high and wide, outside of which there is no label."""
    for row in range(0, grid.shape[0], _SQUARE):
        for col in range(0, grid.shape[1], _SQUARE):
            window = Window(row, col, _SQUARE, _SQUARE).intersect(whole(grid.shape))
            if not isinstance(labels, VectorLabels) or labels.dense or len(labels.near(window_grid(grid, window))):
                yield window


def labelled_pixels(scene: Scene, part: str | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and class of every labelled pixel of a scene, without reading where no label can be.

    Args:
        scene: The scene.
        part: Part of the split; None takes all pixels.

    Returns:
        Rows, columns and class indices, each `[n]`; empty for a scene without labels.
    """
    labels, grid = scene.labels, scene.grid
    if labels is None:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int16)
    if isinstance(labels, VectorLabels):
        rows, cols, classes = labels.pixels(grid)
    else:
        rows, cols, classes = _labelled(labels, grid)
    if part is None:
        return rows, cols, classes
    if isinstance(scene.part, str):
        kept = np.full(len(rows), scene.part == part)
    else:
        kept = np.zeros(len(rows), bool)
        square = (rows // _SQUARE) * (-(-grid.shape[1] // _SQUARE)) + cols // _SQUARE
        for _, members in _groups(square):
            low, high = (rows[members].min(), cols[members].min()), (rows[members].max(), cols[members].max())
            window = Window(int(low[0]), int(low[1]), int(high[0] - low[0]) + 1, int(high[1] - low[1]) + 1)
            kept[members] = scene.part_mask(window, part)[rows[members] - window.row, cols[members] - window.col]
    return rows[kept], cols[kept], classes[kept]


def _labelled(labels: Labels, grid: GeoBox) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    found = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int16))]
    for window in label_windows(labels, grid):
        classes = labels.read(window_grid(grid, window))
        rows, cols = np.nonzero(classes != IGNORE)
        found.append((rows + window.row, cols + window.col, classes[rows, cols]))
    rows, cols, classes = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((cols, rows))
    return rows[order], cols[order], classes[order]


def _groups(keys: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each key with the places where it stands."""
    order = np.argsort(keys, kind="stable")
    found, starts = np.unique(keys[order], return_index=True)
    yield from zip(found.tolist(), np.split(order, starts[1:]) if len(found) else [], strict=True)


def _packed(colours: np.ndarray) -> np.ndarray:
    """Colours `[..., 3]` as one number each: 0xRRGGBB."""
    return np.asarray(colours).astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)


def _palette(path: str) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as file:
                table = file.colormap(1)
    except ValueError as error:
        raise DataError(
            f"{path} has neither three bands nor a palette", expected="colours that tell classes"
        ) from error
    colours = np.zeros((1 << 16, 3), np.uint8)
    colours[list(table)] = [rgba[:3] for rgba in table.values()]
    return colours


def _look_up(numbers: np.ndarray, legend: Mapping[int, int]) -> np.ndarray:
    """Class index, int16, of each number; `_UNKNOWN` for numbers outside the legend."""
    if numbers.dtype.kind in "iu" and numbers.dtype.itemsize <= 2:
        unsigned = numbers.view(f"u{numbers.dtype.itemsize}")
        return _table(tuple(legend.items()), numbers.dtype)[unsigned]
    known = np.array(sorted(legend))
    place = np.clip(np.searchsorted(known, numbers), 0, len(known) - 1)
    indices = np.array([legend[number] for number in known.tolist()], np.int16)[place]
    return np.where(known[place] == numbers, indices, np.int16(_UNKNOWN))


@lru_cache(maxsize=64)
def _table(legend: tuple[tuple[int, int], ...], dtype: np.dtype) -> np.ndarray:
    """Class index of every number of an integer type of one or two bytes, by its bits."""
    table = np.full(256**dtype.itemsize, _UNKNOWN, np.int16)
    limits = np.iinfo(dtype)
    for code, index in legend:
        if limits.min <= code <= limits.max:
            table[code % len(table)] = index
    return table


def _attribute_classes(
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
    places = np.flatnonzero(chosen)
    return ", ".join(map(str, places[:8])) + (f" and {len(places) - 8} more" if len(places) > 8 else "")


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
    for code, members in _groups(np.where(lines, zone, 0)):
        if code:
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
