"""Pictures averaged to fewer pixels, and labels with them."""

import numpy as np
import pytest

from swath.data.classes import Classes
from swath.data.labels import RasterLabels
from swath.data.reduced import with_reduced_pictures
from swath.data.scenes import Collection, Scene
from swath.data.sources import ArraySource
from swath.errors import ConfigError
from swath.geo.grids import pixel_grid
from swath.geo.windows import Window, whole
from swath.sensors.bands import Band, Bands
from swath.sensors.catalogue import resolve


@pytest.fixture
def data():
    image = np.random.default_rng(0).integers(0, 255, (3, 12, 18), dtype=np.uint8)
    codes = np.kron(np.arange(24).reshape(4, 6) % 2, np.ones((3, 3))).astype(np.uint8)[None]
    grid = pixel_grid(12, 18)
    labels = RasterLabels(ArraySource(codes, Bands("mask", (Band("class", "1"),)), grid), Classes.of(2))
    return Collection((Scene("a", {"image": ArraySource(image, resolve("rgb"), grid)}, labels),), Classes.of(2))


def test_pixels_are_means_of_squares_and_labels_are_theirs(data):
    scene = with_reduced_pictures(data, 3)[0]
    assert tuple(scene.grid.shape) == (4, 6)
    values, valid = scene.layers["image"].read(whole(scene.grid.shape))
    full, _ = data[0].layers["image"].read(whole((12, 18)))
    assert valid.all()
    assert np.abs(values - full.reshape(3, 4, 3, 6, 3).mean((2, 4))).max() <= 0.5 + 1e-6
    assert np.array_equal(scene.labels.read(scene.grid), np.arange(24).reshape(4, 6) % 2)


def test_a_window_is_part_of_the_whole_and_nothing_is_beyond(data):
    source = with_reduced_pictures(data, 3)[0].layers["image"]
    whole_values, _ = source.read(Window(0, 0, 4, 6))
    values, valid = source.read(Window(-1, 2, 4, 6))
    assert np.array_equal(values[:, 1:, :4], whole_values[:, :3, 2:])
    assert not valid[0].any()
    assert not valid[:, 4:].any()
    assert not source.read(Window(9, 9, 2, 2))[1].any()


def test_a_factor_of_nothing_is_refused(data):
    with pytest.raises(ConfigError, match="this factor"):
        with_reduced_pictures(data, 0)
