"""Water: the sea, rivers that widen downstream, ponds; and what stands by it: beaches and wetlands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from scipy import ndimage

from swath.simulate import noise
from swath.simulate.shapes import outlines, polygons_of, smooth
from swath.simulate.terrain import Terrain


@dataclass(frozen=True)
class Water:
    """Water and its banks.

    Attributes:
        sea: Polygons of the sea.
        rivers: Centre lines, running downstream.
        widths: Width of each river line, m.
        river_areas: Polygons of the rivers.
        ponds: Polygons of standing water.
        beaches: Polygons of sand at the sea.
        wetlands: Polygons of reed and wet meadow.
    """

    sea: np.ndarray
    rivers: np.ndarray
    widths: np.ndarray
    river_areas: np.ndarray
    ponds: np.ndarray
    beaches: np.ndarray
    wetlands: np.ndarray

    @property
    def areas(self) -> np.ndarray:
        """All polygons of open water."""
        return np.concatenate([self.sea, self.river_areas, self.ponds])


def river_width(upstream: np.ndarray) -> np.ndarray:
    """Bankfull width, m, of a stream that drains `upstream` km2.

    w = 2.2 A^0.5 (hydraulic geometry, Leopold and Maddock 1953; the factor is ours).
    """
    return 2.2 * np.sqrt(upstream)


def lay_water(terrain: Terrain, affine: Affine, seed: int, river: float) -> Water:
    """Water on a terrain.

    Args:
        terrain: The terrain.
        affine: Of its grid.
        seed: Which ponds.
        river: Smallest drained area that carries a river, km2.
    """
    height, cell = terrain.height, terrain.cell
    x, y = _axes(affine, height.shape)
    sea = outlines(-height, affine, 0.0, 20 * cell**2)
    lines, widths = _river_lines(terrain, affine, river)
    lines = _winding(lines, terrain, affine, seed)
    # a river is not drawn inside the sea that it has reached
    open_sea = shapely.union_all(shapely.buffer(sea, -2 * cell)) if len(sea) else shapely.Polygon()
    channels = shapely.buffer(lines, widths / 2, quad_segs=4)
    river_areas = polygons_of([shapely.difference(shapely.union_all(channels), open_sea)])
    low = (terrain.slope < 0.03) & (height > 2) & (terrain.drainage < 25)
    pool = noise.fractal(x, y, 700, seed + 11, 3) - np.where(low, 0, 3)
    ponds = outlines(pool, affine, 2.1, 6 * cell**2)
    ponds = ponds[~shapely.intersects(ponds, shapely.union_all(river_areas))] if len(ponds) else ponds
    from_sea = ndimage.distance_transform_edt(height >= 0) * cell if len(sea) else np.full(height.shape, 1e6)
    from_sea = np.where(from_sea > 0, np.maximum(ndimage.gaussian_filter(from_sea, 2.0), 1e-3), 0.0)
    sandy = noise.fractal(x, y, 1500, seed + 12, 3)
    strand = np.where(from_sea > 0, 40 + 40 * np.clip(sandy, -1, 1) - from_sea, 5.0)
    beaches = outlines(strand, affine, 0.0, 10 * cell**2)
    main = terrain.upstream > max(20.0, 4 * river)
    from_main = ndimage.distance_transform_edt(~main) * cell if main.any() else np.full(height.shape, 1e6)
    marsh = noise.fractal(x, y, 900, seed + 13, 3) - from_main / 400 - np.maximum(terrain.drainage - 5, 0)
    marsh = np.where((height > 0.2) & (terrain.slope < 0.03), marsh, -1.0)
    wetlands = outlines(marsh, affine, 0.2, 10 * cell**2)
    wet = shapely.union_all(np.concatenate([sea, river_areas, ponds]))
    beaches, wetlands = (polygons_of(shapely.difference(a, wet)) for a in (beaches, wetlands))
    return Water(sea, lines, widths, river_areas, ponds, beaches, wetlands)


def _axes(affine: Affine, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    x = affine.c + affine.a * (np.arange(shape[1]) + 0.5)
    y = affine.f + affine.e * (np.arange(shape[0]) + 0.5)
    return x, y


def _river_lines(terrain: Terrain, affine: Affine, river: float) -> tuple[np.ndarray, np.ndarray]:
    """River lines between sources, confluences and mouths, with their widths."""
    area, receiver = terrain.upstream.ravel(), terrain.receiver
    wet = (area >= river) & (terrain.height.ravel() > -3)
    into = np.bincount(receiver[wet & (receiver != np.arange(len(receiver)))], minlength=len(receiver))
    starts = np.flatnonzero(wet & (into != 1))
    lines, widths = [], []
    width = terrain.height.shape[1]
    for start in starts:
        path = [start]
        while True:
            at = receiver[path[-1]]
            if at == path[-1] or not wet[at]:
                break
            path.append(at)
            if into[at] != 1:
                break
        # long reaches are cut, so that a river widens step by step
        for first in range(0, len(path) - 1, 25):
            piece = np.array(path[first : first + 26])
            if len(piece) > 1:
                cells = np.stack([piece % width + 0.5, piece // width + 0.5])
                lines.append(shapely.linestrings(np.stack(affine @ (cells[0], cells[1]), -1)))
                widths.append(river_width(np.median(area[piece[:-1]])))
    if not lines:
        return np.array([], object), np.array([])
    eased = smooth(shapely.simplify(np.array(lines, object), 0.8 * terrain.cell), 3)
    return eased, np.array(widths)


def _winding(lines: np.ndarray, terrain: Terrain, affine: Affine, seed: int) -> np.ndarray:
    """Lines bent by a smooth field of moves, so that rivers wind in plains instead of running along the grid.

    The field depends on the place alone, so that confluences stay joined; it fades on slopes and at the border.
    """
    if not len(lines):
        return lines
    cell = terrain.cell
    height, width = terrain.height.shape
    points, owner = shapely.get_coordinates(shapely.segmentize(lines, 3 * cell), return_index=True)
    x, y = points.T
    col, row = (v - 0.5 for v in ~affine @ (x, y))
    flat = np.clip(1 - ndimage.gaussian_filter(terrain.slope, 3) / 0.06, 0.1, 1)
    rim = np.clip(np.minimum.reduce([col, row, width - 1 - col, height - 1 - row]) / 25, 0, 1)
    reach = 5 * cell * ndimage.map_coordinates(flat, [row, col], order=1, mode="nearest") * rim
    moves = [noise.fractal_at(x, y, 50 * cell, seed + k, 3) for k in (14, 15)]
    moved = np.stack([x + reach * np.clip(moves[0], -2, 2), y + reach * np.clip(moves[1], -2, 2)], -1)
    return smooth(shapely.linestrings(moved, indices=owner), 2)
