"""Rays on a height field: what each of many rays meets first.

Convention: world points are `(x, y, z)` in metres of the world's CRS, z up, on a flat Earth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from odc.geo.geobox import GeoBox

from swath.simulate import noise, thermal
from swath.simulate.moment import Moment
from swath.simulate.optical import lit_reflectance, sensor_grid
from swath.simulate.painting import paint
from swath.simulate.world import Bounds, World

_RGB = np.array([660.0, 560.0, 480.0]), np.array([60.0, 60.0, 60.0])


@dataclass(frozen=True)
class Relief:
    """A piece of the world as a coloured height field.

    Attributes:
        grid: Where.
        dsm: Elevation of the surface, m `[H, W]`.
        ground: Elevation of the ground, m `[H, W]`.
        colour: What is seen from above `[C, H, W]`: reflectance, or temperature.
        building: Whether a pixel is built `[H, W]`.
        tone: Brightness of each building's walls `[H, W]`.
    """

    grid: GeoBox
    dsm: np.ndarray
    ground: np.ndarray
    colour: np.ndarray
    building: np.ndarray
    tone: np.ndarray


def relief(world: World, moment: Moment, bounds: Bounds, pixel: float = 0.5, heat: bool = False) -> Relief:
    """The height field of `bounds`, coloured by reflectance in red, green and blue, or by brightness temperature."""
    grid = sensor_grid(world, pixel, bounds)
    surface = paint(world, grid, moment)
    if heat:
        colour = thermal.temperature(world, grid, moment, fine=1)[None]
    else:
        colour = np.stack(lit_reflectance(surface, *_RGB))
    houses = surface.objects("buildings")
    tone = 0.6 + 0.8 * noise.uniform(houses, np.zeros_like(houses), world.seed + 701)
    return Relief(grid, surface.dsm, surface.ground, colour, houses >= 0, tone.astype(np.float32))


def cast(land: Relief, origins: np.ndarray, directions: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """First points where rays meet a height field `[N, 3]` (NaN for none), and whether they meet a wall `[N]`.

    Rays are followed in steps of half a pixel between the highest and the lowest elevation, all at once; the
    crossing is then found by halving the last step.
    """
    top, bottom = float(land.dsm.max()) + 0.1, float(land.dsm.min()) - 0.1
    size = land.grid.affine.a
    level = np.maximum(np.hypot(directions[:, 0], directions[:, 1]), 1e-6)
    fall = directions[:, 2]
    steep = np.where(np.abs(fall) < 1e-9, -1e-9, fall)
    enter = np.where(origins[:, 2] > top, (top - origins[:, 2]) / steep, 0.0)
    leave = np.where(
        fall < 0,
        (bottom - origins[:, 2]) / steep,
        np.where(fall > 0, np.maximum((top - origins[:, 2]) / steep, 0), reach),
    )
    leave = np.minimum(leave, enter + reach)
    going = np.flatnonzero((enter >= 0) & (leave > enter))
    step = 0.5 * size / level
    at, behind = enter.copy(), enter.copy()
    hit = np.zeros(len(origins), bool)
    while len(going):
        ahead = at[going] + np.minimum(step[going], leave[going] - at[going] + 1e-3)
        point = origins[going] + directions[going] * ahead[:, None]
        inside, elevation = _elevation(land, point)
        below = inside & (point[:, 2] <= elevation)
        hit[going[below]] = True
        behind[going[below]] = ahead[below]
        at[going[~below]] = ahead[~below]
        going = going[~below & (ahead < leave[going])]
    low, high = at[hit], behind[hit]
    for _ in range(16):
        middle = (low + high) / 2
        point = origins[hit] + directions[hit] * middle[:, None]
        below = point[:, 2] <= _elevation(land, point)[1]
        high, low = np.where(below, middle, high), np.where(below, low, middle)
    points = np.full(origins.shape, np.nan)
    points[hit] = origins[hit] + directions[hit] * high[:, None]
    wall = np.zeros(len(origins), bool)
    wall[hit] = _elevation(land, points[hit])[1] - points[hit, 2] > 0.4
    return points, wall


def _elevation(land: Relief, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a = land.grid.affine
    col = np.floor((points[:, 0] - a.c) / a.a).astype(np.int64)
    row = np.floor((points[:, 1] - a.f) / a.e).astype(np.int64)
    inside = (row >= 0) & (row < land.dsm.shape[0]) & (col >= 0) & (col < land.dsm.shape[1])
    return inside, land.dsm[np.where(inside, row, 0), np.where(inside, col, 0)]
