"""Where the sun stands: low-precision formulas of the Astronomical Almanac, good to 0.01 degree, no refraction."""

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
    days = (in_utc(time) - datetime(2000, 1, 1, 12, tzinfo=UTC)).total_seconds() / 86400
    anomaly = np.radians(357.528 + 0.9856003 * days)
    ecliptic = np.radians(280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    tilt = np.radians(23.439 - 4e-7 * days)
    declination = np.arcsin(np.sin(tilt) * np.sin(ecliptic))
    ascension = np.arctan2(np.cos(tilt) * np.sin(ecliptic), np.cos(ecliptic))
    sidereal = np.radians(15 * (18.697374558 + 24.06570982441908 * days))
    hour = sidereal + np.radians(longitude) - ascension
    lat = np.radians(latitude)
    up = np.sin(lat) * np.sin(declination) + np.cos(lat) * np.cos(declination) * np.cos(hour)
    east = -np.cos(declination) * np.sin(hour)
    north = np.cos(lat) * np.sin(declination) - np.sin(lat) * np.cos(declination) * np.cos(hour)
    return Sun(float(np.arctan2(east, north) % (2 * np.pi)), float(np.arcsin(np.clip(up, -1, 1))))
