"""Distances on the globe between places in degrees."""

from __future__ import annotations

import numpy as np

#: Mean radius of the Earth, km.
RADIUS = 6371.0088
#: Kilometres of a mile.
MILE = 1.609344


def great_circle(lon: object, lat: object, other_lon: object, other_lat: object) -> np.ndarray:
    """Distance in km along the sphere, by the haversine formula; arguments in degrees broadcast.

    It is within 0.6 % of that on the ellipsoid.
    """
    a, b, c, d = (np.radians(np.asarray(v, float)) for v in (lon, lat, other_lon, other_lat))
    half = np.sin((d - b) / 2) ** 2 + np.cos(b) * np.cos(d) * np.sin((c - a) / 2) ** 2
    return 2 * RADIUS * np.arcsin(np.sqrt(np.clip(half, 0, 1)))
