"""Tables whose numbers follow from the world: yields, people, disease counts, trials and virtual species.

Each table carries the truth that produced it, so that an estimate can be held against it.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from swath.simulate import noise, weather
from swath.simulate.phenology import CROPS
from swath.simulate.world import World

#: Floor area per inhabitant, m2, by `building` value; others house nobody.
_FLOOR = {"house": 48.0, "apartments": 36.0, "farm": 60.0}


def yields(world: World, year: int | None = None) -> pd.DataFrame:
    """Yield of every parcel in a year, t/ha.

    It is the crop's mean, times vigour^1.3 (which the image shows as green cover), times 0.7 + 0.5 of the soil's mean
    wetness in the season, times chance of 6 %.

    Columns: `crop`, `area` m2, `vigour`, `water` (mean wetness of the soil in the 60 days before the harvest),
    `expected`, `yield`. Crops without a counted yield are left out.
    """
    year = world.config.year if year is None else year
    parcels = world.layer("parcels")
    parcels = parcels[parcels["crop"].map(lambda c: CROPS[c].yield_ > 0).astype(bool)]
    days = weather.series(world, year)
    wetness = days["wetness"].to_numpy()
    water = {name: float(wetness[max(0, int(c.harvest) - 60) : int(c.harvest)].mean()) for name, c in CROPS.items()}
    mean = parcels["crop"].map({n: c.yield_ for n, c in CROPS.items()}).to_numpy(float)
    season = parcels["crop"].map(water).to_numpy(float)
    expected = mean * parcels["vigour"].to_numpy() ** 1.3 * (0.7 + 0.5 * season)
    luck = noise.rng(world.seed, "yields", year).normal(1, 0.06, len(parcels))
    table = parcels[["crop", "area", "vigour"]].assign(water=season, expected=expected)
    table["yield"] = expected * np.maximum(luck, 0)
    return pd.DataFrame(table)


def people(world: World) -> pd.Series:
    """Inhabitants of each settlement by its number."""
    houses = world.layer("buildings")
    floor = shapely.area(houses.geometry.to_numpy()) * houses["building:levels"].to_numpy()
    per_person = houses["building"].map(_FLOOR).to_numpy(float)
    inhabitants = np.where(np.isfinite(per_person), floor / per_person, 0.0)
    town = houses["settlement"].to_numpy()
    total = np.bincount(town[town >= 0].astype(int), inhabitants[town >= 0], len(world.settlements))
    return pd.Series(np.round(total).astype(int), name="people")


def disease(world: World, years: int = 3, lag: int = 4) -> pd.DataFrame:
    """Weekly cases of a mosquito-borne disease in each settlement.

    Cases are negative binomial with mean people * exp(-9.6 + 2.6 wetness(week - lag) + 0.09 T(week - lag) + 0.5 marsh)
    and dispersion 6. Columns: `settlement`, `week` (start), `cases`, `mean`, `wetness`, `temperature`, `people`,
    `marsh` (share of wetland and water within 1 km).
    """
    homes = people(world)
    rng = noise.rng(world.seed, "disease", years)
    series = pd.concat([weather.series(world, world.config.year + k) for k in range(years)])
    weekly = series[["wetness", "temperature", "rain"]].resample("7D").mean()
    driver = weekly.shift(lag).bfill()
    wet = shapely.union_all(np.concatenate([world.water.areas, world.wetlands]))
    rows = []
    for town in world.settlements:
        ring = shapely.Point(town.centre).buffer(town.radius + 1000)
        marsh = float(ring.intersection(wet).area / ring.area)
        mean = homes[town.index] * np.exp(-9.6 + 2.6 * driver["wetness"] + 0.09 * driver["temperature"] + 0.5 * marsh)
        shape = 6.0
        cases = rng.negative_binomial(shape, shape / (shape + mean.to_numpy()))
        rows.append(
            pd.DataFrame(
                {
                    "settlement": town.index,
                    "week": weekly.index,
                    "cases": cases,
                    "mean": mean.to_numpy(),
                    "wetness": weekly["wetness"].to_numpy(),
                    "temperature": weekly["temperature"].to_numpy(),
                    "people": homes[town.index],
                    "marsh": marsh,
                }
            )
        )
    if not rows:
        return pd.DataFrame({"settlement": [], "week": [], "cases": []})
    return pd.concat(rows, ignore_index=True)


def trial(
    world: World, count: int = 600, size: float = 640.0, effect: float = 2.0, confounded: float = 1.5, seed: int = 0
) -> gpd.GeoDataFrame:
    """A study of `count` places whose treatment, outcome and effect depend on what an image of the place shows.

    z1 is the standardised share of wood and z2 that of settlement in the square of `size` m (at most the world) around
    a place. Treatment is given with chance logistic(confounded z1); tau = effect (1 + z2 / 2); Y = 1 + z1 + tau T +
    N(0, 1). `confounded=0` is a randomised trial. Columns: `treated`, `outcome`, `tau`, `propensity`, `y0`, `y1`,
    `wood`, `settled`, `z1`, `z2`.
    """
    rng = noise.rng(world.seed, "trial", seed)
    west, south, east, north = world.bounds
    half = min(size, east - west, north - south) / 2
    x = rng.uniform(west + half, east - half, count)
    y = rng.uniform(south + half, north - half, count)
    squares = shapely.box(x - half, y - half, x + half, y + half)
    shares = {}
    hulls = np.array([s.hull for s in world.settlements], object)
    for name, areas in (("wood", world.wild["wood"]), ("settled", hulls)):
        whole = shapely.union_all(areas)
        shares[name] = shapely.area(shapely.intersection(squares, whole)) / (2 * half) ** 2
    z1, z2 = ((s - s.mean()) / max(float(s.std()), 1e-9) for s in shares.values())
    propensity = 1 / (1 + np.exp(-confounded * z1))
    treated = rng.random(count) < propensity
    tau = effect * (1 + 0.5 * z2)
    y0 = 1 + z1 + rng.normal(0, 1, count)
    columns = {
        "treated": treated, "outcome": y0 + tau * treated, "tau": tau, "propensity": propensity, "y0": y0,
        "y1": y0 + tau, **shares, "z1": z1, "z2": z2,
    }  # fmt: skip
    return gpd.GeoDataFrame(columns, geometry=shapely.points(x, y), crs=world.config.crs)


def species(world: World, count: int = 2000, seed: int = 0) -> gpd.GeoDataFrame:
    """Visits to random places and whether a virtual species was met there.

    Its chance is logistic(-1.2 + 2.2 in wood - 0.004 distance to water in m + 0.01 (elevation - 60)). Columns:
    `present`, `chance`, `wood`, `water_distance`, `elevation`.
    """
    rng = noise.rng(world.seed, "species", seed)
    west, south, east, north = world.bounds
    x, y = rng.uniform(west, east, count), rng.uniform(south, north, count)
    points = shapely.points(x, y)
    wood = shapely.union_all(world.wild["wood"])
    wet = shapely.union_all(world.water.areas)
    in_wood = shapely.contains(wood, points) if not wood.is_empty else np.zeros(count, bool)
    away = np.nan_to_num(shapely.distance(points, wet), nan=1e4)
    col, row = (v.astype(int) for v in ~world.affine @ (x, y))
    height = world.terrain.height[row, col]
    chance = 1 / (1 + np.exp(1.2 - 2.2 * in_wood + 0.004 * away - 0.01 * (height - 60)))
    columns = {
        "present": rng.random(count) < chance, "chance": chance, "wood": in_wood, "water_distance": away,
        "elevation": height,
    }  # fmt: skip
    return gpd.GeoDataFrame(columns, geometry=points, crs=world.config.crs)
