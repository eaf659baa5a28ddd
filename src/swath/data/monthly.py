"""Monthly composites of dated images, and the filling of months in which nothing was seen.

Convention: a month holds what lies after its start and up to, and with, the start of the next: an image of 1 May 00:00
belongs to April, one of 1 May 10:00 to May. So does Sen4AgriNet bin (Sykas et al. 2022, doi
10.1109/JSTARS.2022.3164771; pandas calls it right-closed, left-open).
"""

from __future__ import annotations

import numpy as np

from swath.data.composites import median_of_seen
from swath.errors import DataError


def month_starts(first: str, count: int) -> np.ndarray:
    """Starts of `count` months from `first`, such as `2020-01`; `datetime64[D]` `[count]`."""
    return (np.datetime64(first, "M") + np.arange(count)).astype("datetime64[D]")


def monthly_medians(
    values: np.ndarray, valid: np.ndarray, times: np.ndarray, first: str, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Median of each month over what is valid, pixel by pixel; of an even number the mean of the two middle ones.

    Args:
        values: `[T, C, h, w]`.
        valid: `[T, h, w]`, bool.
        times: Time of each image, `datetime64` `[T]` of any precision, in any order.
        first: The first month, such as `2020-01`.
        count: Number of months; images outside of them do not count.

    Returns:
        Medians `[count, C, h, w]`, float32, zero where nothing was seen, and whether anything was, `[count, h, w]`.

    Raises:
        DataError: If there are not as many times as images.
    """
    if not len(values) == len(valid) == len(times):
        raise DataError("A series has not as many times as images", got=len(times), expected=len(values))
    edges = month_starts(first, count + 1).astype("datetime64[us]")
    month = np.searchsorted(edges, np.asarray(times).astype("datetime64[us]"), side="left") - 1
    medians = np.zeros((count, *values.shape[1:]), np.float32)
    seen = np.zeros((count, *valid.shape[1:]), bool)
    for number in range(count):
        of_month = np.flatnonzero(month == number)
        if not len(of_month):
            continue
        dates = np.where(valid[of_month][:, None], values[of_month], np.nan).astype(np.float32)
        times_seen = valid[of_month].sum(0)
        seen[number] = times_seen > 0
        medians[number] = np.where(seen[number], median_of_seen(dates, times_seen), 0)
    return medians, seen


def fill_gaps(values: np.ndarray, valid: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fill what is invalid, pixel by pixel, on the straight line between the valid dates before and after.

    Before the first and after the last valid date the line of the two nearest valid ones goes on, as
    `fill_value="extrapolate"` of xarray and SciPy has it; a single valid date stands for all.

    Args:
        values: `[T, C, h, w]`.
        valid: `[T, h, w]`, bool.
        times: Rising `datetime64` or numbers `[T]`, for example the starts of months.

    Returns:
        Filled values, float32, and validity: all dates of a pixel that was valid at any.
    """
    order = np.argsort(~valid, axis=0, kind="stable")  # of each pixel the valid dates, then the others
    count = valid.sum(0)
    at = np.arange(len(valid))[:, None, None]
    after = np.clip(np.cumsum(valid, axis=0), 1, np.maximum(count - 1, 1))  # the valid date behind, of the valid ones
    low = np.take_along_axis(order, np.broadcast_to(after - 1, valid.shape), 0)
    high = np.take_along_axis(order, np.minimum(after, np.maximum(count - 1, 0)), 0)
    days = (np.asarray(times) - np.asarray(times)[0]).astype(np.float64)
    step = days[high] - days[low]
    share = np.where(step > 0, (days[at] - days[low]) / np.where(step > 0, step, 1), 0)[:, None]
    start, stop = (np.take_along_axis(values, place[:, None], 0) for place in (low, high))
    filled = np.where(valid[:, None], values, start + share * (stop - start))
    known = np.broadcast_to(count > 0, valid.shape)
    return np.where(known[:, None], filled, 0).astype(np.float32), known.copy()
