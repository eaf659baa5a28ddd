"""Truth for every family of tasks, read from the vector layers and the painted surface of the same world.

Convention: boxes and points in pictures are in pixels of their grid, `(x, y)` = `(col, row)`, counted from the top-left
corner of the top-left pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from odc.geo.geobox import GeoBox

from swath.simulate import roads
from swath.simulate.moment import Moment, standing_trees
from swath.simulate.optical import finer, majority, shares
from swath.simulate.painting import CROWN_LIMIT, paint
from swath.simulate.surface import SOURCES, Surface, ground
from swath.simulate.world import Bounds, World


@dataclass(frozen=True)
class Boxes:
    """Objects in a picture.

    Attributes:
        index: Row of each in its vector layer `[N]`.
        kind: What each is `[N]`.
        boxes: Horizontal boxes, left, top, right, bottom `[N, 4]`, cut at the border of the picture.
        corners: Oriented boxes `[N, 4, 2]`, not cut.
        visible: Share of each object's area within the picture `[N]`.
    """

    index: np.ndarray
    kind: np.ndarray
    boxes: np.ndarray
    corners: np.ndarray
    visible: np.ndarray


def bounds_of(grid: GeoBox) -> Bounds:
    """West, south, east, north of a north-up grid."""
    west, north = grid.affine @ (0, 0)
    east, south = grid.affine @ (grid.shape[1], grid.shape[0])
    return float(west), float(south), float(east), float(north)


def landcover_shares(world: World, grid: GeoBox, moment: Moment, fine: int = 5) -> np.ndarray:
    """Share of each class of `landcover.CLASSES` in each pixel `[classes, H, W]` float32."""
    return shares(paint(world, finer(grid, fine), moment).landcover, fine)


def landcover_mask(world: World, grid: GeoBox, moment: Moment, fine: int = 5) -> np.ndarray:
    """Code of the class that covers most of each pixel `[H, W]` uint8; `fine=1` takes the pixel's centre."""
    return majority(paint(world, finer(grid, fine), moment).landcover, fine)


def boxes(things: gpd.GeoDataFrame, grid: GeoBox, kind: str, least: float = 0.3) -> Boxes:
    """Boxes around polygons.

    Args:
        things: Polygons in the CRS of the grid.
        grid: The picture.
        kind: Column that names what each is.
        least: Smallest share of an object that must lie in the picture.
    """
    shapes = things.geometry.to_numpy()
    frame = shapely.box(*bounds_of(grid))
    visible = shapely.area(shapely.intersection(shapes, frame)) / np.maximum(shapely.area(shapes), 1e-9)
    kept = visible >= least
    shapes, visible = shapes[kept], visible[kept]
    inside = shapely.intersection(shapes, frame)
    limits = shapely.bounds(inside).reshape(-1, 4)
    to_pixel = ~grid.affine
    left, top = to_pixel @ (limits[:, 0], limits[:, 3])
    right, bottom = to_pixel @ (limits[:, 2], limits[:, 1])
    points = shapely.get_coordinates(shapely.oriented_envelope(shapes)).reshape(-1, 5, 2)[:, :4]
    corners = np.stack(to_pixel @ (points[..., 0], points[..., 1]), -1)
    return Boxes(
        things.index.to_numpy()[kept],
        things[kind].to_numpy()[kept],
        np.stack([left, top, right, bottom], -1),
        corners,
        visible,
    )


