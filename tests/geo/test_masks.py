"""Masks of single shapes and outlines of masks: one is the other's inverse on pixels."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

import tiny
from swath.errors import GridError
from swath.geo.masks import crop, mask_outline, masks_of, picture_grid
from swath.geo.windows import Window


@given(mask=some.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))), row=st.integers(0, 5))
@settings(deadline=None, max_examples=60)
def test_an_outline_covers_the_same_pixels_again_and_has_their_area(mask, row):
    outline = mask_outline(mask, row, 2)
    assert outline.area == mask.sum()
    found = list(masks_of(np.array([outline], object), None, picture_grid((16, 12))))
    whole = np.zeros((16, 12), bool)
    for _, window, part in found:
        whole[window.slices] = part
    assert len(found) == mask.any()
    assert np.array_equal(whole[row : row + mask.shape[0], 2 : 2 + mask.shape[1]], mask)
    assert whole.sum() == mask.sum()


def test_shapes_of_another_crs_come_out_one_by_one_in_the_smallest_window():
    grid = tiny.grid(40, 50)
    frame = tiny.boxes([(3, 4, 6, 5), (20, 30, 4, 8), (35, 45, 20, 20)], grid)
    away = frame.to_crs("EPSG:3035").geometry.to_numpy()
    found = {place: (window, mask) for place, window, mask in masks_of(away, frame.to_crs("EPSG:3035").crs, grid)}
    assert {place: window for place, (window, _) in found.items()} == {
        0: Window(3, 4, 6, 5), 1: Window(20, 30, 4, 8), 2: Window(35, 45, 5, 5)
    }  # fmt: skip
    assert all(mask.all() for _, mask in found.values())
    with pytest.raises(GridError, match="CRS"):
        list(masks_of(away, None, grid))


def test_shapes_without_a_pixel_do_not_come_out():
    shapes = np.array([shapely.box(50, 50, 60, 60), shapely.box(1.6, 1.6, 2.4, 2.4)], object)
    assert list(masks_of(shapes, None, picture_grid((9, 9)))) == []
    assert crop(np.zeros((3, 3), bool))[0].empty
