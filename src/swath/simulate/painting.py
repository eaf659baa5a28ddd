"""Painting a world on a fine grid, from the ground up, as of one moment.

Vector layers are painted in a fixed order: ground, blocks, fields, water, roads, buildings, vehicles, crowns, events,
snow. Every layer brings its covers (mixtures of materials with their truth) and burns their numbers into the picture.
"""

from __future__ import annotations

from collections.abc import Mapping

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from odc.geo.geobox import GeoBox
from rasterio import features

from swath.errors import GridError
from swath.geo.grids import require_north_up
from swath.simulate import landcover as lc
from swath.simulate import noise, traffic
from swath.simulate.buildings import roof_heights
from swath.simulate.moment import Moment, standing_trees
from swath.simulate.phenology import CROPS, WILD, Crop, cover
from swath.simulate.roads import markings
from swath.simulate.shapes import long_sides
from swath.simulate.spectra import MATERIALS
from swath.simulate.surface import SOURCES, Surface, Table, axes, ground
from swath.simulate.world import World

#: Each cover has this many rows, from sparse to lush; smooth noise with grain chooses among them.
LEVELS = 4

#: Pixels larger than this show canopies instead of crowns, m.
CROWN_LIMIT = 4.0


def paint(world: World, grid: GeoBox, moment: Moment) -> Surface:
    """Paint a world on a grid at a moment.

    Raises:
        GridError: If the grid is in another CRS or not north-up.
    """
    require_north_up(grid, "The grid of a surface")
    if grid.crs != world.grid.crs:
        raise GridError("A surface is painted in the CRS of its world", got=grid.crs, expected=world.grid.crs)
    canvas = _Canvas(world, grid, moment)
    canvas.wild()
    canvas.blocks()
    canvas.fields()
    canvas.waters()
    canvas.roads()
    canvas.buildings()
    canvas.vehicles()
    canvas.trees()
    canvas.events()
    canvas.snow()
    return canvas.surface()


def mixed(parts: Mapping[str, object], shape: tuple[int, ...]) -> np.ndarray:
    """Mixtures `[*shape, materials]` of materials with shares that broadcast to `shape`."""
    weights = np.zeros((*shape, len(MATERIALS)), np.float32)
    for material, share in parts.items():
        weights[..., MATERIALS.index(material)] += np.asarray(share, np.float32)
    return weights


