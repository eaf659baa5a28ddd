"""A moment: when the world is seen, and what of its state depends on that."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import geopandas as gpd
import numpy as np
import shapely
from pyproj import Transformer

from swath.simulate.sun import Sun, day_of_year, in_utc, sun_at
from swath.simulate.world import Bounds, World


@dataclass(frozen=True)
class Leak:
    """A place where gas escapes.

    Attributes:
        source: x and y in the CRS of the world.
        rate: Emission, kg/h.
        gas: `ch4` or `co2`.
        wind: m/s.
        direction: To which the wind blows, degrees clockwise from north.
    """

    source: tuple[float, float]
    rate: float
    gas: str = "ch4"
    wind: float = 3.5
    direction: float = 70.0


@dataclass(frozen=True)
class Moment:
    """When, and the state of the world then.

    Attributes:
        time: UTC.
        sun: Where the sun stands over the middle of the world.
        snow_line: Elevation above which snow lies, m; infinite for none.
        wetness: Wetness of the soil, 0..1.
        flooded: Polygons under flood water.
        burned: Polygons of burned ground.
        damage: State 1 (minor) to 3 (destroyed) of damaged buildings by their index; all others are whole.
        cleared: Polygons of felled wood.
        leaks: Where gas escapes.
    """

    time: datetime
    sun: Sun
    snow_line: float = np.inf
    wetness: float = 0.3
    flooded: tuple[shapely.Polygon, ...] = ()
    burned: tuple[shapely.Polygon, ...] = ()
    damage: dict[int, int] = field(default_factory=dict)
    cleared: tuple[shapely.Polygon, ...] = ()
    leaks: tuple[Leak, ...] = ()

    @property
    def day(self) -> float:
        """Day of the year, 1.0 being the first midnight."""
        return day_of_year(self.time)


def place(world: World) -> tuple[float, float]:
    """Longitude and latitude of the middle of a world, degrees."""
    west, south, east, north = world.bounds
    to_degrees = Transformer.from_crs(world.config.crs, "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform((west + east) / 2, (south + north) / 2)
    return float(longitude), float(latitude)


def at(world: World, day: float, hour: float = 10.5, year: int | None = None) -> Moment:
    """A moment without events on a `day` of the year (1..366) at `hour` of local solar time."""
    longitude, _latitude = place(world)
    seconds = (day - 1) // 1 * 86400 + (hour - longitude / 15) * 3600
    start = datetime(year or world.config.year, 1, 1, tzinfo=UTC).timestamp()
    return on(world, datetime.fromtimestamp(start + seconds, UTC))


def on(world: World, time: datetime) -> Moment:
    """A moment without events at a UTC `time`."""
    return Moment(in_utc(time), sun_at(time, *place(world)))


def standing_trees(world: World, moment: Moment | None, bounds: Bounds | None = None) -> gpd.GeoDataFrame:
    """Trees that are neither felled nor burned at a moment; None is before anything happened."""
    trees = world.layer("trees", bounds)
    gone = () if moment is None else (*moment.cleared, *moment.burned)
    if not gone or not len(trees):
        return trees
    return trees[~shapely.contains_xy(shapely.union_all(gone), trees.geometry.x, trees.geometry.y)]
