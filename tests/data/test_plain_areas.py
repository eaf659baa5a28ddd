"""Plain areas of pictures are no data, whatever window is read."""

import numpy as np
import pytest
from scipy import ndimage

from swath.data.plain_areas import EDGE, PlainAreaIsNoData
from swath.data.sources import ArraySource
from swath.geo.grids import pixel_grid
from swath.geo.windows import Window, whole
from swath.sensors.catalogue import resolve


@pytest.mark.parametrize("value", [255, 0])
def test_validity_does_not_depend_on_the_window(value):
    rng = np.random.default_rng(1)
    white = ndimage.zoom(rng.random((6, 6)), 20, order=1) > 0.6
    image = np.where(white, value, 80).astype(np.uint8)[None].repeat(3, 0)
    grid = pixel_grid(*white.shape)
    source = PlainAreaIsNoData(ArraySource(image, resolve("rgb"), grid), value)
    _, valid = source.read(whole(grid.shape))
    around = np.pad(white, EDGE, constant_values=True)
    opened = ndimage.binary_opening(around, np.ones((EDGE, EDGE)))[EDGE:-EDGE, EDGE:-EDGE]
    assert np.array_equal(valid, ~opened)
    assert 0 < valid.mean() < 1
    for window in (Window(0, 0, 13, 40), Window(31, 55, 60, 20), Window(100, 100, 40, 40)):
        _, part = source.read(window)
        inside = window.intersect(whole(grid.shape))
        assert np.array_equal(part[inside.relative_to(window).slices], valid[inside.slices])
