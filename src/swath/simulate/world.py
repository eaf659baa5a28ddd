"""A world: one place whose every thing is known.

What hangs together over long distances (terrain, rivers, settlements, main roads, woods) is laid out once, on a grid of
at most about 512 cells a side. Everything smaller is made by units, on demand, from the seed alone: a unit is one
settlement or one square of open country. So a world of any size has the same small footprint in memory, and a part
of it is the same whoever asks first.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import yaml
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS
from pyproj.exceptions import CRSError

from swath.errors import ConfigError
from swath.simulate import landcover, noise, roads, settlements, terrain, units, water
from swath.simulate.shapes import polygons_of

Bounds = tuple[float, float, float, float]

#: Names of the vector layers.
LAYERS = ("natural", "waterways", "landuse", "parcels", "roads", "buildings", "trees")


@dataclass(frozen=True)
class WorldConfig:
    """What makes a world.

    Attributes:
        seed: Everything random follows from it.
        width: Extent from west to east, m.
        height: Extent from south to north, m.
        west: Easting of the western border in `crs`, m.
        south: Northing of the southern border in `crs`, m.
        crs: A projected CRS in metres.
        year: The year in which the world is seen.
        relief: Height of the hills above the plain, m.
        coast: Share of the extent, from the west, that is sea.
        inflow: Area upstream of the river that enters in the east, km2.
        forest: Share of the land that is wood.
        towns: Settlements per 100 km2.
    """

    seed: int = 0
    width: float = 4000.0
    height: float = 4000.0
    west: float = 500_000.0
    south: float = 5_300_000.0
    crs: str = "EPSG:32632"
    year: int = 2023
    relief: float = 140.0
    coast: float = 0.12
    inflow: float = 1500.0
    forest: float = 0.3
    towns: float = 12.0

    def __post_init__(self) -> None:
        if not (600 <= self.width <= 500_000 and 600 <= self.height <= 500_000):
            raise ConfigError(
                "A world has an unusable extent",
                got=f"{self.width} x {self.height} m",
                expected="600 m to 500 km a side",
            )
        if not (0 <= self.coast <= 0.8 and 0 <= self.forest <= 0.95 and self.towns >= 0 and self.relief >= 0):
            raise ConfigError(
                "A world has a share out of range",
                got=f"coast {self.coast}, forest {self.forest}, towns {self.towns}, relief {self.relief}",
                expected="coast 0..0.8, forest 0..0.95, towns and relief not negative",
            )
        try:
            crs = CRS.from_user_input(self.crs)
        except CRSError as error:
            raise ConfigError(
                "The CRS of a world is unknown", got=self.crs, expected="for example EPSG:32632"
            ) from error
        if not crs.is_projected or crs.axis_info[0].unit_name != "metre":
            raise ConfigError(
                "A world needs a projected CRS in metres", got=self.crs, expected="for example EPSG:32632"
            )

    @classmethod
    def of(cls, described: WorldConfig | Path | str | dict[str, Any]) -> WorldConfig:
        """A configuration from a YAML file, a mapping, or itself."""
        if isinstance(described, WorldConfig):
            return described
        if isinstance(described, str | Path):
            try:
                described = yaml.safe_load(Path(described).read_text("utf-8"))
            except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
                raise ConfigError("A world file cannot be read", got=str(error), expected="a YAML file") from error
        if not isinstance(described, dict):
            raise ConfigError("A world file holds no mapping", got=type(described).__name__, expected="`seed: 1` ...")
        known = {f.name: f.type for f in fields(cls)}
        if strange := sorted(set(described) - set(known)):
            raise ConfigError(
                "A world has no such setting", got=", ".join(map(str, strange)), expected=", ".join(known)
            )
        convert: dict[str, Any] = {"int": int, "float": float, "str": str}
        try:
            return cls(**{name: convert[str(known[name])](value) for name, value in described.items()})
        except (TypeError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError("A setting of a world has the wrong type", got=str(error)) from error

    def to_yaml(self) -> str:
        """YAML that `of` reads."""
        return yaml.safe_dump(asdict(self), sort_keys=False)

    @property
    def bounds(self) -> Bounds:
        """West, south, east, north."""
        return self.west, self.south, self.west + self.width, self.south + self.height


class World:
    """A world; everything in it is a pure function of its configuration.

    Attributes:
        config: What makes it.
        affine: Of the terrain grid.
        terrain: Elevation and drainage.
        water: Water and banks.
        settlements: Towns and villages, largest first.
        wild: Polygons of woods, scrub and rock by name.
        arterials: Roads between settlements, cut at their rims.
        wet: All open water as one shape.
    """

    def __init__(self, config: WorldConfig) -> None:
        self.config = config
        seed = noise.key(config.seed, "world") % 2**40
        self.seed = seed
        cell = max(10.0, max(config.width, config.height) / 512)
        shape = int(np.ceil(config.height / cell)), int(np.ceil(config.width / cell))
        self.affine = Affine(cell, 0, config.west, 0, -cell, config.south + config.height)
        self.grid = GeoBox(shape, self.affine, config.crs)
        x = config.west + (np.arange(shape[1]) + 0.5) * cell
        y = config.south + config.height - (np.arange(shape[0]) + 0.5) * cell
        river = max(0.6, 400 * cell**2 / 1e6)
        self.terrain = terrain.shape_terrain(x, y, seed, config.relief, config.coast, config.inflow, river)
        self.water = water.lay_water(self.terrain, self.affine, seed, river)
        broad = self.water.widths > 10
        channels = shapely.buffer(self.water.rivers[broad], self.water.widths[broad] / 2)
        unbuildable = np.concatenate([self.water.sea, self.water.ponds, channels, self.water.wetlands])
        self.settlements = settlements.settle(self.terrain, self.affine, unbuildable, seed, config.towns)
        hulls = np.array([s.hull for s in self.settlements], object)
        occupied = np.concatenate([self.water.areas, self.water.beaches, self.water.wetlands, hulls])
        self.wild = landcover.wild(self.terrain, self.affine, occupied, hulls, seed, config.forest)
        self.wetlands = _without(self.water.wetlands, hulls)
        self.beaches = _without(self.water.beaches, hulls)
        self.wet = shapely.union_all(self.water.areas)
        shapely.prepare(self.wet)
        ways = roads.arterials(self.terrain, self.affine, self.water.areas, self.settlements, seed)
        self.arterials = roads.described(ways, self.wet)
        self._town = lru_cache(maxsize=64)(partial(units.town, self))
        self._country = lru_cache(maxsize=64)(partial(units.country, self))

    @property
    def bounds(self) -> Bounds:
        """West, south, east, north."""
        return self.config.bounds

    def layer(self, name: str, bounds: Bounds | None = None) -> gpd.GeoDataFrame:
        """What of a vector layer touches `bounds` (by default the whole world), in a fixed order.

        Layers follow the OpenStreetMap schema: `natural`, `waterways`, `landuse`, `parcels`, `roads`, `buildings`,
        `trees`. The index is unique in the world and the same for any `bounds`.
        """
        bounds = self.bounds if bounds is None else bounds
        if name == "natural":
            frame = self._natural
        elif name == "waterways":
            frame = self._waterways
        else:
            parts = [unit[name] for unit in self._units(bounds) if name in unit]
            if name == "roads":
                parts.insert(0, self.arterials[self.arterials["settlement"] < 0].drop(columns="settlement"))
            full = [part for part in parts if len(part)]
            frame = pd.concat(full) if full else parts[0]
        shapes = frame.geometry.to_numpy()
        touched = shapely.intersects(shapely.box(*bounds), shapes) if len(shapes) else np.array([], bool)
        return frame[touched].set_crs(self.config.crs, allow_override=True)

    def units(self) -> list[tuple[str, int, int]]:
        """Names of all units, `("town", index, 0)` and `("country", i, j)`."""
        return self._units_in(self.bounds)

    def unit(self, name: tuple[str, int, int]) -> dict[str, gpd.GeoDataFrame]:
        """The layers of one unit."""
        return self._town(name[1]) if name[0] == "town" else self._country(name[1], name[2])

    def _units(self, bounds: Bounds) -> list[dict[str, gpd.GeoDataFrame]]:
        return [self.unit(name) for name in self._units_in(bounds)]

    def _units_in(self, bounds: Bounds) -> list[tuple[str, int, int]]:
        box = shapely.box(*bounds)
        # parcels belong to the unit of their middle and may reach out of it
        west, south, east, north = bounds
        reach = 500.0
        towns = [("town", s.index, 0) for s in self.settlements if s.hull.intersects(box)]
        columns = _span(west - reach - self.config.west, east + reach - self.config.west, self.config.width)
        rows = _span(south - reach - self.config.south, north + reach - self.config.south, self.config.height)
        return towns + [("country", i, j) for j in rows for i in columns]

    @property
    def _natural(self) -> gpd.GeoDataFrame:
        kinds = {
            "sea": self.water.sea,
            "river": self.water.river_areas,
            "pond": self.water.ponds,
            "wood": self.wild["wood"],
            "scrub": self.wild["scrub"],
            "bare_rock": self.wild["bare_rock"],
            "wetland": self.wetlands,
            "beach": self.beaches,
        }
        water_of = {"sea": "sea", "river": "river", "pond": "pond"}
        name = np.concatenate([np.full(len(v), k, object) for k, v in kinds.items()])
        return gpd.GeoDataFrame(
            {
                "natural": np.where(np.isin(name, list(water_of)), "water", name),
                "water": [water_of.get(n) for n in name],
            },
            geometry=np.concatenate(list(kinds.values())),
        )

    @property
    def _waterways(self) -> gpd.GeoDataFrame:
        kind = np.where(self.water.widths > 8, "river", "stream")
        return gpd.GeoDataFrame({"waterway": kind, "width": np.round(self.water.widths, 1)}, geometry=self.water.rivers)


def _span(low: float, high: float, extent: float) -> range:
    """Numbers of the units between `low` and `high`, m from the border; at least one."""
    last = int(np.ceil(extent / units.UNIT)) - 1
    first, stop = (int(np.clip(v // units.UNIT, 0, last)) for v in (low, high))
    return range(first, stop + 1)


def _without(shapes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """`shapes` without `others`, as single polygons."""
    return polygons_of(shapely.difference(shapes, shapely.union_all(others))) if len(shapes) else shapes


def make_world(config: WorldConfig | Path | str | dict[str, Any] | None = None, **settings: Any) -> World:
    """The world of a configuration (or YAML file, or settings by name)."""
    return World(WorldConfig.of(config if config is not None else settings))
