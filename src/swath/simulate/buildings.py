"""Buildings: lots in rows along the streets, with use, height, roof and wall by the part of town they stand in.

Columns follow OpenStreetMap: `building`, `building:levels`, `height`, `roof:shape`, `roof:material`,
`building:material`, `start_date`.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from swath.simulate import noise
from swath.simulate.settlements import Settlement
from swath.simulate.shapes import long_sides, polygons_of, rectangles

#: By land use: lot width, depth, setback from the road's axis (low, high, m), levels, share of lots built on.
LOTS = {
    "commercial": ((14, 26), (12, 20), (9, 12), (3, 7), 0.92),
    "residential": ((13, 24), (9, 13), (10, 17), (1, 3), 0.85),
    "industrial": ((38, 80), (28, 55), (14, 22), (1, 2), 0.75),
}

#: Chances of roof materials by `building` value.
ROOFS = {
    "apartments": {"roof_tiles": 0.35, "concrete": 0.3, "tar_paper": 0.25, "gravel": 0.1},
    "retail": {"concrete": 0.4, "tar_paper": 0.4, "metal": 0.2},
    "house": {"roof_tiles": 0.6, "slate": 0.22, "metal": 0.08, "tar_paper": 0.05, "thatch": 0.05},
    "industrial": {"metal": 0.5, "tar_paper": 0.2, "concrete": 0.15, "blue_metal": 0.15},
    "farm_auxiliary": {"metal": 0.4, "roof_tiles": 0.4, "asbestos": 0.2},
    "farm": {"roof_tiles": 0.75, "slate": 0.25},
}
ROOF_MATERIALS = tuple(sorted({material for chances in ROOFS.values() for material in chances}))


def blocks(settlement: Settlement, streets: gpd.GeoDataFrame, seed: int) -> gpd.GeoDataFrame:
    """Town blocks between the streets with their OpenStreetMap `landuse` or `leisure` in the column `landuse`.

    The middle is commercial, a wedge of the rim industrial, a few blocks are parks; what no streets enclose is
    residential. Blocks tile the hull.
    """
    rng = noise.rng(seed, "blocks", settlement.index)
    rim = settlement.hull.exterior
    lines = np.append(streets.geometry.to_numpy(), [rim, *settlement.hull.interiors])
    faces = polygons_of([shapely.polygonize(shapely.get_parts(shapely.union_all(lines, grid_size=0.01)))])
    middle = shapely.point_on_surface(faces)
    faces = faces[shapely.within(middle, settlement.hull)]
    at = shapely.get_coordinates(shapely.centroid(faces)) - settlement.centre
    far = np.hypot(at[:, 0], at[:, 1]) / settlement.radius
    wedge = np.cos(np.arctan2(at[:, 1], at[:, 0]) - rng.uniform(0, 2 * np.pi))
    use = np.full(len(faces), "residential", object)
    use[(rng.random(len(faces)) < 0.06) & (shapely.area(faces) < 4e4)] = "park"
    if settlement.radius > 350:
        use[(far > 0.5) & (wedge > 0.8)] = "industrial"
    use[far < (0.32 if settlement.radius > 350 else 0.12)] = "commercial"
    return gpd.GeoDataFrame({"landuse": use, "settlement": settlement.index}, geometry=faces)


def town_buildings(
    settlement: Settlement, streets: gpd.GeoDataFrame, town: gpd.GeoDataFrame, avoid: np.ndarray, seed: int, year: int
) -> gpd.GeoDataFrame:
    """Buildings of a settlement.

    Args:
        settlement: Where.
        streets: Its ways with `width`.
        town: Its blocks.
        avoid: Polygons that nobody builds in (water).
        seed: Which buildings.
        year: The world's year, from which on a few houses are still to be built.
    """
    rng = noise.rng(seed, "buildings", settlement.index)
    tree = shapely.STRtree(town.geometry.to_numpy())
    use_of = town["landuse"].to_numpy()
    lines = streets.geometry.to_numpy()
    length, carriage = shapely.length(lines), streets["width"].to_numpy() / 2
    drawn, uses = [], []
    for use, (wide, deep, back, _, share) in LOTS.items():
        for side, behind in ((1.0, 0.0), (-1.0, 0.0), (1.0, 26.0), (-1.0, 26.0)):
            if behind and use != "commercial":
                continue
            step = np.mean(wide) + (1 if use == "commercial" else 5)
            number = np.maximum(((length - 12) / step).astype(int), 0)
            street = np.repeat(np.arange(len(length)), number)
            rank = np.arange(len(street)) - np.repeat(np.cumsum(number) - number, number)
            along = (rank + 0.5) * (length / np.maximum(number, 1))[street]
            before, at, after = (
                shapely.get_coordinates(shapely.line_interpolate_point(lines[street], along + d)) for d in (-3, 0, 3)
            )
            unit = (after - before) / np.maximum(np.hypot(*(after - before).T), 1e-9)[:, None]
            normal = np.stack([-unit[:, 1], unit[:, 0]], -1) * side
            n = len(street)
            width = np.minimum(rng.uniform(*wide, n), step - 0.5)
            depth = rng.uniform(*deep, n)
            away = rng.uniform(*back, n) + carriage[street] - 3 + depth / 2 + behind
            centre = at + normal * away[:, None]
            lots = rectangles(centre, width, depth, np.arctan2(unit[:, 1], unit[:, 0]))
            inside, block = tree.query(shapely.points(centre), "within")
            kept = np.zeros(n, bool)
            kept[inside[use_of[block] == use]] = True
            kept &= rng.random(n) < share
            drawn.append(lots[kept])
            uses.append(np.full(kept.sum(), use, object))
    shapes, lot_use = np.concatenate(drawn), np.concatenate(uses)
    wings = (lot_use != "commercial") & (rng.random(len(shapes)) < 0.3)
    shapes[wings] = _with_wing(shapes[wings], rng)
    keep = _apart(shapes, rng.permutation(len(shapes)), 1.0)
    keep &= shapely.within(shapes, settlement.hull)
    roads = shapely.buffer(streets.geometry.to_numpy(), streets["width"].to_numpy() / 2 + 2, quad_segs=2)
    for others in (roads, avoid):
        if len(others):
            keep[shapely.STRtree(shapes).query(others, "intersects")[1]] = False
    return _described(shapes[keep], lot_use[keep], settlement, rng, year)


def farms(yards: np.ndarray, angles: np.ndarray, seed: int, unit: object, year: int) -> gpd.GeoDataFrame:
    """Farmhouses with barns around the points `yards` `[N, 2]`, turned by `angles` radians `[N]`."""
    rng = noise.rng(seed, "farms", unit)
    n = len(yards)
    shapes, kinds = [], []
    for kind, shift, size in (
        ("farm", (0, 0), (16, 11)),
        ("farm_auxiliary", (30, 12), (34, 15)),
        ("farm_auxiliary", (8, 34), (26, 13)),
    ):
        offset = np.array(shift) + rng.uniform(-3, 3, (n, 2))
        cos, sin = np.cos(angles), np.sin(angles)
        centre = yards + np.stack(
            [offset[:, 0] * cos - offset[:, 1] * sin, offset[:, 0] * sin + offset[:, 1] * cos], -1
        )
        scale = rng.uniform(0.85, 1.25, (n, 2))
        shapes.append(rectangles(centre, size[0] * scale[:, 0], size[1] * scale[:, 1], angles))
        kinds.append(np.full(n, kind, object))
    return _frame(np.concatenate(shapes), np.concatenate(kinds), rng, np.full(3 * n, -1), year)


def roof_heights(houses: gpd.GeoDataFrame, which: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Height above ground of points on roofs; gables rise 3 m from eave to ridge along the long side."""
    shapes = houses.geometry.to_numpy()
    corners = shapely.get_coordinates(shapely.oriented_envelope(shapes)).reshape(-1, 5, 2)
    sides = np.stack([np.hypot(*(corners[:, 1] - corners[:, 0]).T), np.hypot(*(corners[:, 2] - corners[:, 1]).T)])
    middle = corners[:, :4].mean(1)
    angle = long_sides(shapes)
    half = sides.min(0) / 2
    across = -(x - middle[which, 0]) * np.sin(angle[which]) + (y - middle[which, 1]) * np.cos(angle[which])
    gabled = (houses["roof:shape"] == "gabled").to_numpy()[which]
    drop = np.where(gabled, 3.0 * np.minimum(np.abs(across) / half[which], 1), 0.0)
    return (houses["height"].to_numpy()[which] - drop).astype(np.float32)


