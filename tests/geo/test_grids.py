import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from geo.grid_cases import north_up
from swath.errors import GridError
from swath.geo import grids
from swath.geo.windows import Window

GRID = north_up("EPSG:32633", 400_000, 5_600_000, 10.0, 60, 80)


@settings(deadline=None)
@given(st.integers(-50, 50), st.integers(-50, 50), st.floats(-60, 60), st.floats(-60, 60))
def test_the_grid_of_a_window_has_the_same_pixels(row, col, r, c):
    part = grids.window_grid(GRID, Window(row, col, 7, 9))
    assert grids.shape_of(part) == (7, 9)
    np.testing.assert_allclose(part.affine @ (c, r), GRID.affine @ (c + col, r + row))


@settings(deadline=None)
@given(st.floats(0.1, 100), st.floats(0.1, 100), st.floats(-180, 180), st.floats(-100, 100), st.floats(-100, 100))
def test_coordinates_and_positions_go_there_and_back(width, height, turn, row, col):
    grid = GeoBox((5, 5), Affine.translation(4e5, 5e6) @ Affine.rotation(turn) @ Affine.scale(width, -height), 32633)
    back = grids.positions(grid, *grids.coordinates(grid, row, col))
    np.testing.assert_allclose(back, (row, col), atol=1e-6)


@settings(deadline=None)
@given(
    st.sampled_from([4326, 32633, 3035, 3857, 3995, 2193]),
    st.floats(-0.9, 0.9),
    st.floats(-0.9, 0.9),
)
def test_transforms_go_there_and_back(crs, east, north):
    centre = {4326: (0, 0), 32633: (15, 45), 3035: (10, 52), 3857: (0, 0), 3995: (0, 80), 2193: (173, -41)}[crs]
    lon, lat = centre[0] + 3 * east, centre[1] + 3 * north
    geographic = north_up("EPSG:4326", 0, 0, 1, 2, 2).crs
    other = north_up(f"EPSG:{crs}", 0, 0, 1, 2, 2).crs
    there, back = grids.transformer(geographic, other), grids.transformer(other, geographic)
    np.testing.assert_allclose(back.transform(*there.transform(lon, lat)), (lon, lat), atol=1e-7)


def test_same_grid_tolerates_rounding_only():
    for shift, same in ((0.0, True), (0.005, True), (0.05, False)):
        assert grids.same_grid(GRID, north_up("EPSG:32633", 400_000 + shift, 5_600_000, 10.0, 60, 80)) == same
    assert not grids.same_grid(GRID, north_up("EPSG:32634", 400_000, 5_600_000, 10.0, 60, 80))
    assert not grids.same_grid(GRID, north_up("EPSG:32633", 400_000, 5_600_000, 10.0, 60, 81))
    assert not grids.same_grid(GRID, north_up("EPSG:32633", 400_000, 5_600_000, 10.001, 60, 80))


def test_odd_grids_are_refused():
    turned = GeoBox((5, 5), GRID.affine @ Affine.rotation(3), GRID.crs)
    flipped = GeoBox((5, 5), Affine(10, 0, 0, 0, 10, 0), GRID.crs)
    assert grids.is_north_up(GRID)
    for grid in (turned, flipped):
        with pytest.raises(GridError, match=r"scene.tif is not north-up"):
            grids.require_north_up(grid, "scene.tif")
    assert grids.require_crs(GRID, "scene.tif") == "EPSG:32633"
    with pytest.raises(GridError, match=r"scene.tif has no coordinate"):
        grids.require_crs(grids.pixel_grid(3, 4), "scene.tif")
    assert not grids.is_geographic(GRID)
    assert not grids.is_geographic(grids.pixel_grid(3, 4))
    assert grids.is_geographic(north_up("EPSG:4326", 0, 0, 1, 2, 2))
