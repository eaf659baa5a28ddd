"""What moves: vehicles on lanes and at kerbs, ships at sea with their wakes. A pure function of the time."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache

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


@dataclass(frozen=True)
class _Track:
    """The line that a ship sails up and down."""

    number: int
    kind: str
    length: float
    width: float
    height: float
    line: shapely.LineString
    speed: float
    phase: float
    colour: str


@lru_cache(maxsize=8)
def _tracks(world: World) -> tuple[_Track, ...]:
    """Tracks of the ships of a world, in open water and clear of each other."""
    sea = shapely.union_all(world.water.sea).buffer(-40)
    shapely.prepare(sea)
    rng = noise.rng(world.seed, "ships")
    count = int(np.clip(sea.area / 1.5e5, 0, 600))
    west, south, east, north = sea.bounds if count else (0, 0, 0, 0)
    kept: list[_Track] = []
    lines: list[shapely.LineString] = []
    for number in range(count):
        kind = str(rng.choice(list(SHIPS), p=[s[3] for s in SHIPS.values()]))
        (low, high), ratio, height, _ = SHIPS[kind]
        length = float(rng.uniform(low, high))
        start = rng.uniform((west, south), (east, north))
        angle = rng.uniform(0, 2 * np.pi)
        far = start + np.clip(12 * length, 300, 2500) * np.array([np.cos(angle), np.sin(angle)])
        colour = str(rng.choice(_COLOURS))
        speed = float(rng.uniform(2, 9)) * float(rng.random() < 0.75)
        phase = float(rng.random())
        if not sea.contains(shapely.Point(start)):
            continue
        line = shapely.get_parts(sea.intersection(shapely.LineString([start, far])))[0]
        room = 20 + 2 * ratio * length
        if line.length > 1.5 * length and (not lines or shapely.distance(line, lines).min() > room):
            lines.append(line)
            kept.append(_Track(number, kind, length, ratio * length, height, line, speed, phase, colour))
    return tuple(kept)


def ships(world: World, time: datetime, bounds: Bounds | None = None) -> gpd.GeoDataFrame:
    """Ships at sea, as outlines of their hulls; each sails up and down a straight line in open water.

    Columns: `kind`, `heading` (degrees clockwise from north), `speed` m/s, `colour`, `height` m, `length` m.
    """
    tracks = _tracks(world)
    if not tracks:
        return gpd.GeoDataFrame({"kind": [], "heading": [], "speed": [], "colour": [], "height": []}, geometry=[])
    columns = {f.name: [getattr(t, f.name) for t in tracks] for f in fields(_Track)}
    length, width, speed, phase = (np.array(columns[name]) for name in ("length", "width", "speed", "phase"))
    line = np.array(columns["line"], object)
    span = shapely.length(line) - length
    # up and down: a triangle wave of time
    travelled = (phase * 2 * span + speed * time.timestamp()) % (2 * span)
    there = travelled < span
    along = np.where(there, travelled, 2 * span - travelled) + length / 2
    here, ahead = (shapely.get_coordinates(shapely.line_interpolate_point(line, along + d)) for d in (0, 1e-3))
    angle = np.arctan2(ahead[:, 1] - here[:, 1], ahead[:, 0] - here[:, 0]) + np.where(there, 0, np.pi)
    outline = np.array([[0.5, 0], [0.32, 0.5], [-0.5, 0.42], [-0.5, -0.42], [0.32, -0.5]])
    local = outline[None] * np.stack([length, width], -1)[:, None]
    frame = gpd.GeoDataFrame(
        {
            "kind": columns["kind"],
            "heading": np.round(np.degrees(np.pi / 2 - angle) % 360, 1),
            "speed": speed,
            "colour": columns["colour"],
            "height": np.array(columns["height"], float),
            "length": np.round(length, 1),
        },
        geometry=shapely.polygons(turned(local, angle[:, None]) + here[:, None]),
        index=columns["number"],
        crs=world.config.crs,
    )
    return frame if bounds is None else frame[frame.intersects(shapely.box(*bounds).buffer(400))]


def wakes(fleet: gpd.GeoDataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The foam that sailing ships trail, as pieces `[M]` that fade astern, and the share of foam of each `[M]`.

    Two thin arms lie at the Kelvin angle of 19.5 degrees, and a band of the ship's width in its track.
    """
    fleet = fleet[fleet["speed"] > 0]
    centre = shapely.get_coordinates(shapely.centroid(fleet.geometry.to_numpy()))
    angle = np.pi / 2 - np.radians(fleet["heading"].to_numpy())
    length = fleet["length"].to_numpy()
    reach = length * np.minimum(fleet["speed"].to_numpy() / 4, 2.0)
    pieces, shares = [], []
    kelvin = np.tan(np.radians(19.5))
    for near, far, foam in ((0.0, 0.25, 0.3), (0.25, 0.5, 0.18), (0.5, 0.75, 0.1), (0.75, 1.0, 0.05)):
        for left, right, base in ((kelvin, 0.86 * kelvin, 0.0), (-kelvin, -0.86 * kelvin, 0.0), (0.02, -0.02, 0.05)):
            corners = [
                np.stack([-0.45 * length - at * reach, side * at * reach + np.sign(side) * base * length], -1)
                for at, side in ((near, left), (far, left), (far, right), (near, right))
            ]
            pieces.append(shapely.polygons(turned(np.stack(corners, 1), angle[:, None]) + centre[:, None]))
            shares.append(np.full(len(fleet), foam))
    return np.concatenate(pieces), np.concatenate(shares)
