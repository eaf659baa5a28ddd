"""The surface: every pixel of a fine grid with what covers it, how high it stands and to which object it belongs.

All sensors and all truths of one moment are read from this one description, so that they agree to the pixel. A pixel
has a *row* of a table; the row holds its mixture of materials, its land cover and the object of the vector layers
that it is part of.

Convention: the grid is in the CRS of the world, north-up, square pixels; a pixel takes what lies at its centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from odc.geo.geobox import GeoBox
from scipy import ndimage, sparse

from swath.simulate import noise
from swath.simulate.moment import Moment
from swath.simulate.world import World

#: Names of the vector layers that a pixel can belong to; their position is the code in `Table.layer`.
SOURCES = ("", "natural", "landuse", "parcels", "roads", "buildings", "vehicles", "ships", "trees", "event")


@dataclass(frozen=True)
class Table:
    """What the rows of a surface mean.

    Attributes:
        weights: Share of each material `[rows, materials]`.
        landcover: Code of `landcover.CLASSES` `[rows]`.
        layer: Position in `SOURCES` `[rows]`.
        object: Index in that vector layer; -1 for none `[rows]`.
        texture: Relative brightness of the grain `[rows]`.
    """

    weights: np.ndarray
    landcover: np.ndarray
    layer: np.ndarray
    object: np.ndarray
    texture: np.ndarray


@dataclass(frozen=True)
class Surface:
    """A painted surface.

    Attributes:
        grid: Where.
        row: Row of `table` `[H, W]` int32.
        table: What the rows mean.
        ground: Elevation of the ground, m `[H, W]`.
        above: Height of what stands on it, m `[H, W]`.
        grain: Noise of mean 0 and variance 1 at the scale of pixels `[H, W]`.
        moment: When.
    """

    grid: GeoBox
    row: np.ndarray
    table: Table
    ground: np.ndarray
    above: np.ndarray
    grain: np.ndarray
    moment: Moment

    @property
    def landcover(self) -> np.ndarray:
        """Land-cover codes `[H, W]` uint8."""
        return self.table.landcover[self.row]

    def objects(self, layer: str) -> np.ndarray:
        """Index in a vector layer of what each pixel is part of `[H, W]` int64; -1 for none."""
        mine = self.table.layer == SOURCES.index(layer)
        return np.where(mine, self.table.object, -1)[self.row]

    @property
    def dsm(self) -> np.ndarray:
        """Elevation of the surface, m."""
        return self.ground + self.above


def axes(grid: GeoBox) -> tuple[np.ndarray, np.ndarray]:
    """Easting of the columns and northing of the rows of a north-up grid, at pixel centres."""
    a = grid.affine
    return a.c + a.a * (np.arange(grid.shape[1]) + 0.5), a.f + a.e * (np.arange(grid.shape[0]) + 0.5)


def ground(world: World, grid: GeoBox) -> np.ndarray:
    """Elevation of the ground on a grid, m: the world's terrain, smoothly interpolated, with fine fractal detail."""
    x, y = axes(grid)
    coarse = _resample(world.terrain.height, world, x, y)
    slope = _resample(world.terrain.slope, world, x, y)
    detail = noise.fractal(x, y, 2.5 * world.terrain.cell, world.seed + 3, 3)
    return coarse + np.where(coarse > 1, 1.2 * np.minimum(slope, 0.5) * world.terrain.cell / 10, 0.05) * detail


def _resample(field: np.ndarray, world: World, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A field of the world's terrain grid at the axes `x` and `y`, by cubic B-spline."""
    a = world.affine
    padded = np.pad(np.asarray(field, np.float32), 3, mode="edge")
    coefficients = ndimage.spline_filter(padded, 3, output=np.float32, mode="mirror")
    across = _spline_weights((x - a.c) / a.a - 0.5 + 3, padded.shape[1])
    down = _spline_weights((y - a.f) / a.e - 0.5 + 3, padded.shape[0])
    return np.asarray((across @ (down @ coefficients).T).T, np.float32)


def _spline_weights(place: np.ndarray, size: int) -> sparse.csr_matrix:
    first = np.floor(place).astype(int)
    t = place - first
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    cols = np.clip(first - 1 + np.arange(4)[:, None], 0, size - 1)
    rows = np.broadcast_to(np.arange(len(place)), cols.shape)
    return sparse.csr_matrix((weights.ravel().astype(np.float32), (rows.ravel(), cols.ravel())), (len(place), size))
