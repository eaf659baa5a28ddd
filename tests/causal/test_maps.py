"""Chips at even distances over scenes: places, values and holes against the arrays they were cut from."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from swath.causal.maps import ChipGrid
from swath.data.sources import ArraySource
from swath.errors import BandError, ConfigError, DataError
from swath.sensors.bands import Band, Bands

UTM = GeoBox((20, 33), Affine(30, 0, 4e5, 0, -30, 3e5), "EPSG:32636")
DEGREES = GeoBox((200, 300), Affine(1e-3, 0, 32.0, 0, -1e-3, 2.0), "EPSG:4326")


def scene(grid=UTM, bands=2, valid=None):
    values = np.arange(bands * grid.shape[0] * grid.shape[1], dtype=np.float32).reshape(bands, *grid.shape)
    described = Bands("made up", tuple(Band(f"b{i}", "1") for i in range(bands)))
    return ArraySource(values, described, grid, valid), values


def test_chips_are_cut_where_the_map_says():
    source, values = scene()
    chips = ChipGrid([source], size=8, step=4)
    assert chips.grid.shape == (4, 7)
    for row, (images, enough) in enumerate(chips):
        assert enough.all()
        for col in range(7):
            np.testing.assert_array_equal(images[col, 0], values[:, 4 * row : 4 * row + 8, 4 * col : 4 * col + 8])
    # the middle of the cell is the middle of its chip
    assert chips.grid.affine @ (2.5, 1.5) == pytest.approx(UTM.affine @ (2 * 4 + 4, 1 * 4 + 4))
    assert chips.grid.resolution.x == 120


def test_frames_lie_side_by_side():
    first, values = scene()
    second = ArraySource(values + 1000, first.bands, UTM)
    images, _ = next(iter(ChipGrid([first, second], size=8)))
    assert images.shape == (4, 2, 2, 8, 8)
    np.testing.assert_array_equal(images[:, 1], images[:, 0] + 1000)


def test_holes_take_the_mean_and_empty_chips_say_so():
    valid = np.ones(UTM.shape, bool)
    valid[:8, :3] = False  # three of eight columns of the first chip, five of the second
    valid[:8, 11:16] = False
    source, values = scene(valid=valid)
    images, enough = next(iter(ChipGrid([source], size=8)))
    np.testing.assert_array_equal(enough, [True, False, True, True])
    mean = values[:, :8, 3:8].mean(axis=(1, 2))
    np.testing.assert_allclose(images[0, 0, :, :, :3], np.broadcast_to(mean[:, None, None], (2, 8, 3)))


def test_another_resolution_warps():
    source, _ = scene()
    chips = ChipGrid([source], size=4, resolution=60)
    assert chips.grid.resolution.x == 240
    assert chips.grid.crs == UTM.crs


def test_a_scene_in_degrees_becomes_metres():
    source, _ = scene(DEGREES)
    with pytest.raises(ConfigError, match="geographic"):
        ChipGrid([source], size=8)
    chips = ChipGrid([source], size=8, resolution=100)
    assert chips.grid.crs.epsg == 32636
    assert chips.grid.resolution.x == 800
    images, enough = list(chips)[5]
    assert enough.any()
    assert np.isfinite(images).all()


def test_what_cannot_be_cut():
    source, _ = scene()
    with pytest.raises(DataError, match="smaller than a chip"):
        ChipGrid([source], size=21)
    with pytest.raises(ConfigError, match="positive"):
        ChipGrid([source], size=8, step=0)
    with pytest.raises(BandError, match="different bands"):
        ChipGrid([source, scene(bands=3)[0]], size=8)
