"""Statistics of units in dated images, and the filling of dates in which nothing was seen."""

from datetime import datetime

import numpy as np

import tiny
from swath.data.monthly_series import MonthlySeries
from swath.data.series import Frame, Series
from swath.data.sources import ArraySource
from swath.data.unit_series import filled_steps, unit_features, unit_values
from swath.sensors.bands import Band, Bands

BANDS = Bands("s", (Band("a", "reflectance", scale=0.01, offset=-0.1, aliases=("red",)), Band("b", "reflectance")))
GRID = tiny.grid(20, 20)
UNITS = tiny.boxes([(0, 0, 5, 5), (10, 8, 6, 4), (16, 16, 4, 4)], GRID)


def _series(months=(4, 5), hidden=None):
    rng = np.random.default_rng(0)
    frames, stored = [], []
    for number, month in enumerate(months):
        values = rng.normal(50, 9, (2, 20, 20)).astype(np.float32)
        valid = np.ones((20, 20), bool)
        if number == hidden:
            valid[:6, :6] = False
        frames.append(Frame(datetime(2020, month, 12), ArraySource(values, BANDS, GRID, valid)))
        stored.append(values)
    return Series(tuple(frames)), np.stack(stored)


def test_numbers_of_a_date_are_those_of_numpy_in_physical_units():
    series, stored = _series()
    found = unit_values(series, UNITS.to_crs(4326))
    assert found.shape == (3, 2, 4)
    assert unit_features(BANDS).names == ("a_mean", "a_std", "b_mean", "b_std")
    assert unit_features(BANDS).index("red") == 0
    for unit, (row, col, height, width) in enumerate([(0, 0, 5, 5), (10, 8, 6, 4), (16, 16, 4, 4)]):
        inside = stored[1, :, row : row + height, col : col + width].reshape(2, -1)
        expected = [0.01 * inside[0].mean() - 0.1, 0.01 * inside[0].std(), inside[1].mean(), inside[1].std()]
        np.testing.assert_allclose(found[unit, 1], expected, rtol=1e-5)


def test_dates_without_a_valid_pixel_are_filled_between_their_neighbours():
    series, _ = _series((4, 5, 6), hidden=1)
    found = unit_values(series, UNITS)
    assert np.isnan(found[0, 1]).all()
    assert np.isfinite(found[1]).all()
    whole = filled_steps(found, np.array([0, 10, 40]))
    np.testing.assert_allclose(whole[0, 1], found[0, 0] + 0.25 * (found[0, 2] - found[0, 0]), rtol=1e-6)
    np.testing.assert_array_equal(whole[1:], found[1:])


def test_before_the_first_and_after_the_last_date_the_line_is_level_and_nothing_stays_nothing():
    values = np.full((2, 4, 1), np.nan, np.float32)
    values[0, 1:3, 0] = (1, 3)
    whole = filled_steps(values, np.arange(4))
    assert whole[0, :, 0].tolist() == [1, 1, 3, 3]
    assert np.isnan(whole[1]).all()


def test_of_months_the_median_is_what_counts():
    series, stored = _series((4, 4, 4, 6))
    found = unit_values(MonthlySeries(series.frames, first=4, last=6), UNITS)
    assert found.shape == (3, 3, 4)
    median = np.median(stored[:3, 1, 10:16, 8:12], 0)
    np.testing.assert_allclose(found[1, 0, 2:], [median.mean(), median.std()], rtol=1e-5)
    # May lies 30 of the 61 days between April and June
    may = median + 30 / 61 * (stored[3, 1, 10:16, 8:12] - median)
    np.testing.assert_allclose(found[1, 1, 2], may.mean(), rtol=1e-5)