def instances(surface: Surface, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers 1..N of the objects of a layer `[H, W]` int32 (0 for none), and their index in the layer `[N]`."""
    seen = surface.objects(layer)
    index, inverse = np.unique(seen, return_inverse=True)
    first = int(len(index) > 0 and index[0] == -1)
    return (inverse.reshape(seen.shape) + (1 - first)).astype(np.int32), index[first:]


def biomass(world: World, grid: GeoBox, moment: Moment | None = None) -> np.ndarray:
    """Biomass above ground in standing trees, t/ha `[H, W]` float32: every tree counts where its stem stands."""
    trees, pixel = _rooted(world, grid, moment)
    kilograms = np.bincount(pixel, trees["biomass"].to_numpy(), grid.shape[0] * grid.shape[1])
    return (kilograms / 1000 / (grid.affine.a**2 / 1e4)).reshape(grid.shape).astype(np.float32)


def stems(world: World, grid: GeoBox, moment: Moment | None = None) -> np.ndarray:
    """Number of stems of standing trees in each pixel `[H, W]` float32."""
    _, pixel = _rooted(world, grid, moment)
    return np.bincount(pixel, minlength=grid.shape[0] * grid.shape[1]).reshape(grid.shape).astype(np.float32)


def canopy_height(world: World, grid: GeoBox, moment: Moment) -> np.ndarray:
    """Height of crowns above the ground, m `[H, W]` float32; 0 where none is.

    Pixels that show crowns have the height at their centre, larger ones that of the tallest tree that stands in them.
    """
    if grid.affine.a > CROWN_LIMIT:
        trees, pixel = _rooted(world, grid, moment)
        tallest = np.zeros(grid.shape, np.float32)
        np.maximum.at(tallest.reshape(-1), pixel, trees["height"].to_numpy(np.float32))
        return tallest
    surface = paint(world, grid, moment)
    crown = surface.table.layer[surface.row] == SOURCES.index("trees")
    return np.where(crown, surface.above, 0).astype(np.float32)


def elevation(world: World, grid: GeoBox, moment: Moment) -> tuple[np.ndarray, np.ndarray]:
    """Elevation of the ground (DEM) and of the surface (DSM) on a grid, m, at pixel centres."""
    surface = paint(world, grid, moment)
    return ground(world, grid), surface.dsm


@dataclass(frozen=True)
class Events:
    """What happened between two moments.

    Attributes:
        built: Buildings that stand only after.
        damage: Buildings whose damage has grown, with the column `damage` 0..3.
        flooded: Newly flooded area, m2.
        burned: Newly burned area, m2.
        felled: Newly felled area, m2.
        captions: Sentences that say so.
    """

    built: gpd.GeoDataFrame
    damage: gpd.GeoDataFrame
    flooded: float
    burned: float
    felled: float
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Change(Events):
    """What happened, and what of it shows.

    Attributes:
        before: Land-cover codes `[H, W]`.
        after: The same later.
        changed: Where they differ, bool.
    """

    before: np.ndarray
    after: np.ndarray
    changed: np.ndarray


def change(world: World, grid: GeoBox, first: Moment, second: Moment) -> Change:
    """The change of land cover, buildings and events in a picture between two moments."""
    before, after = (paint(world, grid, moment).landcover for moment in (first, second))
    happened = events_between(world, grid, first, second)
    return Change(**vars(happened), before=before, after=after, changed=before != after)


def events_between(world: World, grid: GeoBox, first: Moment, second: Moment) -> Events:
    """What happened in a picture between two moments."""
    bounds = bounds_of(grid)
    frame = shapely.box(*bounds)
    houses = world.layer("buildings", bounds)
    start = houses["start_date"].to_numpy()
    built = houses[(start > first.time.strftime("%Y-%m-%d")) & (start <= second.time.strftime("%Y-%m-%d"))]
    grown = np.array([second.damage.get(int(i), 0) > first.damage.get(int(i), 0) for i in houses.index], bool)
    hurt = houses[grown].assign(damage=[second.damage[int(i)] for i in houses.index[grown]])

    def new(name: str) -> float:
        after, before = (shapely.union_all(getattr(m, name)) for m in (second, first))
        return float(after.difference(before).intersection(frame).area)

    areas = {name: new(name) for name in ("flooded", "burned", "cleared")}
    captions = []
    if len(built):
        captions.append(f"{_number(len(built), 'building')} {'has' if len(built) == 1 else 'have'} been built.")
    for state, word in ((3, "destroyed"), (2, "heavily damaged"), (1, "slightly damaged")):
        count = int((hurt["damage"] == state).sum())
        if count:
            captions.append(f"{_number(count, 'building')} {'has' if count == 1 else 'have'} been {word}.")
    for name, text in (("flooded", "under water"), ("burned", "burned"), ("cleared", "cleared of trees")):
        if areas[name] > 500:
            captions.append(f"About {areas[name] / 1e4:.1f} hectares are now {text}.")
    if not captions:
        captions.append("The scene is the same as before.")
    return Events(built, hurt, areas["flooded"], areas["burned"], areas["cleared"], tuple(captions))


def misaligned(
    things: gpd.GeoDataFrame,
    rng: np.random.Generator,
    shift: float = 4.0,
    own: float = 0.7,
    turn: float = 1.5,
    lost: float = 0.08,
) -> gpd.GeoDataFrame:
    """A copy of polygons as a stale, badly placed map has it, with the truth of what was done to each.

    Args:
        things: Polygons.
        rng: Chance.
        shift: Standard deviation of the common shift, m.
        own: Standard deviation of each polygon's own shift, m.
        turn: Standard deviation of each polygon's turn, degrees.
        lost: Share of polygons that the map lacks.

    Returns:
        The kept polygons, moved, with the columns `dx`, `dy` (m) and `turn` (degrees) that were applied.
    """
    kept = things[rng.random(len(things)) >= lost]
    common = rng.normal(0, shift, 2)
    moves = common + rng.normal(0, own, (len(kept), 2))
    turns = rng.normal(0, turn, len(kept))
    shapes = []
    for shape, (dx, dy), angle in zip(kept.geometry, moves, turns, strict=True):
        moved = shapely.affinity.translate(shapely.affinity.rotate(shape, angle, "centroid"), dx, dy)
        shapes.append(moved)
    return kept.assign(dx=moves[:, 0], dy=moves[:, 1], turn=turns).set_geometry(shapes, crs=things.crs)


@dataclass(frozen=True)
class LaneGraph:
    """Lanes and how they follow each other.

    Attributes:
        lanes: Centre lines in driving direction with `way`, `highway`, `forward`, `number` (0 at the kerb), `width`,
            `maxspeed`.
        follows: Pairs of rows of `lanes`: traffic of the first may go on in the second `[M, 2]`.
    """

    lanes: gpd.GeoDataFrame
    follows: np.ndarray


def lane_graph(world: World, bounds: Bounds | None = None) -> LaneGraph:
    """The lanes of the roads in `bounds`; traffic keeps to the right, and turns round only at dead ends."""
    ways = world.layer("roads", bounds).reset_index(names="id")
    graph = roads.road_graph(ways.geometry.to_numpy())
    facts = ways.iloc[graph.way]
    half = facts["width"].to_numpy() / 2
    per_side = np.maximum(facts["lanes"].to_numpy() // 2, 1)
    rows = []
    for forward in (True, False):
        lines = graph.lines if forward else shapely.reverse(graph.lines)
        for number in range(int(per_side.max(initial=1))):
            has = per_side > number
            wide = half / per_side
            # number 0 is at the kerb, the largest number beside the other direction
            aside = half - (number + 0.5) * wide
            single = facts["lanes"].to_numpy() == 1
            aside = np.where(single, 0.0, aside)
            lanes = shapely.offset_curve(lines[has], -aside[has])
            start, end = graph.edges[has, 0 if forward else 1], graph.edges[has, 1 if forward else 0]
            rows.append(
                pd.DataFrame(
                    {
                        "line": lanes,
                        "way": facts["id"].to_numpy()[has],
                        "highway": facts["highway"].to_numpy()[has],
                        "forward": forward,
                        "number": number,
                        "width": np.where(single, 2 * half, wide)[has],
                        "maxspeed": facts["maxspeed"].to_numpy()[has],
                        "edge": np.flatnonzero(has),
                        "start": start,
                        "end": end,
                    }
                )
            )
    table = pd.concat(rows, ignore_index=True)
    table["row"] = np.arange(len(table))
    pairs = table[["row", "edge", "end"]].merge(
        table[["row", "edge", "start"]], left_on="end", right_on="start", suffixes=("", "_next")
    )
    degree = np.bincount(graph.edges.ravel(), minlength=len(graph.nodes))
    back = pairs["edge"] == pairs["edge_next"]
    pairs = pairs[~back | (degree[pairs["end"]] == 1)]
    lanes = gpd.GeoDataFrame(
        table[["way", "highway", "forward", "number", "width", "maxspeed"]],
        geometry=table["line"].to_numpy(),
        crs=ways.crs,
    )
    return LaneGraph(lanes, pairs[["row", "row_next"]].to_numpy())


def _rooted(world: World, grid: GeoBox, moment: Moment | None) -> tuple[gpd.GeoDataFrame, np.ndarray]:
    """Standing trees whose stems lie in a picture, and the pixel of each, counted row by row."""
    trees = standing_trees(world, moment, bounds_of(grid))
    points = shapely.get_coordinates(trees.geometry.to_numpy())
    col, row = ~grid.affine @ (points[:, 0], points[:, 1])
    inside = (col >= 0) & (col < grid.shape[1]) & (row >= 0) & (row < grid.shape[0])
    return trees[inside], row[inside].astype(int) * grid.shape[1] + col[inside].astype(int)


def _number(count: int, thing: str) -> str:
    return f"One {thing}" if count == 1 else f"{count} {thing}s"
