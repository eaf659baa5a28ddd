import numpy as np
import pytest
import shapely
from pyproj import Transformer

from geo.grid_cases import north_up
from swath.errors import GridError
from swath.geo.areas import cell_areas
from swath.geo.grids import pixel_grid
from swath.geo.windows import Window


def geodesic_area(grid, row, col):
    """Area of one pixel whose sides are cut into a hundred geodesics each."""
    x, y = grid.affine @ (col, row)
    size = grid.affine.a
    ring = shapely.get_coordinates(shapely.segmentize(shapely.box(x, y - size, x + size, y), size / 100))
    crs = grid.crs.proj
    lon, lat = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(*ring.T)
    return abs(crs.get_geod().polygon_area_perimeter(lon, lat)[0])


@pytest.mark.parametrize(
    ("crs", "x", "y", "size"),
    [
        ("EPSG:4326", 10, 50, 0.01),
        ("EPSG:4326", 179.9, -70, 0.01),
        ("EPSG:32632", 700_000, 5_300_000, 30),
        ("EPSG:3035", 4_000_000, 3_000_000, 100),
        ("EPSG:3857", 1_000_000, 6_000_000, 100),
        ("EPSG:3995", 100_000, -100_000, 100),
        ("EPSG:2264", 1_500_000, 700_000, 100),
        ("EPSG:6933", 1_000_000, 5_000_000, 1000),
    ],
)
def test_areas_are_those_of_geodesic_polygons(crs, x, y, size):
    grid = north_up(crs, x, y, size, 90, 120)
    areas = cell_areas(grid, Window(0, 0, 90, 120))
    for row, col in ((0, 0), (89, 40), (44, 119)):
        assert areas[row, col] == pytest.approx(geodesic_area(grid, row, col), rel=1e-6)


def test_the_globe_has_the_area_of_its_ellipsoid():
    grid = north_up("EPSG:4326", -180, 90, 1, 180, 360)
    # WGS 84: 510,065,621.724 square kilometres
    assert cell_areas(grid, Window(0, 0, 180, 360)).sum() == pytest.approx(510_065_621.724e6, rel=1e-11)
    assert (cell_areas(grid, Window(-3, 0, 3, 4)) == 0).all()


def test_a_window_has_the_areas_of_its_part():
    grid = north_up("EPSG:32633", 400_000, 5_000_000, 1000, 100, 100)
    whole, part = cell_areas(grid, Window(0, 0, 100, 100)), cell_areas(grid, Window(20, 30, 7, 9))
    np.testing.assert_allclose(part, whole[20:27, 30:39], rtol=2e-6)


def test_a_picture_has_no_areas():
    with pytest.raises(GridError, match="coordinate reference system"):
        cell_areas(pixel_grid(5, 5), Window(0, 0, 5, 5))