def _described(
    shapes: np.ndarray, use: np.ndarray, settlement: Settlement, rng: np.random.Generator, year: int
) -> gpd.GeoDataFrame:
    kind = np.where(use == "industrial", "industrial", np.where(use == "residential", "house", "apartments")).astype(
        object
    )
    kind[(use == "commercial") & (rng.random(len(use)) < 0.3)] = "retail"
    kind[(use == "residential") & (rng.random(len(use)) < 0.06)] = "apartments"
    return _frame(shapes, kind, rng, np.full(len(shapes), settlement.index), year, settlement)


def _frame(
    shapes: np.ndarray,
    kind: np.ndarray,
    rng: np.random.Generator,
    place: np.ndarray,
    year: int,
    settlement: Settlement | None = None,
) -> gpd.GeoDataFrame:
    n = len(shapes)
    levels = np.select(
        [kind == "apartments", kind == "retail", kind == "house"],
        [rng.integers(3, 8, n), rng.integers(1, 4, n), rng.integers(1, 4, n)],
        1,
    )
    if settlement is not None and settlement.radius > 900:
        at = shapely.get_coordinates(shapely.centroid(shapes)) - settlement.centre
        tall = (
            (kind == "apartments") & (np.hypot(at[:, 0], at[:, 1]) < 0.2 * settlement.radius) & (rng.random(n) < 0.12)
        )
        levels = np.where(tall, rng.integers(9, 19, n), levels)
    storey = np.where(np.isin(kind, ("industrial", "farm_auxiliary")), rng.uniform(5.5, 9, n), 3.0)
    roof = np.full(n, "", object)
    for name, chances in ROOFS.items():
        mine = kind == name
        roof[mine] = rng.choice(list(chances), mine.sum(), p=list(chances.values()))
    pitched = np.isin(roof, ("roof_tiles", "slate", "thatch", "asbestos"))
    wall = np.where(levels > 7, "concrete", rng.choice(["brick", "timber", "concrete"], n, p=[0.55, 0.25, 0.2]))
    return gpd.GeoDataFrame(
        pd.DataFrame(
            {
                "building": kind,
                "building:levels": levels,
                "height": np.round(levels * storey + np.where(pitched, 3.0, 0.4), 1),
                "roof:shape": np.where(pitched, "gabled", "flat"),
                "roof:material": roof,
                "building:material": wall,
                "start_date": _dates(rng, n, year),
                "settlement": place,
            }
        ),
        geometry=shapes,
    )


