"""Shapes of a swath on the Earth: linear arrays give linear places, and the antimeridian is cut."""

import geopandas as gpd
import numpy as np
import pytest
import shapely

from swath.errors import DataError, GridError
from swath.geo.geolocation import placed_on_earth


def swath_at(lon, lat, step=0.01, shape=(40, 60)):
    """Longitude and latitude of pixel centres on a fine regular grid, which interpolation on the sphere must keep."""
    rows, cols = np.mgrid[: shape[0], : shape[1]] + 0.5
    return (lon + step * cols + 180) % 360 - 180, lat - step * rows


def frame_of(*boxes):
    return gpd.GeoDataFrame({"number": range(len(boxes))}, geometry=[shapely.box(*b) for b in boxes])


def test_places_are_interpolated_between_pixel_centres():
    found = placed_on_earth(frame_of((10, -20, 30.5, -5.25)), *swath_at(-130, 30))
    np.testing.assert_allclose(found.total_bounds, [-129.9, 29.8, -129.695, 29.9475], atol=1e-6)
    assert found.crs == "EPSG:4326"
    assert found["number"].tolist() == [0]


def test_a_shape_across_the_antimeridian_is_cut():
    found = placed_on_earth(frame_of((10, -20, 50, -10), (1, -5, 3, -2)), *swath_at(179.7, 10))
    parts = shapely.get_parts(found.geometry[0])
    assert len(parts) == 2
    assert sum(part.area for part in parts) == pytest.approx(0.4 * 0.1, rel=1e-4)
    assert {round(b, 3) for part in parts for b in part.bounds[::2]} == {179.8, 180.0, -180.0, -179.8}
    assert found.geometry[1].bounds[0] == pytest.approx(179.71, abs=1e-6)


def test_what_has_no_place_is_refused():
    lon, lat = swath_at(0, 0)
    with pytest.raises(DataError, match="do not fit"):
        placed_on_earth(frame_of((0, -1, 1, 0)), lon, lat[:-1])
    with pytest.raises(DataError, match="no place"):
        placed_on_earth(frame_of((0, -1, 1, 0)), lon, np.where(lat < -0.2, -999, lat))
    with pytest.raises(GridError, match="already"):
        placed_on_earth(frame_of((0, -1, 1, 0)).set_crs(4326), lon, lat)
