"""Fields: farmland cut into parcels along a bent lattice, each with its crop.

The lattice has cells of about half a kilometre. A cell is cut into strips, so that fields are long and share their
edges; all corners are moved by the same smooth bend.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import shapely

from swath.simulate import noise
from swath.simulate.phenology import CROPS
from swath.simulate.shapes import polygons_of

_CELL = 480.0


def fields(bounds: tuple[float, float, float, float], land: shapely.Geometry, seed: int) -> gpd.GeoDataFrame:
    """Parcels whose centre lies in `bounds`, clipped to the farm `land`.

    Columns: `landuse` (`farmland`, `meadow`, `orchard`, `vineyard`), `crop`, `area` (m2), `vigour` (fertility of the
    field, mean 1), `sowing_shift` (days).
    """
    cells = _quads(bounds, seed)
    middle = shapely.get_coordinates(shapely.centroid(cells))
    west, south, east, north = bounds
    mine = (middle[:, 0] >= west) & (middle[:, 0] < east) & (middle[:, 1] >= south) & (middle[:, 1] < north)
    cells = cells[mine]
    shapely.prepare(land)
    owner = np.repeat(np.arange(len(cells)), 1)
    parts = shapely.intersection(cells, land)
    shapes, owners = [], []
    for number, part in zip(owner, parts, strict=True):
        pieces = polygons_of([part])
        # a margin of grass keeps neighbours apart
        pieces = polygons_of(shapely.buffer(pieces, -1.5, join_style="mitre"))
        pieces = pieces[shapely.area(pieces) > 1500]
        shapes.append(pieces)
        owners.append(np.full(len(pieces), number))
    geometry = np.concatenate(shapes) if shapes else np.array([], object)
    at = np.round(shapely.get_coordinates(shapely.point_on_surface(geometry)) * 10).astype(np.int64)
    crop = _crops(at, geometry, seed)
    luck = noise.uniform(at[:, 0], at[:, 1], seed + 41)
    regional = noise.fractal_at(at[:, 0] / 10.0, at[:, 1] / 10.0, 2500, seed + 42, 2)
    landuse = np.array([CROPS[c].landuse for c in crop], object)
    return gpd.GeoDataFrame(
        {
            "landuse": landuse,
            "crop": crop,
            "area": shapely.area(geometry),
            "vigour": np.clip(1 + 0.09 * regional + 0.3 * (luck - 0.5), 0.55, 1.35),
            "sowing_shift": np.round(18 * (noise.uniform(at[:, 0], at[:, 1], seed + 43) - 0.5)).astype(int),
        },
        geometry=geometry,
    )


def lattice_angle(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Direction of the long sides of fields at `(x, y)`, radians counter-clockwise from east."""
    here = np.stack(_bent(np.asarray(x), np.asarray(y), seed))
    there = np.stack(_bent(np.asarray(x) + 10.0, np.asarray(y), seed))
    return np.arctan2(there[1] - here[1], there[0] - here[0])


def _quads(bounds: tuple[float, float, float, float], seed: int) -> np.ndarray:
    """Fields before clipping, for all lattice cells that may reach into `bounds`."""
    west, south, east, north = bounds
    reach = 3 * _CELL
    i = np.arange(np.floor((west - reach) / _CELL), np.ceil((east + reach) / _CELL)).astype(np.int64)
    j = np.arange(np.floor((south - reach) / _CELL), np.ceil((north + reach) / _CELL)).astype(np.int64)
    i, j = (a.ravel() for a in np.meshgrid(i, j))
    draw = [noise.uniform(i, j, seed + 50 + k) for k in range(8)]
    strips = 1 + (draw[0] * 4.5).astype(int)
    upright = draw[1] < 0.4
    number = strips * 2
    cell = np.repeat(np.arange(len(i)), number)
    rank = np.arange(len(cell)) - np.repeat(np.cumsum(number) - number, number)
    strip, half = rank // 2, rank % 2
    n = strips[cell]
    cut = 0.3 + 0.4 * noise.uniform(i[cell] * 8 + strip, j[cell], seed + 58)
    low_u = np.where(half == 0, 0.0, cut)
    high_u = np.where(half == 0, cut, 1.0)
    low_v, high_v = strip / n, (strip + 1) / n
    # edges have points enough to follow the bend closer than the margin between fields
    ahead, still = np.linspace(0, 1, 10)[:-1], np.zeros(9)
    u = low_u[:, None] + (high_u - low_u)[:, None] * np.concatenate([ahead, still + 1, 1 - ahead, still, [0]])
    v = low_v[:, None] + (high_v - low_v)[:, None] * np.concatenate([still, ahead, still + 1, 1 - ahead, [0]])
    u, v = np.where(upright[cell, None], v, u), np.where(upright[cell, None], u, v)
    x, y = _bent((i[cell, None] + u) * _CELL, (j[cell, None] + v) * _CELL, seed)
    return shapely.make_valid(shapely.polygons(np.stack([x, y], -1)))


def _bent(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    bend_x = noise.fractal_at(x, y, 3000, seed + 61, 2, 0.4)
    bend_y = noise.fractal_at(x, y, 3000, seed + 62, 2, 0.4)
    return x + 420 * bend_x, y + 420 * bend_y


def _crops(at: np.ndarray, geometry: np.ndarray, seed: int) -> np.ndarray:
    names = np.array(list(CROPS), object)
    share = np.cumsum([CROPS[n].share for n in names])
    crop = names[
        np.searchsorted(share / share[-1], noise.uniform(at[:, 0], at[:, 1], seed + 45)).clip(0, len(names) - 1)
    ]
    # small leftovers are not worth ploughing
    return np.where(shapely.area(geometry) < 5000, "grassland", crop)
