"""Where people live: towns and villages on good ground, spaced and sized like central places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from scipy import ndimage

from swath.simulate import noise
from swath.simulate.shapes import polygons_of
from swath.simulate.terrain import Terrain


@dataclass(frozen=True)
class Settlement:
    """A town or village.

    Attributes:
        index: Its number; 0 is the largest.
        centre: x and y.
        radius: About how far it reaches, m.
        hull: Its ground, without water.
    """

    index: int
    centre: tuple[float, float]
    radius: float
    hull: shapely.Polygon


def settle(terrain: Terrain, affine: Affine, water: np.ndarray, seed: int, towns: float) -> list[Settlement]:
    """Settlements in order of size; radii follow the rank-size rule (Zipf 1949) with exponent 0.5.

    Args:
        terrain: The terrain.
        affine: Of its grid.
        water: Polygons that nobody builds in.
        seed: Which settlements.
        towns: Number per 100 km2.
    """
    rng = noise.rng(seed, "settlements")
    height, width = terrain.height.shape
    extent = np.array([width, height]) * terrain.cell
    count = max(int(towns > 0), round(towns * extent.prod() / 1e8))
    largest = float(np.clip(0.16 * extent.min(), 180, 1500))
    near_river = np.exp(-ndimage.distance_transform_edt(terrain.upstream < 5) * terrain.cell / 600)
    steep = ndimage.uniform_filter(terrain.slope, max(3, int(300 / terrain.cell)))
    score = 1.0 + near_river - 12 * steep - np.where(terrain.drainage < 2, 1.0, 0.0) + 1.2 * rng.random((height, width))
    score = np.where(terrain.height > 1.5, score, -9)
    # away from the border of the world, so that the largest towns are seen whole
    row, col = np.mgrid[:height, :width]
    border = np.minimum.reduce([row, col, height - 1 - row, width - 1 - col]) * terrain.cell
    candidates = np.argsort(-score, axis=None)[: 20000 + 40 * count]
    wet = shapely.buffer(shapely.union_all(water), 18)
    shapely.prepare(wet)
    made: list[Settlement] = []
    for index in range(count):
        radius = max(140.0, largest / (index + 1) ** 0.5)
        x, y = affine @ (candidates % width + 0.5, candidates // width + 0.5)
        free = (border.ravel()[candidates] > min(radius, 0.3 * extent.min())) & (score.ravel()[candidates] > 0)
        for other in made:
            free &= np.hypot(x - other.centre[0], y - other.centre[1]) > 1.7 * (radius + other.radius)
        if not free.any():
            continue
        pick = int(np.argmax(free))
        centre = float(x[pick]), float(y[pick])
        if hull := _hull(centre, radius, wet, seed + 101 * index):
            middle = shapely.Point(centre) if hull.contains(shapely.Point(centre)) else hull.representative_point()
            made.append(Settlement(len(made), (middle.x, middle.y), radius, hull))
    return made


def _hull(centre: tuple[float, float], radius: float, wet: shapely.Geometry, seed: int) -> shapely.Polygon | None:
    """A disc with a wavy rim, without water; the part around the centre, or the largest one."""
    angle = np.linspace(0, 2 * np.pi, 73)[:-1]
    wave = noise.fractal_at(np.cos(angle), np.sin(angle), 1.0, seed, 3)
    rim = radius * np.clip(1 + 0.25 * wave, 0.5, 1.5)
    disc = shapely.polygons(np.stack([centre[0] + rim * np.cos(angle), centre[1] + rim * np.sin(angle)], -1))
    parts = polygons_of([shapely.difference(shapely.make_valid(disc), wet)])
    if not len(parts):
        return None
    largest = parts[int(np.argmax(shapely.area(parts)))]
    return largest if largest.area > 2e4 else None
