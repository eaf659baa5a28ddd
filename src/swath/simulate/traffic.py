"""What moves: vehicles on lanes and at kerbs, ships at sea with their wakes. A pure function of the time."""

from __future__ import annotations

from datetime import datetime

import geopandas as gpd
import numpy as np
import shapely

from swath.simulate import noise
from swath.simulate.shapes import rectangles, turned
from swath.simulate.world import Bounds, World

#: Length, width, height in m and share of traffic by kind of vehicle.
VEHICLES = {
    "car": (4.5, 1.8, 1.5, 0.74),
    "van": (5.8, 2.1, 2.3, 0.13),
    "truck": (10.5, 2.5, 3.5, 0.09),
    "bus": (12.0, 2.55, 3.1, 0.04),
}
#: Length range in m, width as a share of length, height in m and share by kind of ship.
SHIPS = {
    "cargo": ((90, 220), 0.145, 16.0, 0.4),
    "tanker": ((120, 240), 0.16, 14.0, 0.2),
    "fishing": ((15, 35), 0.28, 5.0, 0.25),
    "yacht": ((9, 18), 0.3, 3.0, 0.15),
}
_COLOURS = ("white_paint", "black_paint", "silver_paint", "red_paint", "blue_paint")
#: Vehicles per kilometre of road at noon.
_DENSITY = {"primary": 22.0, "secondary": 9.0, "residential": 14.0, "track": 0.3}


def vehicles(world: World, bounds: Bounds, time: datetime) -> gpd.GeoDataFrame:
    """Vehicles that touch `bounds`, as oriented rectangles.

    Columns: `kind`, `heading` (degrees clockwise from north), `parked`, `colour`, `height` m. Their index is unique in
    the world at that time.
    """
    ways = world.layer("roads", bounds)
    lines = ways.geometry.to_numpy()
    hour = time.hour + time.minute / 60
    busy = 0.12 + 0.88 * np.exp(-(((hour - 13) / 5.5) ** 2))
    slots = np.maximum((shapely.length(lines) / 9.0).astype(int), 0)
    way = np.repeat(np.arange(len(lines)), slots)
    rank = np.arange(len(way)) - np.repeat(np.cumsum(slots) - slots, slots)
    highway = ways["highway"].to_numpy()[way] if len(ways) else np.array([], object)
    index = ways.index.to_numpy()[way]
    clock = int(time.timestamp())
    draw = [noise.uniform(index, rank, world.seed + 300 + k + (clock if k < 6 else 0)) for k in range(8)]
    chance = np.array([_DENSITY[h] for h in highway]) * 0.009
    parked = highway == "residential"
    kept = draw[0] < chance * np.where(parked, 1.0, busy)
    way, rank, highway, index, parked = way[kept], rank[kept], highway[kept], index[kept], parked[kept]
    draw = [d[kept] for d in draw]
    names = np.array(list(VEHICLES), object)
    share = np.cumsum([v[3] for v in VEHICLES.values()])
    kind = names[np.searchsorted(share, draw[1]).clip(0, len(names) - 1)]
    kind[parked & (kind != "van")] = "car"
    size = np.array([VEHICLES[k][:3] for k in kind]).reshape(-1, 3)
    along = (rank + 0.2 + 0.6 * draw[2]) * 9.0
    back = draw[3] < 0.5
    here, ahead = (shapely.get_coordinates(shapely.line_interpolate_point(lines[way], along + d)) for d in (0, 1.0))
    angle = np.arctan2(ahead[:, 1] - here[:, 1], ahead[:, 0] - here[:, 0])
    half = ways["width"].to_numpy()[way] / 2 if len(ways) else np.array([])
    lanes = ways["lanes"].to_numpy()[way] // 2 if len(ways) else np.array([])
    lane = np.floor(draw[4] * np.maximum(lanes, 1))
    # traffic keeps to the right; parked cars stand at the kerb
    aside = np.where(parked, half - 1.0, (lane + 0.5) * half / np.maximum(lanes, 1))
    side = np.where(back, 1.0, -1.0)
    centre = here + np.stack([-np.sin(angle), np.cos(angle)], -1) * (side * aside)[:, None]
    heading = angle + np.where(back, np.pi, 0.0)
    colour = np.array(_COLOURS, object)[np.searchsorted([0.3, 0.52, 0.8, 0.9], draw[5])]
    frame = gpd.GeoDataFrame(
        {
            "kind": kind,
            "heading": np.round(np.degrees(np.pi / 2 - heading) % 360, 1),
            "parked": parked,
            "colour": colour,
            "height": size[:, 2],
        },
        geometry=rectangles(centre, size[:, 0], size[:, 1], heading),
        index=index * 1000 + rank,
        crs=world.config.crs,
    )
    return frame[frame.intersects(shapely.box(*bounds))]


