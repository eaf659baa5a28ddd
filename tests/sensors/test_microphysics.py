"""The stretch of day microphysics: its ends, its middle, and where it says nothing."""

import numpy as np
import pytest

from swath.errors import DataError
from swath.sensors.microphysics import HIGHEST, LOWEST, day_microphysics, is_day


def test_ends_become_0_and_255_and_beyond_them_nothing_more():
    values = np.array([LOWEST, HIGHEST, np.add(LOWEST, HIGHEST) / 2, np.subtract(LOWEST, 9), np.add(HIGHEST, 9)])
    picture, valid = day_microphysics(*values.T[:, None])
    assert picture.dtype == np.uint8
    assert picture[:, 0].T.tolist() == [[0] * 3, [255] * 3, [128] * 3, [0] * 3, [255] * 3]
    assert valid.all()


def test_a_step_of_each_band_by_hand():
    """One byte is 76.765349 / 255 = 0.30104 per cent of band 1, 0.07934 of band 20 and 0.25175 K of band 31."""
    for band, step in enumerate((0.30104, 0.07934, 0.25175)):
        values = [np.full((1, 1), low) for low in LOWEST]
        values[band] = values[band] + 7 * step
        assert day_microphysics(*values)[0].ravel().tolist() == [7 if b == band else 0 for b in range(3)]


def test_night_and_gaps_are_invalid():
    bands = np.full((3, 2, 2), 50.0)
    bands[1, 0, 0] = np.nan
    zenith = np.array([[10.0, 89.9], [90.0, np.nan]])
    picture, valid = day_microphysics(*bands, zenith)
    assert valid.tolist() == [[False, True], [False, False]]
    assert (picture[:, ~valid] == 0).all()
    assert is_day(np.array([0.0, 100.0])).tolist() == [True, False]


def test_bands_of_other_shapes_are_refused():
    with pytest.raises(DataError, match="differ in shape"):
        day_microphysics(np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 3)))
