"""Sun, shadow, spectra and air against analytic cases and tabled facts."""

from datetime import UTC, datetime

import numpy as np
import pytest

from swath.simulate import atmosphere, light, spectra
from swath.simulate.sun import Sun, sun_at


@pytest.mark.parametrize(
    ("time", "place", "elevation"),
    [
        # noon at an equinox and at the solstices: 90 - latitude + declination
        (datetime(2023, 3, 20, 21, 24, tzinfo=UTC), (-139.2, 50.0), 40.0),
        (datetime(2023, 6, 21, 12, 2, tzinfo=UTC), (0.0, 50.0), 63.44),
        (datetime(2023, 12, 21, 11, 58, tzinfo=UTC), (0.0, 50.0), 16.56),
        (datetime(2023, 6, 21, 12, 2, tzinfo=UTC), (0.0, -33.0), 33.56),
    ],
)
def test_noon_elevation(time, place, elevation):
    sun = sun_at(time, *place)
    assert np.degrees(sun.elevation) == pytest.approx(elevation, abs=0.05)
    assert np.degrees(sun.azimuth) == pytest.approx(180 if place[1] > 23.44 else 0, abs=2.0) or sun.azimuth > 6.2


def test_morning_sun_is_in_the_east():
    sun = sun_at(datetime(2023, 6, 21, 7, 0, tzinfo=UTC), 0.0, 50.0)
    assert 0 < np.degrees(sun.azimuth) < 120
    assert sun.vector == pytest.approx(
        [
            np.cos(sun.elevation) * np.sin(sun.azimuth),
            np.cos(sun.elevation) * np.cos(sun.azimuth),
            np.sin(sun.elevation),
        ]
    )


@pytest.mark.parametrize(("azimuth", "row", "col"), [(180, -1, 0), (90, 0, -1), (270, 0, 1), (0, 1, 0)])
def test_a_tower_throws_its_shadow_away_from_the_sun(azimuth, row, col):
    above = np.zeros((81, 81), np.float32)
    above[40, 40] = 20.0
    dark = light.shadow(above, above, 1.0, Sun(np.radians(azimuth), np.radians(45)))
    place = np.argwhere(dark) - 40
    # 20 m high at 45 degrees: 20 m long, in one straight line
    assert len(place) == pytest.approx(19.5, abs=1)
    assert (place[:, 0] * row >= 0).all()
    assert np.abs(place).max(0) == pytest.approx([abs(row) * len(place), abs(col) * len(place)])


def test_slopes_take_the_cosine_of_incidence():
    x = np.arange(50) * 10.0
    # a plane that rises 0.3 to the east, lit from the west and from the east
    plane = np.broadcast_to(0.3 * x, (50, 50))
    tilt = np.arctan(0.3)
    for azimuth, sign in ((270, 1), (90, -1)):
        lit = light.direct(plane, np.zeros((50, 50)), 10.0, Sun(np.radians(azimuth), np.radians(50)))
        expected = np.cos(np.radians(40) - sign * tilt) / np.sin(np.radians(50))
        assert lit[5:-5, 5:-5] == pytest.approx(expected, rel=1e-3)
    assert (light.direct(plane, np.zeros((50, 50)), 10.0, Sun(0.0, -0.2)) == 0).all()


def test_curves_pass_their_points_and_stay_physical():
    nm = np.arange(400, 2501, 5.0)
    curves = spectra.reflectance(nm)
    assert curves.shape == (len(spectra.MATERIALS), len(nm))
    assert curves.min() >= 0
    assert curves.max() < 1

    def ndvi(material):
        red, nir = spectra.reflectance(np.array([665.0, 842.0]))[spectra.index(material)]
        return (nir - red) / (nir + red)

    assert ndvi("leaf") > 0.8
    assert ndvi("soil") < 0.3
    assert ndvi("clear_water") < 0
    green, swir = spectra.reflectance(np.array([560.0, 1610.0]))[spectra.index("snow")]
    assert (green - swir) / (green + swir) > 0.8


def test_a_band_is_the_gaussian_mean_of_the_curve():
    nm = np.arange(400, 1400, 0.5)
    weight = np.exp(-0.5 * ((nm - 705) / (60 / 2.3548)) ** 2)
    expected = (spectra.reflectance(nm) * weight).sum(1) / weight.sum()
    assert spectra.seen_by(np.array([705.0]), np.array([60.0]))[:, 0] == pytest.approx(expected, abs=2e-3)


def test_air_is_blue_and_opaque_where_water_absorbs():
    nm = np.array([443.0, 560.0, 865.0, 1375.0, 1610.0])
    assert atmosphere.rayleigh_depth(nm[:3]) == pytest.approx([0.2361, 0.0902, 0.0155], rel=0.03)
    path, through, _ = atmosphere.terms(nm, atmosphere.Atmosphere(), np.radians(50))
    assert path[0] > path[1] > path[2]
    assert through[3] < 0.01
    assert (through[[1, 2, 4]] > 0.7).all()
