"""Labels, laid on any grid as it is asked for: rasters here, vectors in `swath.data.vectorlabels`.

Convention: classes of rasters are warped by nearest neighbour.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning

from swath.data.classes import IGNORE, Classes, Colour
from swath.data.raster import open_raster
from swath.data.sources import Source
from swath.data.vectorlabels import VectorLabels
from swath.errors import DataError, some
from swath.geo.grids import window_grid
from swath.geo.warp import warp
from swath.geo.windows import Window, whole

if TYPE_CHECKING:
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
        order = np.argsort(-counts, kind="stable")
        raise DataError(
            f"{self.name} holds {'colours' if self._coloured else 'values'} outside the classes",
            got=some((f"{show(found[i])} ({counts[i]} pixels)" for i in order), 8),
            expected=some(map(show, self._legend), 16),
            fix="Add them to `classes:` or to `ignore:`",
        )


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
    if isinstance(labels, VectorLabels) and labels.only_points:
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
