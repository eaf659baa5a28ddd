"""Great circles: known distances, the ellipsoid, and edge cases."""

import numpy as np
import pytest
from pyproj import Geod

from swath.geo.distances import MILE, RADIUS, great_circle


def test_quarters_and_halves_of_the_globe():
    quarter = np.pi / 2 * RADIUS
    assert great_circle(0, 0, 90, 0) == pytest.approx(quarter)
    assert great_circle(17, 0, 17, 90) == pytest.approx(quarter)
    assert great_circle(0, 0, 180, 0) == pytest.approx(2 * quarter)
    assert great_circle(30, -90, -120, 90) == pytest.approx(2 * quarter)
    assert great_circle(5, 5, 5, 5) == 0
    assert great_circle(179.5, 0, -179.5, 0) == pytest.approx(np.pi / 180 * RADIUS)


def test_new_york_to_london_is_3460_miles():
    assert great_circle(-74.0060, 40.7128, -0.1276, 51.5072) / MILE == pytest.approx(3461, abs=3)


def test_it_is_near_the_ellipsoid():
    rng = np.random.default_rng(0)
    lon, other_lon = rng.uniform(-180, 180, (2, 500))
    lat, other_lat = rng.uniform(-90, 90, (2, 500))
    truth = Geod(ellps="WGS84").inv(lon, lat, other_lon, other_lat)[2] / 1000
    np.testing.assert_allclose(great_circle(lon, lat, other_lon, other_lat), truth, rtol=0.006)