def _dates(rng: np.random.Generator, count: int, year: int) -> np.ndarray:
    """When each was finished: most long ago, about one in twenty within three years from `year` on."""
    first = np.datetime64(f"{year}-01-01")
    old = first - (80 * 365 * rng.random(count) ** 2).astype("timedelta64[D]")
    new = first + (3 * 365 * rng.random(count)).astype("timedelta64[D]")
    return np.where(rng.random(count) < 0.05, new, old).astype("datetime64[D]").astype(str).astype(object)


def _with_wing(shapes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rectangles made L-shaped: one quarter, counted from a corner, is cut away."""
    a, b, c, d = shapely.get_coordinates(shapes).reshape(-1, 5, 2)[:, :4].swapaxes(0, 1)
    along, across = rng.uniform(0.35, 0.6, (2, len(shapes), 1))
    p, q = a + along * (b - a), a + across * (d - a)
    # cutting with shapely would leave slivers where rounding puts the notch beside the wall
    return shapely.polygons(np.stack([p, b, c, d, q, p + q - a, p], 1))


def _apart(shapes: np.ndarray, rank: np.ndarray, gap: float) -> np.ndarray:
    """Which shapes stay so that none comes nearer than `gap` to one of lower rank that stays."""
    a, b = shapely.STRtree(shapes).query(shapes, "dwithin", distance=gap)
    pair = rank[a] > rank[b]
    a, b = a[pair], b[pair]
    keep = np.ones(len(shapes), bool)
    # rounds of greedy choice: a shape falls if a surely kept one of lower rank touches it
    undecided = np.ones(len(shapes), bool)
    while undecided.any():
        blocked = np.zeros(len(shapes), bool)
        blocked[a[undecided[b] & keep[b]]] = True
        sure = undecided & ~blocked
        keep[a[sure[b]]] = False
        undecided &= ~sure & keep
    return keep
