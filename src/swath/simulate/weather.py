"""Weather: a daily series of temperature, rain, soil wetness, snow and cloud cover for a world.

Temperature is a yearly wave plus an autoregressive anomaly; rain is a two-state Markov chain with exponential amounts
(Richardson 1981); the soil is a bucket (Manabe 1969); snow falls below 0 degrees and melts 3 mm a day and degree.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import accumulate

import numpy as np
import pandas as pd

from swath.simulate import noise
from swath.simulate.moment import Moment, on
from swath.simulate.sun import in_utc
from swath.simulate.world import World

#: Depth of the soil's bucket, mm, and fall of temperature with height, K/m.
_BUCKET, _LAPSE = 90.0, 0.0065


def series(world: World, year: int | None = None, latitude: float = 48.0) -> pd.DataFrame:
    """Weather of every day of a year (index `date`).

    Columns: `temperature` (daily mean at sea level, degree C), `rain` (mm), `wetness` (of the soil, 0..1), `snow`
    (water in the snow at 300 m, mm), `cloud` (share of the sky), `leaf_wetness` (hours a day).
    """
    year = world.config.year if year is None else year
    rng = noise.rng(world.seed, "weather", year)
    date = pd.date_range(f"{year}-01-01", f"{year}-12-31", name="date", tz="UTC")
    days = len(date)
    swing = 2 + 0.17 * abs(latitude)
    season = np.cos(2 * np.pi * (np.arange(days) - 200) / 365.25)
    shocks = rng.normal(0, 1.9, days)
    anomaly = np.array(list(accumulate(shocks, lambda before, shock: 0.78 * before + shock))) + rng.normal(0, 0.7)
    temperature = 27 - 0.36 * abs(latitude) + swing * season * np.sign(latitude or 1) + anomaly
    dry_year = rng.normal(0, 0.06)
    draws, amounts = rng.random(days), rng.exponential(6.0, days)
    wet = np.zeros(days, bool)
    for day in range(days):
        chance = (0.62 if wet[day - 1] else 0.26) - dry_year if day else 0.4
        wet[day] = draws[day] < chance
    rain = np.where(wet, amounts, 0.0)
    water, snow = np.empty(days), np.empty(days)
    held, pack = 0.6 * _BUCKET, 0.0
    for day in range(days):
        cold = temperature[day] - 300 * _LAPSE
        melt = min(pack, 3.0 * max(cold, 0.0))
        falls = rain[day] if cold < 0 else 0.0
        pack += falls - melt
        # Thornthwaite-like demand, less as the soil dries
        demand = 0.17 * max(temperature[day], 0) * (held / _BUCKET)
        held = float(np.clip(held + rain[day] - falls + melt - demand, 0, _BUCKET))
        water[day], snow[day] = held, pack
    cloud = np.clip(np.where(wet, rng.beta(4, 2, days), rng.beta(1.2, 3.2, days)), 0, 1)
    leaf = np.clip(
        np.where(wet, 9 + 3 * rng.random(days), 2 + 4 * rng.random(days)) + 4 * (water / _BUCKET - 0.5), 0, 24
    )
    columns = {"temperature": temperature, "rain": rain, "wetness": water / _BUCKET, "snow": snow, "cloud": cloud}
    return pd.DataFrame({**columns, "leaf_wetness": leaf}, index=date).round(2)


def today(world: World, time: datetime) -> dict[str, float]:
    """Weather of the day of a UTC `time`, by column of `series`."""
    days = series(world, time.year)
    row = days.to_numpy(float)[time.timetuple().tm_yday - 1]
    return dict(zip(days.columns, row.tolist(), strict=True))


def moment_in(world: World, time: datetime) -> Moment:
    """The moment at a UTC `time` in that year's weather: wet soil, and snow above the line where it lies.

    The line is where the season's snow would just have melted: it sinks with the pack at 300 m.
    """
    time = in_utc(time)
    now = today(world, time)
    line = 300 + now["temperature"] / _LAPSE * 0.6 - 12 * now["snow"] if now["snow"] > 0 else np.inf
    return replace(on(world, time), wetness=now["wetness"], snow_line=line)


def calendar(first: datetime, days: int, revisit: float, hour: float = 10.5) -> list[datetime]:
    """Times of acquisition: every `revisit` days from `first` for `days` days, at `hour` UTC."""
    start = in_utc(first).replace(hour=0, minute=0, second=0, microsecond=0)
    count = int(days // revisit) + 1
    steps = [pd.Timedelta(days=np.floor(k * revisit), hours=hour) for k in range(count)]
    return [(pd.Timestamp(start) + step).to_pydatetime() for step in steps]
