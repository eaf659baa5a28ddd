import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from geo.grid_cases import centres, north_up
from swath.errors import GridError
from swath.geo.grids import pixel_grid, window_grid
from swath.geo.positions import pixel_map
from swath.geo.windows import Window


def exact(to, of):
    """Positions by a transform of every pixel centre."""
    x, y = Transformer.from_crs(to.crs.proj, of.crs.proj, always_xy=True).transform(*centres(to))
    a = ~of.affine
    return a.d * x + a.e * y + a.f, a.a * x + a.b * y + a.c


def found(positions):
    rows, cols = np.broadcast_arrays(positions.rows, positions.cols)
    return rows + float(positions.origin[0]), cols + float(positions.origin[1])


@settings(deadline=None, max_examples=25)
@given(
    lon=st.floats(-179, 179),
    lat=st.floats(-75, 75),
    zones=st.tuples(st.integers(-1, 1), st.sampled_from([5.0, 10.0, 60.0])),
    shape=st.tuples(st.integers(1, 200), st.integers(1, 200)),
    tolerance=st.sampled_from([0.125, 0.01]),
)
def test_positions_between_utm_zones_are_right_to_the_tolerance(lon, lat, zones, shape, tolerance):
    zone = min(60, max(1, int((lon + 180) // 6) + 1))
    other = (zone - 1 + zones[0]) % 60 + 1
    hemisphere = 32600 if lat >= 0 else 32700
    x, y = Transformer.from_crs(4326, hemisphere + zone, always_xy=True).transform(lon, lat)
    to = north_up(f"EPSG:{hemisphere + zone}", x, y, zones[1], *shape)
    x, y = Transformer.from_crs(4326, hemisphere + other, always_xy=True).transform(lon, lat)
    of = north_up(f"EPSG:{hemisphere + other}", x - 1000, y + 1000, 10.0, 400, 400)
    for got, true in zip(found(pixel_map(to, of, tolerance)), exact(to, of), strict=True):
        assert np.abs(got - true).max() <= tolerance


@pytest.mark.parametrize("corner", [(-500.0, 500.0), (-30.0, 80.0)])
def test_positions_near_the_pole_are_exact(corner):
    to = north_up("EPSG:3995", corner[0] * 1000, corner[1] * 1000, 10_000.0, 100, 100)
    of = north_up("EPSG:4326", -180, 90, 0.25, 720, 1440)
    rows, cols = found(pixel_map(to, of))
    true_rows, true_cols = exact(to, of)
    assert np.abs(rows - true_rows).max() < 0.125
    # columns count around the globe, from wherever the target lies
    apart = (cols - true_cols + 720) % 1440 - 720
    assert np.abs(apart).max() < 0.125


def test_a_window_of_the_same_grid_is_a_shift():
    grid = north_up("EPSG:32633", 4e5, 5e6, 10.0, 1000, 1000)
    positions = pixel_map(window_grid(grid, Window(17, -5, 20, 30)), grid)
    assert positions.shift == (17, -5)
    assert positions.separable
    assert positions.shape == (20, 30)


def test_the_same_crs_at_another_resolution_is_separable_and_exact():
    of = north_up("EPSG:32633", 4e5, 5e6, 10.0, 100, 100)
    to = north_up("EPSG:32633", 4e5 + 5, 5e6, 20.0, 4, 3)
    rows, cols = found(pixel_map(to, of))
    assert pixel_map(to, of).scale == (2.0, 2.0)
    np.testing.assert_allclose(rows[:, 0], [1, 3, 5, 7])
    np.testing.assert_allclose(cols[0], [1.5, 3.5, 5.5])


def test_positions_keep_their_precision_far_from_the_origin():
    of = north_up("EPSG:32633", 0, 9e6, 0.1, 90_000_000, 9_000_000)
    to = north_up("EPSG:32633", 5e5 + 0.025, 4e6, 0.05, 4, 4)
    positions = pixel_map(to, of)
    np.testing.assert_allclose(positions.cols[0] + positions.origin[1] - 5e6, [0.5, 1.0, 1.5, 2.0], atol=1e-6)


def test_longitudes_are_unwrapped_around_the_source():
    of = north_up("EPSG:4326", 170, 10, 0.5, 40, 40)
    to = north_up("EPSG:4326", -179, 5, 0.5, 4, 4)
    positions = pixel_map(to, of)
    assert positions.shift == (10, 22)
    whole_globe = north_up("EPSG:4326", -180, 90, 10, 18, 36)
    _, cols = found(pixel_map(whole_globe, of))
    assert ((cols >= 0) & (cols < 40)).sum() > 0
    assert cols.min() >= -(180 - 10) / 0.5
    assert cols.max() <= (180 + 10) / 0.5


def test_undefined_positions_are_nan():
    to = north_up("EPSG:4326", -180, 100, 1.0, 20, 10)
    positions = pixel_map(to, north_up("EPSG:3995", -1e6, 1e6, 1e4, 200, 200))
    assert np.isnan(positions.rows[:10]).all()
    assert np.isfinite(positions.rows[10:]).all()


@pytest.mark.parametrize("order", [1, -1])
def test_a_picture_is_not_warped_to_a_map(order):
    grids = [north_up("EPSG:32633", 4e5, 5e6, 10.0, 10, 10), pixel_grid(10, 10)][::order]
    with pytest.raises(GridError, match="no coordinate reference system"):
        pixel_map(*grids)


def test_a_crop_of_a_picture_is_a_shift():
    picture = pixel_grid(50, 60)
    assert pixel_map(window_grid(picture, Window(3, 4, 5, 6)), picture).shift == (3, 4)