def ships(world: World, time: datetime, bounds: Bounds | None = None) -> gpd.GeoDataFrame:
    """Ships at sea, as outlines of their hulls; each sails up and down a straight line in open water.

    Columns: `kind`, `heading` (degrees clockwise from north), `speed` m/s, `colour`, `height` m, `length` m.
    """
    sea = shapely.union_all(world.water.sea).buffer(-40)
    rng = noise.rng(world.seed, "ships")
    count = int(np.clip(sea.area / 1.5e5, 0, 600))
    west, south, east, north = sea.bounds if count else (0, 0, 0, 0)
    rows = []
    for number in range(count):
        kind = str(rng.choice(list(SHIPS), p=[s[3] for s in SHIPS.values()]))
        (low, high), ratio, height, _ = SHIPS[kind]
        length = rng.uniform(low, high)
        start = rng.uniform((west, south), (east, north))
        angle = rng.uniform(0, 2 * np.pi)
        line = shapely.LineString([start, start + 6000 * np.array([np.cos(angle), np.sin(angle)])])
        colour = str(rng.choice(_COLOURS))
        speed = float(rng.uniform(2, 9)) * float(rng.random() < 0.75)
        phase = float(rng.random())
        inside = sea.intersection(line)
        first = shapely.get_parts(inside)[:1]
        if not len(first) or not sea.contains(shapely.Point(start)) or first[0].length < 1.5 * length:
            continue
        rows.append((number, kind, length, ratio * length, height, first[0], speed, phase, colour))
    if not rows:
        return gpd.GeoDataFrame({"kind": [], "heading": [], "speed": [], "colour": [], "height": []}, geometry=[])
    number_, kinds, length_, width_, height_, line_, speed_, phase_, colour_ = (
        np.array(c, object) for c in zip(*rows, strict=True)
    )
    span = shapely.length(line_) - length_.astype(float)
    # up and down: a triangle wave of time
    travelled = (phase_.astype(float) * 2 * span + speed_.astype(float) * time.timestamp()) % (2 * span)
    there = travelled < span
    along = np.where(there, travelled, 2 * span - travelled) + length_.astype(float) / 2
    here, ahead = (shapely.get_coordinates(shapely.line_interpolate_point(line_, along + d)) for d in (0, 1))
    angle = np.arctan2(ahead[:, 1] - here[:, 1], ahead[:, 0] - here[:, 0]) + np.where(there, 0, np.pi)
    outline = np.array([[0.5, 0], [0.32, 0.5], [-0.5, 0.42], [-0.5, -0.42], [0.32, -0.5]])
    local = outline[None] * np.stack([length_, width_], -1)[:, None].astype(float)
    frame = gpd.GeoDataFrame(
        {
            "kind": kinds,
            "heading": np.round(np.degrees(np.pi / 2 - angle) % 360, 1),
            "speed": speed_.astype(float),
            "colour": colour_,
            "height": height_.astype(float),
            "length": np.round(length_.astype(float), 1),
        },
        geometry=shapely.polygons(turned(local, angle[:, None]) + here[:, None]),
        index=number_.astype(int),
        crs=world.config.crs,
    )
    return frame if bounds is None else frame[frame.intersects(shapely.box(*bounds).buffer(400))]


def wakes(fleet: gpd.GeoDataFrame) -> np.ndarray:
    """The foam that sailing ships trail: two arms at the Kelvin angle of 19.5 degrees; empty for ships at anchor."""
    centre = shapely.get_coordinates(shapely.centroid(fleet.geometry.to_numpy()))
    angle = np.pi / 2 - np.radians(fleet["heading"].to_numpy())
    length = fleet["length"].to_numpy()
    reach = length * np.minimum(fleet["speed"].to_numpy() / 3, 2.5)
    arms = []
    for side in (-1, 1):
        spread = np.tan(np.radians(19.5)) * reach
        points = np.stack(
            [
                np.stack([-0.45 * length, 0 * length], -1),
                np.stack([-0.45 * length - reach, side * spread], -1),
                np.stack([-0.45 * length - reach, side * spread * 0.75], -1),
            ],
            1,
        )
        arms.append(shapely.polygons(turned(points, angle[:, None]) + centre[:, None]))
    stern = np.stack(
        [
            np.stack([-0.4 * length, 0.05 * length], -1),
            np.stack([-0.4 * length - 0.8 * reach, 0.07 * length], -1),
            np.stack([-0.4 * length - 0.8 * reach, -0.07 * length], -1),
            np.stack([-0.4 * length, -0.05 * length], -1),
        ],
        1,
    )
    arms.append(shapely.polygons(turned(stern, angle[:, None]) + centre[:, None]))
    made = shapely.union_all(np.stack(arms), axis=0)
    made[reach <= 0] = shapely.Polygon()
    return made
