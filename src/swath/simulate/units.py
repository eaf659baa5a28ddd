"""Units of a world: what stands in one settlement, and in one square of open country."""

from __future__ import annotations

from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from swath.simulate import buildings, noise, parcels, roads, trees

if TYPE_CHECKING:
    from swath.simulate.world import Bounds, World

#: Side of a unit of open country, m.
UNIT = 2500.0


def town(world: World, index: int) -> dict[str, gpd.GeoDataFrame]:
    """Blocks, streets, buildings and trees of a settlement."""
    settlement = world.settlements[index]
    through = world.arterials[world.arterials["settlement"] == index].reset_index(drop=True)
    ways = roads.described(roads.streets(settlement, through, world.seed), world.wet)
    town = buildings.blocks(settlement, ways, world.seed)
    near = world.water.areas[shapely.intersects(world.water.areas, settlement.hull)]
    houses = buildings.town_buildings(settlement, ways, town, near, world.seed, world.config.year)
    houses["landuse"] = _containing(houses, town)
    carriage = shapely.buffer(ways.geometry.to_numpy(), ways["width"].to_numpy() / 2)
    avoid = np.concatenate([houses.geometry.to_numpy(), carriage, near])
    bounds = settlement.hull.bounds
    green = []
    for use, spacing, share in (("residential", 9.0, 0.3), ("park", 9.0, 0.6), ("commercial", 14.0, 0.3)):
        areas = town.geometry.to_numpy()[(town["landuse"] == use).to_numpy()]
        green.append(trees.scattered(bounds, areas, avoid, spacing, share, "town", world.seed + len(use)))
    unit = {"landuse": town, "roads": ways, "buildings": houses, "trees": pd.concat(green)}
    return _numbered(unit, (1 + index) * 10**7)


def country(world: World, i: int, j: int) -> dict[str, gpd.GeoDataFrame]:
    """Farms, tracks, fields and trees of the square in column `i` and row `j`, counted from the south-west."""
    west, south = world.config.west + i * UNIT, world.config.south + j * UNIT
    east, north = min(west + UNIT, world.bounds[2]), min(south + UNIT, world.bounds[3])
    bounds = west, south, east, north
    wider = shapely.box(west - 600, south - 600, east + 600, north + 600)
    here = shapely.box(*bounds)
    ways = world.arterials[world.arterials.intersects(wider) & (world.arterials["settlement"] < 0)]
    natural = world.layer("natural")
    taken = [
        *natural.geometry[natural.intersects(wider)],
        *(s.hull for s in world.settlements if s.hull.intersects(wider)),
        *shapely.buffer(ways.geometry.to_numpy(), ways["width"].to_numpy() / 2 + 4),
    ]
    blocked = shapely.union_all(taken)
    tracks, farms = _farms(world, bounds, ways, blocked)
    land = wider.intersection(shapely.box(*world.bounds)).difference(blocked)
    yards = shapely.get_parts(shapely.union_all(shapely.buffer(farms.geometry.to_numpy(), 14)))
    land = shapely.difference(land, shapely.union_all([*yards, *shapely.buffer(tracks.geometry.to_numpy(), 4)]))
    yard_frame = gpd.GeoDataFrame(
        {"landuse": np.full(len(yards), "farmyard", object), "settlement": np.full(len(yards), -1)}, geometry=yards
    )
    # at the border of the world a unit takes the fields whose middle lies beyond it
    claim = (
        west - 1000 * (i == 0),
        south - 1000 * (j == 0),
        east + 1000 * (east == world.bounds[2]),
        north + 1000 * (north == world.bounds[3]),
    )
    fields = parcels.fields(claim, land, world.seed)
    woods = world.wild["wood"]
    clear = np.concatenate([shapely.buffer(ways.geometry.to_numpy(), ways["width"].to_numpy() / 2)])
    grown = [trees.forest(bounds, woods[shapely.intersects(woods, here)], world.seed)]
    if len(clear) and len(grown[0]):
        near = shapely.STRtree(clear).query(grown[0].geometry.to_numpy(), "dwithin", distance=2.5)[0]
        grown[0] = grown[0].drop(index=np.unique(near))
    orchards = fields.geometry.to_numpy()[(fields["landuse"] == "orchard").to_numpy()]
    rows = trees.orchard(bounds, orchards, world.seed)
    scrub = world.wild["scrub"][shapely.intersects(world.wild["scrub"], here)]
    open_land = np.array([land.intersection(here)], object)
    single = trees.scattered(bounds, scrub, np.array([], object), 12.0, 0.35, "scrub", world.seed + 5)
    margins = np.concatenate([fields.geometry.to_numpy(), tracks.geometry.buffer(2).to_numpy()])
    hedges = trees.scattered(bounds, open_land, margins, 7.0, 0.5, "hedge", world.seed + 6)
    hedges = hedges[
        noise.fractal_at(hedges.geometry.x.to_numpy(), hedges.geometry.y.to_numpy(), 250, world.seed + 7, 2) > 0.35
    ]
    unit = {
        "landuse": yard_frame,
        "parcels": fields,
        "roads": tracks,
        "buildings": farms.assign(landuse="farmyard"),
        "trees": pd.concat([*grown, rows, single, hedges]),
    }
    return _numbered(unit, (100_000 + j * 1000 + i) * 10**7)


