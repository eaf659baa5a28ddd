"""Slope correction on planes, where everything is known."""

import numpy as np
import pytest

from swath.data.terrain_flattening import flatten_terrain, slope_and_aspect
from swath.errors import InputError

_RESOLUTION = (10.0, 20.0)


def _plane(slope, aspect, shape=(9, 12)):
    """Ground that falls by `slope` degrees towards `aspect`."""
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    north, east = -rows * _RESOLUTION[0], cols * _RESOLUTION[1]
    a = np.radians(aspect)
    return 2000 - np.tan(np.radians(slope)) * (east * np.sin(a) + north * np.cos(a))


@pytest.mark.parametrize("slope", [5, 30])
@pytest.mark.parametrize("aspect", [0, 45, 90, 200, 270])
def test_slope_and_aspect_of_planes(slope, aspect):
    found = slope_and_aspect(_plane(slope, aspect), _RESOLUTION)
    np.testing.assert_allclose(found[0], slope, rtol=1e-9)
    np.testing.assert_allclose((found[1] - aspect + 180) % 360, 180, atol=1e-6)


def _flatten(slope, aspect, incidence=40.0, sensor=270.0, **options):
    ground = _plane(slope, aspect)
    return flatten_terrain(
        np.full(ground.shape, 0.1), np.ones(ground.shape, bool), incidence, ground, _RESOLUTION, sensor, **options
    )


def test_flat_ground_gives_gamma_nought():
    gamma, valid = _flatten(0, 0)
    assert valid.all()
    np.testing.assert_allclose(gamma, 0.1 / np.cos(np.radians(40)))


@pytest.mark.parametrize(
    ("aspect", "angle"),
    [
        (270, 20),  # faces the sensor: tan(50) / tan(50 + 20)
        (90, -20),  # faces away
        (0, 0),  # lies across
        (315, np.degrees(np.arctan(np.tan(np.radians(20)) * np.sqrt(0.5)))),
    ],
)
def test_slopes_in_range_by_hand(aspect, angle):
    gamma, valid = _flatten(20, aspect)
    assert valid.all()
    factor = np.tan(np.radians(50)) / np.tan(np.radians(50 + angle))
    np.testing.assert_allclose(gamma, 0.1 / np.cos(np.radians(40)) * factor)


def test_layover_and_shadow_are_invalid():
    assert not _flatten(45, 270)[1].any()  # steeper than the incidence of 40 degrees
    assert _flatten(39, 270)[1].all()
    assert not _flatten(51, 90)[1].any()  # 40 - 90 = -50
    assert _flatten(49, 90)[1].all()


def test_a_buffer_surrounds_layover():
    ground = np.zeros((9, 30))
    ground[:, 15:] = 100.0  # a step of 100 m in 20 m
    arguments = np.full(ground.shape, 0.1), np.ones(ground.shape, bool), 40.0, ground, _RESOLUTION, 270.0
    bare, wide = flatten_terrain(*arguments, buffer=0)[1], flatten_terrain(*arguments, buffer=60)[1]
    assert (~bare[4]).nonzero()[0].tolist() == [14, 15]
    assert (~wide[4]).nonzero()[0].tolist() == list(range(11, 19))  # 60 m are 3 pixels, included


def test_unusable_input_is_refused():
    with pytest.raises(InputError, match="incidence"):
        _flatten(0, 0, incidence=95)
    with pytest.raises(InputError, match="metres a pixel"):
        slope_and_aspect(np.zeros((5, 5)), (0.0, 10.0))
    with pytest.raises(InputError, match="same pixels"):
        flatten_terrain(np.ones((4, 4)), np.ones((4, 4), bool), 40.0, np.ones((4, 5)), _RESOLUTION, 0.0)
