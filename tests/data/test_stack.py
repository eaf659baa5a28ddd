"""Bands of several files on one grid."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from swath.data.sources import ArraySource, Source
from swath.data.stack import StackSource
from swath.errors import BandError, DataError, GridError
from swath.geo.grids import pixel_grid
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands


def source(values, size, names, origin=(600000, 5200000), crs="EPSG:32632", sensor="s", valid=None):
    values = np.asarray(values)
    grid = GeoBox(values.shape[1:], Affine(size, 0, origin[0], 0, -size, origin[1]), crs)
    return ArraySource(values, Bands(sensor, tuple(Band(n, "dn") for n in names)), grid, valid, "+".join(names))


def test_the_finest_grid_is_taken_and_coarse_pixels_are_repeated():
    rng = np.random.default_rng(0)
    coarse, fine = (
        rng.integers(0, 200, (1, 10, 12)).astype(np.uint8),
        rng.integers(0, 9999, (2, 20, 24)).astype(np.uint16),
    )
    stack = StackSource([source(coarse, 20, ["B11"]), source(fine, 10, ["B02", "B03"])], resampling="nearest")
    assert isinstance(stack, Source)
    assert stack.bands.names == ("B11", "B02", "B03")
    assert stack.dtype == np.uint16
    assert stack.grid.shape == (20, 24)
    values, valid = stack.read(Window(3, 5, 11, 12))
    repeated = coarse.repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(values, np.concatenate([repeated, fine])[:, 3:14, 5:17])
    assert valid.all()


def test_bilinear_reproduces_a_plane():
    rows, cols = np.mgrid[:10, :10]
    # A plane in metres, sampled at the centres of pixels of 60 m and of 10 m.
    coarse = (2 * (cols + 0.5) * 60 + (rows + 0.5) * 60)[None].astype(np.float32)
    fine_rows, fine_cols = np.mgrid[:60, :60]
    expected = 2 * (fine_cols + 0.5) * 10 + (fine_rows + 0.5) * 10
    stack = StackSource([source(coarse, 60, ["a"]), source(np.zeros((1, 60, 60), np.float32), 10, ["b"])])
    values, valid = stack.read(Window(3, 3, 54, 54))
    assert valid.all()
    np.testing.assert_allclose(values[0], expected[3:57, 3:57], atol=1e-3)


def test_a_pixel_is_valid_where_all_are():
    one, other = np.ones((4, 4), bool), np.ones((4, 4), bool)
    one[0, 1] = other[2, 3] = False
    values = np.ones((1, 4, 4), np.int16)
    stack = StackSource([source(values, 10, ["a"], valid=one), source(values, 10, ["b"], valid=other)], name="both")
    assert stack.name == "both"
    np.testing.assert_array_equal(stack.read(Window(0, 0, 4, 4))[1], one & other)


def test_a_given_grid_and_another_zone():
    values = np.full((1, 50, 50), 7, np.uint8)
    grid = GeoBox((20, 20), Affine(10, 0, 600100, 0, -10, 5199900), "EPSG:32632")
    stack = StackSource(
        [source(values, 10, ["a"]), source(values, 10, ["b"], origin=(143300, 5209900), crs="EPSG:32633")], grid
    )
    read, valid = stack.read(Window(0, 0, 20, 20))
    assert valid.any()
    assert (read[:, valid] == 7).all()


def test_what_cannot_be_stacked():
    values = np.ones((1, 4, 4), np.uint8)
    with pytest.raises(DataError, match="no files"):
        StackSource([])
    with pytest.raises(BandError, match="different sensors"):
        StackSource([source(values, 10, ["a"]), source(values, 10, ["b"], sensor="t")])
    with pytest.raises(BandError, match="twice"):
        StackSource([source(values, 10, ["a"]), source(values, 10, ["a"])])
    picture = ArraySource(values, Bands("s", (Band("p", "dn"),)), pixel_grid(4, 4), name="picture")
    with pytest.raises(GridError, match="picture has no coordinate"):
        StackSource([source(values, 10, ["a"]), picture])
    again = ArraySource(values, Bands("s", (Band("q", "dn"),)), pixel_grid(4, 4))
    assert StackSource([picture, again]).read(Window(0, 0, 4, 4))[0].shape == (2, 4, 4)