def _farms(
    world: World, bounds: Bounds, ways: gpd.GeoDataFrame, blocked: shapely.Geometry
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Tracks and buildings of the farms of a unit: about one for every kilometre of road, off a vertex of it."""
    points, owner = shapely.get_coordinates(ways.geometry.to_numpy(), return_index=True)
    west, south, east, north = bounds
    inner = (points[:, 0] > west) & (points[:, 0] < east) & (points[:, 1] > south) & (points[:, 1] < north)
    ahead = np.r_[points[1:], points[-1:]] - points
    middle = np.r_[False, (owner[1:-1] == owner[:-2]) & (owner[1:-1] == owner[2:]), False] if len(owner) > 2 else inner
    cells = np.round(points * 100).astype(np.int64)
    luck = noise.uniform(cells[:, 0], cells[:, 1], world.seed + 91)
    chosen = np.flatnonzero(inner & middle & (luck < 0.07))
    direction = np.arctan2(ahead[chosen, 1], ahead[chosen, 0])
    side = np.where(noise.uniform(cells[chosen, 0], cells[chosen, 1], world.seed + 92) < 0.5, 1, -1)
    normal = np.stack([-np.sin(direction), np.cos(direction)], -1) * side[:, None]
    yards = points[chosen] + normal * 75
    free = shapely.box(*bounds).difference(blocked)
    shapely.prepare(free)
    clear = shapely.contains(free, shapely.buffer(shapely.points(yards), 52)) if len(yards) else np.array([], bool)
    yards, chosen, direction, normal = yards[clear], chosen[clear], direction[clear], normal[clear]
    ends = yards - normal * 18
    lines = roads.rounded(shapely.linestrings(np.stack([points[chosen], ends], 1)))
    tracks = gpd.GeoDataFrame({"highway": np.full(len(yards), "track", object)}, geometry=lines)
    # the yard looks away from the road
    facing = direction + np.where(normal[:, 0] * -np.sin(direction) + normal[:, 1] * np.cos(direction) > 0, 0, np.pi)
    made = buildings.farms(yards, facing, world.seed, bounds, world.config.year)
    # a farm that stands in another farm's yard is left out whole
    if len(yards) > 1:
        apart = np.ones(len(yards), bool)
        for k in range(1, len(yards)):
            apart[k] = (np.hypot(*(yards[:k][apart[:k]] - yards[k]).T) > 130).all()
        tracks = tracks[apart]
        made = made[np.tile(apart, 3)]
    return roads.described(tracks.reset_index(drop=True), world.wet), made.reset_index(drop=True)


def _containing(things: gpd.GeoDataFrame, areas: gpd.GeoDataFrame) -> np.ndarray:
    """`landuse` of the area that each thing's middle lies in."""
    found = np.full(len(things), "residential", object)
    if len(things):
        thing, area = shapely.STRtree(areas.geometry.to_numpy()).query(
            shapely.point_on_surface(things.geometry.to_numpy()), "within"
        )
        found[thing] = areas["landuse"].to_numpy()[area]
    return found


def _numbered(unit: dict[str, gpd.GeoDataFrame], first: int) -> dict[str, gpd.GeoDataFrame]:
    return {name: frame.set_index(first + np.arange(len(frame))) for name, frame in unit.items()}
