"""What happens to a world: floods, fires, earthquakes, tornadoes, felling. Each changes a moment into a later one.

An event is a pure function of the world and its own numbers; it returns exact truth (polygons or states by building)
and `Moment` carries it to every sensor.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from affine import Affine
from scipy import sparse
from scipy.sparse import csgraph

from swath.simulate import landcover as lc
from swath.simulate import noise
from swath.simulate.moment import Leak, Moment
from swath.simulate.painting import paint
from swath.simulate.shapes import outlines, polygons_of
from swath.simulate.surface import SOURCES, axes
from swath.simulate.terrain import above_rivers
from swath.simulate.world import World

#: Names of building states 0..3 (Gupta et al. 2019, xBD).
DAMAGE = ("no-damage", "minor-damage", "major-damage", "destroyed")

#: Weakness of walls: shift of the fragility curve, in units of intensity.
_WEAKNESS = {"brick": 0.6, "timber": 0.0, "concrete": -0.6}


def flood(world: World, level: float) -> np.ndarray:
    """Polygons under water when rivers rise by `level` m.

    It is the ground less than that above its drainage (HAND, Nobre et al. 2011), joined to open water.
    """
    terrain = world.terrain
    main = (terrain.upstream > 10.0) & (terrain.height > 0.2)
    if not main.any():
        return np.array([], object)
    depth = np.where(terrain.height > 0.2, level - above_rivers(terrain, main), -1.0)
    # far from the main rivers streams do not carry the flood
    from scipy import ndimage

    away = ndimage.distance_transform_edt(~main) * terrain.cell
    wet = outlines(np.where(away < 60 + 400 * level, depth, -1.0), world.affine, 0.0, 8 * terrain.cell**2)
    open_water = shapely.union_all(world.water.areas)
    touching = wet[shapely.intersects(wet, open_water.buffer(terrain.cell))]
    return polygons_of(shapely.difference(touching, open_water))


def flooded(world: World, moment: Moment, level: float) -> Moment:
    """The moment with rivers risen by `level` m."""
    return replace(moment, flooded=(*moment.flooded, *flood(world, level)), wetness=max(moment.wetness, 0.9))


def fire(
    world: World, moment: Moment, start: tuple[float, float], hours: float, wind: tuple[float, float] = (4.0, 1.0)
) -> np.ndarray:
    """Polygons burned in `hours` by a fire that starts at `start`.

    The front moves at a speed that grows with fuel, dryness, slope upward and wind along the step (a minimum travel
    time spread, Finney 2002, with speeds of ours of a few hundred metres an hour in calm air); roads and water stop it,
    gardens slow it.
    """
    from odc.geo.geobox import GeoBox

    cell = max(20.0, world.terrain.cell)
    west, south, east, north = world.bounds
    shape = int((north - south) / cell), int((east - west) / cell)
    grid = GeoBox(shape, Affine(cell, 0, west, 0, -cell, north), world.grid.crs)
    surface = paint(world, grid, moment)
    fuel_of = np.zeros(10)
    fuel_of[[lc.FOREST, lc.GRASS, lc.WETLAND, lc.CROP]] = 0.14, 0.1, 0.02, 0.025
    x, y = axes(grid)
    patchy = np.exp(0.5 * noise.fractal(x, y, 350, world.seed + 601, 4))
    # gardens and parks are tended
    tended = surface.table.layer[surface.row] == SOURCES.index("landuse")
    speed = np.where(tended, 0.15, 1.0) * fuel_of[surface.landcover] * patchy * (1.3 - moment.wetness)
    index = np.arange(speed.size).reshape(shape)
    rows, cols, times = [], [], []
    for i, j in ((0, 1), (1, 0), (1, 1), (1, -1), (0, -1), (-1, 0), (-1, -1), (-1, 1)):
        here = tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip((i, j), shape, strict=True))
        there = tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip((i, j), shape, strict=True))
        far = cell * np.hypot(i, j)
        push = (j * wind[0] - i * wind[1]) / np.hypot(i, j)
        climb = (surface.ground[there] - surface.ground[here]) / far
        pace = np.minimum(speed[here], speed[there]) * np.exp(0.22 * push + 2.5 * climb)
        open_ = pace > 1e-3
        rows.append(index[here][open_])
        cols.append(index[there][open_])
        times.append(far / pace[open_])
    graph = sparse.csr_matrix((np.concatenate(times), (np.concatenate(rows), np.concatenate(cols))), (speed.size,) * 2)
    col, row = (int(v) for v in ~grid.affine @ start)
    if not (0 <= row < shape[0] and 0 <= col < shape[1]):
        return np.array([], object)
    arrival = csgraph.dijkstra(graph, indices=index[row, col], limit=hours * 3600).reshape(shape)
    return outlines(np.where(np.isfinite(arrival), 1.0, -1.0), grid.affine, 0.0, 6 * cell**2)


def burned(
    world: World,
    moment: Moment,
    start: tuple[float, float] | None,
    hours: float,
    wind: tuple[float, float] = (4.0, 1.0),
) -> Moment:
    """The moment after a fire, which by default starts in the largest wood."""
    if start is None:
        woods = world.wild["wood"]
        largest = woods[int(np.argmax(shapely.area(woods)))] if len(woods) else shapely.box(*world.bounds)
        spot = largest.representative_point()
        start = spot.x, spot.y
    return replace(moment, burned=(*moment.burned, *fire(world, moment, start, hours, wind)))


def earthquake(world: World, magnitude: float, epicentre: tuple[float, float], depth: float = 8000.0) -> pd.Series:
    """State 0..3 of every building after an earthquake.

    Intensity falls with the distance R in km as I = 1.5 M - 3.2 log10 R + 2.4 (form of Bakun and Wentworth 1997,
    numbers ours); the chance to reach a state is a normal fragility curve of I, shifted by the
    wall and the number of levels.
    """
    houses = world.layer("buildings")
    at = shapely.get_coordinates(shapely.centroid(houses.geometry.to_numpy()))
    reach = np.hypot(np.hypot(at[:, 0] - epicentre[0], at[:, 1] - epicentre[1]), depth) / 1000
    soft = noise.fractal_at(at[:, 0], at[:, 1], 1500, world.seed + 611, 3)
    intensity = 1.5 * magnitude - 3.2 * np.log10(reach) + 2.4 + 0.35 * soft
    return _states(world, houses, intensity, (8.2, 9.2, 10.2), f"earthquake {magnitude} {epicentre}")


def tornado(world: World, path: np.ndarray, width: float = 260.0, strength: float = 3.0) -> pd.Series:
    """State 0..3 of every building after a tornado along `path` `[N, 2]`.

    The wind falls off from the centre line as a Rankine vortex of core radius `width` / 2 (intensity on the EF scale).
    """
    houses = world.layer("buildings")
    away = shapely.distance(shapely.centroid(houses.geometry.to_numpy()), shapely.linestrings(path))
    core = width / 2
    intensity = strength * np.where(away < core, 1.0, core / np.maximum(away, core)) * 1.6 - 1.0
    return _states(world, houses, intensity, (0.6, 1.7, 2.7), f"tornado {width} {strength}")


def damaged(moment: Moment, states: pd.Series) -> Moment:
    """The moment with buildings in `states` 0..3; a building keeps the worse of old and new."""
    damage = dict(moment.damage)
    hurt = states[states > 0]
    for number, state in zip(hurt.index.tolist(), hurt.tolist(), strict=True):
        damage[number] = max(state, damage.get(number, 0))
    return replace(moment, damage=damage)


def felling(world: World, share: float, season: int) -> np.ndarray:
    """Polygons of clear-cuts: squares of about 1.5 ha on a lattice, `share` of the woods, others each `season`."""
    woods = world.wild["wood"]
    if not len(woods):
        return woods
    size = 125.0
    west, south, east, north = world.bounds
    i = np.arange(int(west // size), int(east // size) + 1)
    j = np.arange(int(south // size), int(north // size) + 1)
    i, j = (a.ravel() for a in np.meshgrid(i, j))
    cut = noise.uniform(i, j, world.seed + 621 + season) < share
    boxes = shapely.box(i[cut] * size, j[cut] * size, (i[cut] + 1) * size, (j[cut] + 1) * size)
    return polygons_of(shapely.intersection(boxes, shapely.union_all(woods)))


def felled(world: World, moment: Moment, share: float, season: int = 0) -> Moment:
    """The moment after felling."""
    return replace(moment, cleared=(*moment.cleared, *felling(world, share, season)))


def leaking(_world: World, moment: Moment, **leak: Any) -> Moment:
    """The moment after gas has begun to escape; `leak` are the settings of `Leak`."""
    return replace(moment, leaks=(*moment.leaks, Leak(**leak)))


def _states(
    world: World, houses: gpd.GeoDataFrame, intensity: np.ndarray, steps: tuple[float, float, float], name: str
) -> pd.Series:
    """States by fragility curves with a spread of half a unit around `steps`."""
    weak = np.array([_WEAKNESS[m] for m in houses["building:material"]]) + 0.06 * (
        houses["building:levels"].to_numpy() - 2
    )
    luck = noise.uniform(houses.index.to_numpy(), np.zeros(len(houses), int), noise.key(world.seed, name) % 2**40)
    from scipy.special import ndtri

    felt = intensity + weak + 0.5 * ndtri(np.clip(luck, 1e-6, 1 - 1e-6))
    return pd.Series(np.searchsorted(np.array(steps), felt), houses.index, name="damage")
