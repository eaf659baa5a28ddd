"""Land cover: woods, scrub and rock by soil, slope and height; and the legend of the truth."""

from __future__ import annotations

import numpy as np
import shapely
from affine import Affine
from scipy import ndimage

from swath.data.classes import Classes
from swath.simulate import noise
from swath.simulate.shapes import outlines, polygons_of
from swath.simulate.terrain import Terrain

#: Legend of the land-cover truth.
CLASSES = Classes.of(
    {
        1: {"name": "water", "colour": "#2b6cb0"},
        2: {"name": "forest", "colour": "#1f6b2f"},
        3: {"name": "grass", "colour": "#9bcf6a"},
        4: {"name": "crop", "colour": "#e3c04f"},
        5: {"name": "wetland", "colour": "#5fb3a1"},
        6: {"name": "bare", "colour": "#c9b79c"},
        7: {"name": "building", "colour": "#d1495b"},
        8: {"name": "road", "colour": "#555555"},
        9: {"name": "paved", "colour": "#a0a0a8"},
    }
)
WATER, FOREST, GRASS, CROP, WETLAND, BARE, BUILDING, ROAD, PAVED = range(1, 10)


def wild(
    terrain: Terrain, affine: Affine, occupied: np.ndarray, settled: np.ndarray, seed: int, forest: float
) -> dict[str, np.ndarray]:
    """Polygons of `wood`, `scrub` and `bare_rock`, apart from each other and from what is `occupied`.

    Args:
        terrain: The terrain.
        affine: Of its grid.
        occupied: Polygons of water, wetland, beaches and settlements.
        settled: Polygons of settlements; woods keep away from them.
        seed: Which woods.
        forest: Share of the land that is to be wood.
    """
    height, width = terrain.height.shape
    cell = terrain.cell
    x = affine.c + affine.a * (np.arange(width) + 0.5)
    y = affine.f + affine.e * (np.arange(height) + 0.5)
    town = _mask(settled, affine, (height, width))
    away = np.minimum(ndimage.distance_transform_edt(~town) * cell, 1500) / 1500 if town.any() else 1.0
    steep = np.minimum(terrain.slope / 0.12, 2.0)
    liking = noise.fractal(x, y, 1300, seed + 21, 5, 0.55) + 1.0 * steep + 0.7 * away
    land = (terrain.height > 2) & ~town
    least = 12 * cell**2
    level = np.quantile(liking[land], 1 - forest) if land.any() and forest > 0 else np.inf
    wood = outlines(np.where(terrain.height > 1, liking, -9), affine, level, least)
    rock = outlines(terrain.slope + 0.03 * noise.fractal(x, y, 400, seed + 22, 3), affine, 0.42, least)
    heath = noise.fractal(x, y, 1000, seed + 23, 4) + 0.4 * steep
    scrub = outlines(np.where(land, heath, -9), affine, np.quantile(heath[land], 0.93) if land.any() else 9, least)
    taken = shapely.union_all(occupied)
    made = {}
    for name, areas in (("bare_rock", rock), ("wood", wood), ("scrub", scrub)):
        made[name] = polygons_of(shapely.difference(areas, taken))
        taken = shapely.union_all(np.append(made[name], taken))
    return made


def _mask(shapes: np.ndarray, affine: Affine, shape: tuple[int, int]) -> np.ndarray:
    from rasterio import features

    if not len(shapes):
        return np.zeros(shape, bool)
    return features.rasterize(shapes, shape, transform=affine, dtype="uint8").astype(bool)
