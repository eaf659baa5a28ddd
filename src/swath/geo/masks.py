"""Masks of single things: pixels of each shape on a grid, and outlines of masks.

Convention: a pixel belongs to a polygon that covers its centre (GDAL's rule). Outlines run along pixel edges, in
pixels `(x, y)` = `(col, row)` from the top-left corner, so that a mask becomes the same mask again.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import rasterio.features
import shapely
import shapely.geometry
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS

from swath.geo.grids import positions, shape_of, window_grid
from swath.geo.reproject import to_grid
from swath.geo.vectors import burn
from swath.geo.windows import Window, whole


def picture_grid(shape: tuple[int, int]) -> GeoBox:
    """A grid without CRS whose coordinates are pixels `(x, y)` = `(col, row)`."""
    return GeoBox(shape, Affine.identity(), None)


def masks_of(shapes: np.ndarray, crs: CRS | None, grid: GeoBox) -> Iterator[tuple[int, Window, np.ndarray]]:
    """Each shape that covers a pixel of a grid: its place in `shapes`, the smallest window around its pixels, its mask.

    Args:
        shapes: Shapely geometries `[n]`.
        crs: Their CRS; None for a grid without CRS.
        grid: The grid.

    Yields:
        Place, window, and mask of the window, bool `[height, width]`. A shape in parts comes out once.

    Raises:
        GridError: If one side has a CRS and the other has none.
    """
    placed, index = to_grid(shapes, crs, grid)
    limits = whole(shape_of(grid))
    for place in np.unique(index).tolist():
        parts = placed[index == place]
        left, low, right, high = shapely.total_bounds(parts)
        rows, cols = positions(grid, np.array([left, right]), np.array([low, high]))
        first, start = int(np.floor(rows.min())), int(np.floor(cols.min()))
        around = Window(first, start, int(np.ceil(rows.max())) - first + 1, int(np.ceil(cols.max())) - start + 1)
        window = around.intersect(limits)
        if window.empty:
            continue
        mask = burn(parts, np.ones(len(parts)), window_grid(grid, window), dtype=bool)
        tight, mask = crop(mask)
        if not tight.empty:
            yield place, tight.shift(window.row, window.col), mask


def crop(mask: np.ndarray) -> tuple[Window, np.ndarray]:
    """The smallest window around the pixels of a mask, and the mask in it; an empty window where there are none."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return Window(0, 0, 0, 0), mask[:0, :0]
    window = Window(int(rows[0]), int(cols[0]), int(rows[-1] - rows[0]) + 1, int(cols[-1] - cols[0]) + 1)
    return window, mask[window.slices]


def mask_outline(mask: np.ndarray, row: int = 0, col: int = 0) -> shapely.Polygon | shapely.MultiPolygon:
    """Outline of a mask along its pixel edges.

    Args:
        mask: Bool `[height, width]`.
        row: Where its top row lies.
        col: Where its left column lies.

    Returns:
        A polygon, or several where the pixels do not touch by a side; an empty one of no pixel.
    """
    found = rasterio.features.shapes(
        mask.astype(np.uint8), mask.astype(bool), connectivity=4, transform=Affine.translation(col, row)
    )
    parts = [shapely.geometry.shape(outline) for outline, _ in found]
    outline = parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
    return outline if outline.is_valid else shapely.union_all([shapely.make_valid(part) for part in parts])
