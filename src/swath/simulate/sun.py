"""Where the sun stands (NOAA's solar equations, after Meeus 1998; good to about 0.1 degree)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np


@dataclass(frozen=True)
class Sun:
    """Direction of the sun.

    Attributes:
        azimuth: Clockwise from north, radians.
        elevation: Above the horizon, radians.
    """

    azimuth: float
    elevation: float

    @property
    def vector(self) -> np.ndarray:
        """Unit vector towards the sun: east, north, up."""
        level = np.cos(self.elevation)
        return np.array([level * np.sin(self.azimuth), level * np.cos(self.azimuth), np.sin(self.elevation)])


def day_of_year(time: datetime) -> float:
    """Day of the year with fraction; 1.0 is the first midnight (UTC)."""
    time = in_utc(time)
    return (time - datetime(time.year, 1, 1, tzinfo=UTC)).total_seconds() / 86400 + 1


def in_utc(time: datetime) -> datetime:
    """`time` in UTC; a time without zone is taken as UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def sun_at(time: datetime, longitude: float, latitude: float) -> Sun:
    """The sun over a place, degrees, at a time."""
    time = in_utc(time)
    day = day_of_year(time)
    g = 2 * np.pi / 365 * (day - 1 - 0.5)
    equation = 229.18 * (
        0.000075 + 0.001868 * np.cos(g) - 0.032077 * np.sin(g) - 0.014615 * np.cos(2 * g) - 0.040849 * np.sin(2 * g)
    )
    declination = (
        0.006918 - 0.399912 * np.cos(g) + 0.070257 * np.sin(g) - 0.006758 * np.cos(2 * g)
        + 0.000907 * np.sin(2 * g) - 0.002697 * np.cos(3 * g) + 0.00148 * np.sin(3 * g)
    )  # fmt: skip
    minutes = (day % 1) * 1440 + equation + 4 * longitude
    hour = np.radians(minutes / 4 - 180)
    lat = np.radians(latitude)
    up = np.sin(lat) * np.sin(declination) + np.cos(lat) * np.cos(declination) * np.cos(hour)
    east = -np.cos(declination) * np.sin(hour)
    north = np.cos(lat) * np.sin(declination) - np.sin(lat) * np.cos(declination) * np.cos(hour)
    return Sun(float(np.arctan2(east, north) % (2 * np.pi)), float(np.arcsin(np.clip(up, -1, 1))))
