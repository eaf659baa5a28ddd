"""Monthly composites and the filling of gaps against xarray and pandas."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from swath.data.monthly import fill_gaps, month_starts, monthly_medians
from swath.errors import DataError


def series(count, seed):
    """Values `[T, 2, 2, 3]`, validity, and times of which some are starts of months."""
    rng = np.random.default_rng(seed)
    days = rng.integers(-20, 400, count)
    starts = month_starts("2020-01", 13)
    times = (
        np.datetime64("2020-01-01", "s") + days * np.timedelta64(1, "D") + rng.integers(0, 2) * np.timedelta64(9, "h")
    )
    at_start = rng.random(count) < 0.3
    times = np.where(at_start, starts[rng.integers(0, 13, count)].astype("datetime64[s]"), times)
    return rng.normal(0, 1, (count, 2, 2, 3)).astype(np.float32), rng.random((count, 2, 3)) < 0.7, times


def by_xarray(values, valid, times):
    """As Sen4AgriNet bins: edges at the starts of months, closed on the right, labelled by the start."""
    array = xr.DataArray(
        np.where(valid[:, None], values, np.nan),
        dims=("time", "c", "y", "x"),
        coords={"time": times.astype("datetime64[ns]")},
    )
    edges = pd.date_range("2020-01-01", "2021-01-01", freq="MS")
    binned = array.groupby_bins("time", edges, right=True, include_lowest=False, labels=edges[:-1])
    medians = binned.median("time", skipna=True)
    return medians.rename(time_bins="time").reindex(time=edges[:-1])


@pytest.mark.filterwarnings("ignore:All-NaN slice")
@settings(deadline=None, max_examples=25)
@given(count=st.integers(1, 30), seed=st.integers(0, 999))
def test_medians_are_those_of_xarray_right_closed_and_left_open(count, seed):
    values, valid, times = series(count, seed)
    inside = (times > np.datetime64("2020-01-01")) & (times <= np.datetime64("2021-01-01"))
    found, seen = monthly_medians(values, valid, times, "2020-01", 12)
    if not inside.any():
        assert not seen.any()
        return
    expected = by_xarray(values, valid, times).transpose("time", "c", "y", "x").values
    np.testing.assert_array_equal(seen, np.isfinite(expected[:, 0]))
    np.testing.assert_allclose(found, np.nan_to_num(expected), atol=1e-6)


def test_the_start_of_a_month_belongs_to_the_month_before():
    values = np.array([1.0, 2, 3, 4]).reshape(4, 1, 1, 1)
    times = np.array(["2020-04-30T12", "2020-05-01T00", "2020-05-01T01", "2020-04-01T00"], "datetime64[h]")
    found, seen = monthly_medians(values, np.ones((4, 1, 1), bool), times, "2020-04", 2)
    assert found.ravel().tolist() == [1.5, 3]  # the first of April belongs to March, which was not asked for
    assert seen.all()
    with pytest.raises(DataError):
        monthly_medians(values, np.ones((4, 1, 1), bool), times[:2], "2020-04", 2)


@settings(deadline=None, max_examples=40)
@given(count=st.integers(1, 12), seed=st.integers(0, 999), share=st.floats(0, 1))
def test_gaps_are_filled_as_xarray_fills_them(count, seed, share):
    rng = np.random.default_rng(seed)
    values, valid = rng.normal(0, 1, (count, 2, 2, 3)).astype(np.float32), rng.random((count, 2, 3)) < share
    times = month_starts("2020-01", count)
    found, known = fill_gaps(values, valid, times)
    np.testing.assert_array_equal(known, np.broadcast_to(valid.any(0), valid.shape))
    array = xr.DataArray(
        np.where(valid[:, None], values, np.nan),
        dims=("time", "c", "y", "x"),
        coords={"time": times.astype("datetime64[ns]")},
    )
    enough = valid.sum(0) >= 2  # xarray draws no line through one point
    if enough.any():
        lined = array.where(xr.DataArray(enough, dims=("y", "x")))
        expected = lined.interpolate_na("time", method="linear", fill_value="extrapolate").values
        np.testing.assert_allclose(found[:, :, enough], expected[:, :, enough], atol=1e-4)
    once = valid.sum(0) == 1
    for y, x in zip(*np.nonzero(once), strict=True):
        (date,) = np.flatnonzero(valid[:, y, x])
        assert (found[:, :, y, x] == values[date, :, y, x]).all()
    assert not found[np.broadcast_to(~known[:, None], found.shape)].any()


def test_empty_first_and_last_months_go_on_along_the_line_by_hand():
    """Starts of February and March lie 29 days apart in 2020, those of March and April 31."""
    values = np.array([0.0, 0, 29, 0]).reshape(4, 1, 1, 1)
    valid = np.array([False, True, True, False]).reshape(4, 1, 1)
    found, _ = fill_gaps(values, valid, month_starts("2020-01", 4))
    assert found.ravel().tolist() == [-31, 0, 29, 60]