class _Canvas:
    """Covers painted one over the other."""

    def __init__(self, world: World, grid: GeoBox, moment: Moment) -> None:
        self.world, self.grid, self.moment = world, grid, moment
        self.size = grid.affine.a
        west, north = grid.affine @ (0, 0)
        east, south = grid.affine @ (grid.shape[1], grid.shape[0])
        self.bounds = west, south, east, north
        # what stands just outside may reach in
        self.wider = west - 15, south - 15, east + 15, north + 15
        self.x, self.y = axes(grid)
        self.cover = np.zeros(grid.shape, np.int32)
        self.above = np.zeros(grid.shape, np.float32)
        self.ground = ground(world, grid)
        seed = world.seed
        soft = noise.fractal(self.x, self.y, 160, seed + 201, 4)
        white = noise.uniform(
            np.floor(self.x / max(1.0, self.size)).astype(int)[None],
            np.floor(self.y / max(1.0, self.size)).astype(int)[:, None],
            seed + 202,
        ).astype(np.float32)
        self.level = np.clip(2 + 1.0 * soft + 1.6 * (white - 0.5), 0, LEVELS - 1).astype(np.int32)
        self.grain = noise.fractal(self.x, self.y, 24, seed + 203, 5, 0.75)
        self.weights: list[np.ndarray] = []
        self.facts: list[pd.DataFrame] = []
        self.count = 0
        grass = self.plant(WILD["grass"], 1)
        self.add(grass, lc.GRASS, "", [-1], 0.10)

    # covers

    def add(self, weights: np.ndarray, landcover: object, layer: str, objects: object, texture: float) -> np.ndarray:
        """New covers of `weights` `[N, LEVELS or 1, materials]`; returns their numbers `[N]`."""
        n = len(weights)
        self.weights.append(np.broadcast_to(weights, (n, LEVELS, len(MATERIALS))))
        self.facts.append(
            pd.DataFrame(
                {
                    "landcover": np.broadcast_to(np.asarray(landcover, np.uint8), n),
                    "layer": np.uint8(SOURCES.index(layer)),
                    "object": np.broadcast_to(np.asarray(objects, np.int64), n),
                    "texture": np.float32(texture),
                }
            )
        )
        numbers = np.arange(self.count, self.count + n)
        self.count += n
        return numbers

    def put(self, shapes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Paint `shapes` with cover `numbers`, the later over the earlier; returns the painted mask."""
        if not len(shapes):
            return np.zeros(self.grid.shape, bool)
        painted = features.rasterize(
            zip(shapes, numbers.tolist(), strict=True),
            self.grid.shape,
            fill=-1,
            transform=self.grid.affine,
            dtype="int32",
        )
        mask = painted >= 0
        self.cover[mask] = painted[mask]
        return mask

    def plant(self, crop: Crop, count: int, shift: object = 0, vigour: object = 1.0, leaf: str = "leaf") -> np.ndarray:
        """Mixtures `[count, LEVELS, materials]` of plants, dry matter, flowers, water and soil today."""
        lush = np.array([0.82, 0.94, 1.05, 1.15])
        shifts = np.broadcast_to(np.asarray(shift, float), count)[:, None]
        vigours = np.broadcast_to(np.asarray(vigour, float), count)[:, None] * lush
        shares = cover(crop, self.moment.day, shifts, vigours)
        soil = np.maximum(1 - shares.green - shares.dry - shares.flower - shares.water, 0)
        wet = self.moment.wetness
        parts = {
            leaf: shares.green,
            "dry": shares.dry,
            "flower": shares.flower,
            "turbid_water": shares.water,
            "soil": soil * (1 - wet),
            "wet_soil": soil * wet,
        }
        return mixed(parts, (count, LEVELS))

    # the parts of the picture, from the ground up

    def layer(self, name: str) -> gpd.GeoDataFrame:
        return self.world.layer(name, self.wider)

    def wild(self) -> None:
        natural = self.layer("natural")
        crowns = self.size <= CROWN_LIMIT
        floor = 0.85 * self.plant(WILD["scrub"], 1) + 0.15 * mixed({"dry": 1.0}, (1, LEVELS))
        canopy = 0.55 * self.plant(WILD["broadleaf"], 1, leaf="broadleaf") + 0.45 * self.plant(
            WILD["conifer"], 1, leaf="conifer"
        )
        looks = {
            "wood": (0.8 * floor if crowns else canopy, lc.FOREST, 0.2),
            "scrub": (self.plant(WILD["scrub"], 1), lc.GRASS, 0.16),
            "bare_rock": (mixed({"rock": 0.85, "dry": 0.15}, (1, LEVELS)), lc.BARE, 0.12),
            "wetland": (
                0.75 * self.plant(WILD["reed"], 1)
                + mixed({"wet_soil": 0.1, "turbid_water": np.linspace(0.3, 0.0, LEVELS)}, (1, LEVELS)),
                lc.WETLAND,
                0.12,
            ),
            "beach": (mixed({"sand": 1.0}, (1, LEVELS)), lc.BARE, 0.05),
        }
        for kind, (weights, landcover, texture) in looks.items():
            mine = natural[natural["natural"] == kind]
            numbers = self.add(np.repeat(weights, len(mine), 0), landcover, "natural", mine.index, texture)
            mask = self.put(mine.geometry.to_numpy(), numbers)
            if kind == "wood" and not crowns:
                self.above[mask] = 15.0

    def blocks(self) -> None:
        town = self.layer("landuse")
        lawn = self.plant(WILD["grass"], 1, vigour=1.05)
        paved = mixed({"asphalt": 0.62, "concrete": 0.38}, (1, LEVELS))
        yard = mixed({"gravel": 0.5, "concrete": 0.3, "soil": 0.2}, (1, LEVELS))
        looks = {
            "residential": (0.85 * lawn + 0.15 * paved, lc.GRASS, 0.16),
            "park": (lawn, lc.GRASS, 0.12),
            "commercial": (0.1 * lawn + 0.9 * paved, lc.PAVED, 0.06),
            "industrial": (0.12 * lawn + 0.88 * paved, lc.PAVED, 0.06),
            "farmyard": (0.25 * lawn + 0.75 * yard, lc.PAVED, 0.15),
        }
        for use, (weights, landcover, texture) in looks.items():
            mine = town[town["landuse"] == use]
            numbers = self.add(np.repeat(weights, len(mine), 0), landcover, "landuse", mine.index, texture)
            self.put(mine.geometry.to_numpy(), numbers)

    def fields(self) -> None:
        parcels = self.layer("parcels")
        wet = self.moment.wetness
        bare = mixed({"soil": 1 - wet, "wet_soil": wet}, (1, LEVELS))
        for name, mine in parcels.groupby("crop"):
            crop = CROPS[name]
            weights = self.plant(crop, len(mine), mine["sowing_shift"], mine["vigour"])
            numbers = self.add(weights, lc.CROP if crop.landuse != "meadow" else lc.GRASS, "parcels", mine.index, 0.06)
            mask = self.put(mine.geometry.to_numpy(), numbers)
            if crop.landuse == "meadow":
                continue
            # stems stand about half a metre to two and a half, with their cover
            tall = {"maize": 2.3, "sunflower": 1.7, "vineyard": 1.8}.get(name, 0.7)
            green = weights[:, :, MATERIALS.index("leaf")].mean(1) + weights[:, :, MATERIALS.index("dry")].mean(1)
            self.above[mask] = (tall * np.minimum(green, 1))[self.cover[mask] - numbers[0]]
            if self.size <= 2.5:
                kept, period = (0.45, 18.0) if crop.landuse == "farmland" else (0.3, 3.0 if self.size < 1 else 6.0)
                worn = self.add(kept * weights + (1 - kept) * bare, lc.CROP, "parcels", mine.index, 0.06)
                self.rows(mask, mine, numbers, worn, period)

    def rows(
        self, mask: np.ndarray, mine: gpd.GeoDataFrame, numbers: np.ndarray, worn: np.ndarray, period: float
    ) -> None:
        """Wheel tracks in fields, or what lies between vines and trees, along the long side of each parcel."""
        long_side = long_sides(mine.geometry.to_numpy())
        row, col = np.nonzero(mask)
        parcel = self.cover[row, col] - numbers[0]
        across = -self.x[col] * np.sin(long_side[parcel]) + self.y[row] * np.cos(long_side[parcel])
        tracks = np.abs(across % period - period / 2) > period / 2 - max(0.45 if period > 10 else 0.9, self.size / 2)
        self.cover[row[tracks], col[tracks]] = worn[parcel[tracks]]
        self.above[row[tracks], col[tracks]] = 0

    def waters(self) -> None:
        natural = self.layer("natural")
        for kind, turbid in (("sea", 0.15), ("river", 0.7), ("pond", 0.45)):
            mine = natural[natural["water"] == kind]
            share = np.clip(turbid + np.linspace(-0.08, 0.08, LEVELS), 0, 1)
            weights = mixed({"turbid_water": share, "clear_water": 1 - share}, (1, LEVELS))
            numbers = self.add(np.repeat(weights, len(mine), 0), lc.WATER, "natural", mine.index, 0.02)
            mask = self.put(mine.geometry.to_numpy(), numbers)
            self.above[mask] = 0
            if kind == "sea":
                self.ground[mask] = np.minimum(self.ground[mask], 0)

    def roads(self) -> None:
        ways = self.layer("roads")
        order = ways["highway"].map({"track": 0, "residential": 1, "secondary": 2, "primary": 3}).to_numpy()
        ways = ways.iloc[np.argsort(order, kind="stable")]
        material = {"track": {"gravel": 0.7, "soil": 0.3}, "residential": {"asphalt": 0.85, "concrete": 0.15}}
        looks = [mixed(material.get(h, {"asphalt": 1.0}), (1, LEVELS)) for h in ways["highway"]]
        if not looks:
            return
        numbers = self.add(np.concatenate(looks), lc.ROAD, "roads", ways.index, 0.08)
        shapes = shapely.buffer(ways.geometry.to_numpy(), ways["width"].to_numpy() / 2, quad_segs=3)
        mask = self.put(shapes, numbers)
        self.above[mask] = 0
        if self.size <= 0.6:
            marked = ways[ways["highway"].isin(("primary", "secondary"))]
            lines = markings(marked)
            paint_ = self.add(
                np.repeat(mixed({"marking": 0.8, "asphalt": 0.2}, (1, LEVELS)), len(marked), 0),
                lc.ROAD,
                "roads",
                marked.index,
                0.05,
            )
            self.put(lines, paint_)

    def buildings(self) -> None:
        houses = self.layer("buildings")
        if not len(houses):
            return
        today = self.moment.time.strftime("%Y-%m-%d")
        started = houses["start_date"].to_numpy() <= today
        # a site is dug up in the half year before the house stands
        soon = pd.Timestamp(self.moment.time).tz_localize(None) + pd.Timedelta(days=180)
        site = ~started & (houses["start_date"].to_numpy() <= soon.strftime("%Y-%m-%d"))
        if site.any():
            mine = houses[site]
            soil = np.repeat(mixed({"soil": 0.8, "gravel": 0.2}, (1, LEVELS)), len(mine), 0)
            self.put(
                shapely.buffer(mine.geometry.to_numpy(), 6, join_style="mitre"),
                self.add(soil, lc.BARE, "event", -1, 0.1),
            )
        houses = houses[started]
        if not len(houses):
            return
        damage = np.array([self.moment.damage.get(int(i), 0) for i in houses.index])
        roof = np.array([MATERIALS.index(m) for m in houses["roof:material"]])
        tone = noise.uniform(houses.index.to_numpy(), np.zeros(len(houses), int), self.world.seed + 210)
        broken = np.array([0.0, 0.15, 0.5, 1.0])[damage]
        weights = np.zeros((len(houses), LEVELS, len(MATERIALS)), np.float32)
        rows = np.arange(len(houses))
        weights[rows, :, roof] = ((0.75 + 0.5 * tone) * (1 - broken))[:, None]
        weights[:, :, MATERIALS.index("rubble")] += (broken * (0.8 + 0.4 * tone))[:, None]
        numbers = self.add(weights, lc.BUILDING, "buildings", houses.index, 0.05)
        mask = self.put(houses.geometry.to_numpy(), numbers)
        row, col = np.nonzero(mask)
        which = self.cover[row, col] - numbers[0]
        self.above[row, col] = roof_heights(houses, which, self.x[col], self.y[row])
        # what is destroyed lies as a heap
        share = np.array([1.0, 1.0, 0.75, 0.18])[damage][which]
        rough = np.where(damage[which] >= 2, 1 + 0.35 * self.grain[row, col], 1.0)
        self.above[row, col] *= share * np.clip(rough, 0.3, 1.7)
        self.grain[row, col] *= np.where(damage[which] >= 2, 4.0, 1.0)

    def vehicles(self) -> None:
        if self.size > 3.0:
            return
        for layer, things in (
            ("vehicles", traffic.vehicles(self.world, self.wider, self.moment.time)),
            ("ships", traffic.ships(self.world, self.moment.time, self.wider)),
        ):
            if not len(things):
                continue
            if layer == "ships":
                wakes, share = traffic.wakes(things)
                foam = mixed({"foam": share[:, None], "clear_water": 1 - share[:, None]}, (len(share), LEVELS))
                self.put(wakes, self.add(foam, lc.WATER, "natural", -1, 0.3))
            look = _deck if layer == "ships" else _coat
            paint_ = np.concatenate([mixed(look(c), (1, LEVELS)) for c in things["colour"]])
            code = lc.ROAD if layer == "vehicles" else lc.WATER
            numbers = self.add(paint_, code, layer, things.index, 0.05)
            mask = self.put(things.geometry.to_numpy(), numbers)
            self.above[mask] = things["height"].to_numpy()[self.cover[mask] - numbers[0]]

    def trees(self) -> None:
        if self.size > CROWN_LIMIT:
            return
        stand = standing_trees(self.world, self.moment, self.wider)
        if not len(stand):
            return
        stand = stand.sort_values("height", kind="stable")
        needles = (stand["leaf_type"] == "needleleaved").to_numpy()
        tone = noise.uniform(stand.index.to_numpy(), np.ones(len(stand), int), self.world.seed + 220)
        # eight tones and dates of each leaf type stand for all trees of a window
        tones = 8
        group = (tone * tones).astype(int) + tones * needles
        looks = [
            self.plant(WILD[kind], tones, np.linspace(-7, 7, tones), leaf=kind)
            * np.linspace(0.8, 1.2, tones)[:, None, None]
            for kind in ("broadleaf", "conifer")
        ]
        numbers = self.add(np.concatenate(looks), lc.FOREST, "trees", -1, 0.12)
        radius = stand["crown"].to_numpy() / 2
        points = shapely.get_coordinates(stand.geometry.to_numpy())
        col = (points[:, 0] - self.bounds[0]) / self.size - 0.5
        row = (self.bounds[3] - points[:, 1]) / self.size - 0.5
        nearest_row, nearest_col = np.round(row).astype(int), np.round(col).astype(int)
        reach = int(np.ceil(radius.max() / self.size))
        height = stand["height"].to_numpy(np.float32)
        for i in range(-reach, reach + 1):
            for j in range(-reach, reach + 1):
                r, c = nearest_row + i, nearest_col + j
                away = ((r - row) ** 2 + (c - col) ** 2) * self.size**2 / radius**2
                hit = (away <= 1) & (r >= 0) & (r < self.grid.shape[0]) & (c >= 0) & (c < self.grid.shape[1])
                if not hit.any():
                    continue
                top = height[hit] * (1 - 0.3 * away[hit].astype(np.float32))
                at = r[hit], c[hit]
                higher = top > self.above[at]
                # the tallest come last, and the last of equal indices stays
                at = at[0][higher], at[1][higher]
                self.above[at] = top[higher]
                self.cover[at] = numbers[group[hit][higher]]

    def events(self) -> None:
        for polygons, look, code in (
            (self.moment.cleared, {"soil": 0.6, "dry": 0.4}, lc.BARE),
            (self.moment.burned, {"char": 0.85, "soil": 0.15}, lc.BARE),
            (self.moment.flooded, {"mud_water": 0.85, "turbid_water": 0.15}, lc.WATER),
        ):
            shapes = [p for p in polygons if p.intersects(shapely.box(*self.bounds))]
            if not shapes:
                continue
            before = self.cover.copy()
            numbers = self.add(np.repeat(mixed(look, (1, LEVELS)), len(shapes), 0), code, "event", -1, 0.08)
            mask = self.put(np.array(shapes, object), numbers)
            # flood water hides what is lower than a metre and a half, fire what grows
            facts = pd.concat(self.facts, ignore_index=True)
            built = facts["landcover"].to_numpy()[before] == lc.BUILDING
            stays = mask & (built | ((code == lc.WATER) & (self.above > 1.5)))
            if "char" in look:
                stays = mask & np.isin(
                    facts["landcover"].to_numpy()[before], (lc.BUILDING, lc.WATER, lc.ROAD, lc.PAVED)
                )
            self.cover[stays] = before[stays]
            self.above[mask & ~stays] *= 0.35 if "char" in look else 0.0

    def snow(self) -> None:
        if not np.isfinite(self.moment.snow_line):
            return
        facts = pd.concat(self.facts, ignore_index=True)
        depth = (self.ground - self.moment.snow_line) / 60 + 0.35 * self.grain * (self.size < 20)
        lies = (
            (depth > 0)
            & (facts["landcover"].to_numpy()[self.cover] != lc.WATER)
            & (facts["layer"].to_numpy()[self.cover] != SOURCES.index("vehicles"))
        )
        # crowns shed most of their snow
        canopy = facts["layer"].to_numpy()[self.cover] == SOURCES.index("trees")
        lies &= ~canopy | (depth > 1.2)
        old = np.unique(self.cover[lies])
        if not len(old):
            return
        weights = np.concatenate(self.weights)[old] * 0.12
        weights[:, :, MATERIALS.index("snow")] += 0.85
        start = self.count
        self.weights.append(weights)
        self.facts.append(facts.iloc[old])
        self.count += len(old)
        table = np.arange(start)
        table[old] = start + np.arange(len(old))
        self.cover[lies] = table[self.cover[lies]]

    def surface(self) -> Surface:
        facts = pd.concat(self.facts, ignore_index=True)
        table = Table(
            np.concatenate(self.weights).reshape(-1, len(MATERIALS)).astype(np.float32),
            np.repeat(facts["landcover"].to_numpy(np.uint8), LEVELS),
            np.repeat(facts["layer"].to_numpy(np.uint8), LEVELS),
            np.repeat(facts["object"].to_numpy(np.int64), LEVELS),
            np.repeat(facts["texture"].to_numpy(np.float32), LEVELS),
        )
        return Surface(
            self.grid, self.cover * LEVELS + self.level, table, self.ground, self.above, self.grain, self.moment
        )


def _coat(colour: str) -> dict[str, float]:
    return {colour: 1.0}


def _deck(colour: str) -> dict[str, float]:
    return {colour: 0.35, "silver_paint": 0.4, "black_paint": 0.25}
