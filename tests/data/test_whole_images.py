"""Images shrunk to squares: means over ground, by hand."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from swath.data.scenes import Collection, Scene
from swath.data.sources import ArraySource
from swath.data.whole_images import ImageLabel, SmallSource, small_scene, whole_images
from swath.geo.grids import pixel_grid
from swath.geo.windows import Window, whole
from swath.sensors.bands import Band, Bands

BANDS = Bands("s", (Band("b", "dn", nodata=0),))


def source(values):
    values = np.asarray(values, np.uint16)[None]
    return ArraySource(values, BANDS, pixel_grid(*values.shape[1:]))


def small(values, size):
    found, valid = SmallSource(source(values), size).read(whole((size, size)))
    return found[0], valid


def test_pixels_are_means_of_the_ground_that_they_cover():
    values, valid = small([[10, 20, 30, 40], [30, 40, 50, 60]], 2)
    # each covers one row and two columns
    assert values.tolist() == [[15, 35], [35, 55]]
    assert valid.all()


def test_pixels_share_what_lies_between_them():
    values, _ = small([[10, 20, 40]] * 3, 2)
    # the middle column counts half in each
    np.testing.assert_allclose(values, [[40 / 3, 100 / 3]] * 2, rtol=1e-6)


def test_small_images_are_enlarged():
    values, _ = small([[1, 2], [3, 4]], 4)
    assert values.tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]


def test_what_is_invalid_counts_for_nothing():
    values, valid = small([[0, 8, 0, 0], [8, 8, 0, 6], [5, 5, 5, 5], [5, 5, 5, 5]], 2)
    assert valid.tolist() == [[True, False], [True, True]]  # three quarters are valid, and one
    assert values.tolist() == [[8, 0], [5, 5]]


def test_the_grid_covers_the_same_ground():
    grid = GeoBox((100, 200), Affine(10, 0, 5e5, 0, -10, 5e6), "EPSG:32632")
    found = SmallSource(ArraySource(np.ones((1, 100, 200), np.uint16), BANDS, grid), 50)
    assert found.grid.shape == (50, 50)
    assert found.grid.boundingbox == grid.boundingbox
    assert found.bands[0].nodata is None


def test_scenes_that_share_an_image_go_on_sharing_it():
    shared, other = source(np.ones((4, 4))), source(np.ones((4, 4)))
    scenes = [Scene(str(n), {"image": s}, ImageLabel(n)) for n, s in enumerate((shared, shared, other))]
    first, second, third = (scene.layers["image"] for scene in whole_images(Collection(tuple(scenes)), 2))
    assert first is second
    assert first is not third


@pytest.mark.parametrize("shape", [(3, 5), (1, 1)])
def test_the_label_of_an_image_is_the_same_everywhere(shape):
    scene = small_scene(Scene("a", {"image": source(np.ones((4, 4)))}, ImageLabel(7)), 2)
    assert (scene.labels.read(pixel_grid(*shape)) == np.full(shape, 7)).all()
    values, valid = scene.layers["image"].read(Window(1, 1, 2, 2))
    assert values[0].tolist() == [[1, 0], [0, 0]]
    assert valid.tolist() == [[True, False], [False, False]]
