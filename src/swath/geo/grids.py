"""Grids: where pixels are. A grid is an `odc.geo.geobox.GeoBox`; here is only what it lacks.

Convention: pixel-is-area, the affine maps `(col, row)` of pixel *corners* to `(x, y)`; the centre of pixel
`(row, col)` lies at `affine @ (col + 0.5, row + 0.5)`. `x` is east or longitude, `y` is north or latitude, whatever
the axis order of the CRS authority. Grids are north-up unless a function says otherwise. A grid without CRS
(`crs=None`) is a picture: its unit is the pixel and nothing may be warped to it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

import numpy as np
import pyproj
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from swath.errors import GridError
from swath.geo.windows import Window

Numbers = TypeVar("Numbers", float, np.ndarray)


def pixel_grid(height: int, width: int) -> GeoBox:
    """A grid without CRS for plain pictures: one unit a pixel, rows downward."""
    return GeoBox((height, width), Affine.scale(1.0, -1.0), None)


def window_grid(grid: GeoBox, window: Window) -> GeoBox:
    """The grid of a window of `grid`; the window may reach beyond it."""
    return GeoBox(window.shape, grid.affine @ Affine.translation(window.col, window.row), grid.crs)


def is_north_up(grid: GeoBox) -> bool:
    """Whether rows run south and columns east, without rotation or shear."""
    a = grid.affine
    return a.b == 0 and a.d == 0 and a.a > 0 and a.e < 0


def require_north_up(grid: GeoBox, name: str) -> None:
    """Raise `GridError` if `grid` (of the file `name`) is rotated, sheared or flipped."""
    if not is_north_up(grid):
        raise GridError(
            f"{name} is not north-up",
            got=f"affine {tuple(round(v, 9) for v in grid.affine[:6])}",
            expected="no rotation or shear, positive width and negative height of a pixel",
            fix="Warp it first, for example with `gdalwarp IN OUT`",
        )


def require_crs(grid: GeoBox, name: str) -> CRS:
    """The CRS of `grid` (of the file `name`); raises `GridError` if it has none."""
    if grid.crs is None:
        raise GridError(
            f"{name} has no coordinate reference system",
            fix="Write it into the file (`gdal_edit.py -a_srs EPSG:... FILE`) or give it with `crs:` / `--crs`; "
            "`--crs none` works in pixel coordinates",
        )
    return grid.crs


def coordinates(grid: GeoBox, rows: Numbers, cols: Numbers) -> tuple[Numbers, Numbers]:
    """`(x, y)` of fractional `rows` and `cols`, counted from the top-left corner; both broadcast."""
    a = grid.affine
    return a.a * cols + a.b * rows + a.c, a.d * cols + a.e * rows + a.f


def positions(grid: GeoBox, x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
    """Fractional `(row, col)`, counted from the top-left corner, of coordinates `x` and `y`; both broadcast."""
    a = ~grid.affine
    return a.d * x + a.e * y + a.f, a.a * x + a.b * y + a.c


def shape_of(grid: GeoBox) -> tuple[int, int]:
    """`(height, width)` as plain integers."""
    return int(grid.shape[0]), int(grid.shape[1])


def is_geographic(grid: GeoBox) -> bool:
    """Whether the coordinates of `grid` are longitude and latitude in degrees."""
    return grid.crs is not None and grid.crs.geographic


def same_grid(a: GeoBox, b: GeoBox, tolerance: float = 1e-3) -> bool:
    """Whether two grids agree in CRS and shape, and in position within `tolerance` pixels at every corner."""
    if a.shape != b.shape or a.crs != b.crs:
        return False
    rows, cols = a.shape
    to_b = ~b.affine @ a.affine
    corners = [(0, 0), (cols, 0), (0, rows), (cols, rows)]
    return all(max(abs(x - c), abs(y - r)) <= tolerance for c, r in corners for x, y in [to_b @ (c, r)])


def transformer(source: CRS | pyproj.CRS, target: CRS | pyproj.CRS) -> pyproj.Transformer:
    """Transformer of `(x, y)` from CRS to CRS, kept. One may serve many threads: it holds a context for each."""
    # Hashing a CRS writes it out as WKT; its name (a code, or WKT that stands ready) does as well.
    return _transformer(*(str(crs) if isinstance(crs, CRS) else crs for crs in (source, target)))


@lru_cache(maxsize=256)
def _transformer(source: str | pyproj.CRS, target: str | pyproj.CRS) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)
