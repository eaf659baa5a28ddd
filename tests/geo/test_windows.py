import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swath.errors import GridError
from swath.geo.windows import Window, union, whole

windows = st.builds(Window, st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 12), st.integers(0, 12))


def pixels(window):
    """The pixels of a window, one by one."""
    rows, cols = range(window.row, window.row_stop), range(window.col, window.col_stop)
    return {(r, c) for r in rows for c in cols}


@settings(deadline=None)
@given(windows, windows)
def test_sets_of_pixels(a, b):
    assert pixels(a.intersect(b)) == pixels(a) & pixels(b)
    assert pixels(union([a, b])) >= pixels(a) | pixels(b)
    if not b.empty:
        assert a.contains(b) == (pixels(a) >= pixels(b))
    assert a.empty == (not pixels(a))


@settings(deadline=None)
@given(windows, st.integers(-20, 9))
def test_padding(window, by):
    padded = window.pad(by)
    if 2 * by >= -min(window.shape):
        assert padded.shape == (window.height + 2 * by, window.width + 2 * by)
    if by >= 0:
        near = {(r + i, c + j) for r, c in pixels(window) for i in (-by, 0, by) for j in (-by, 0, by)}
        assert near <= pixels(padded)
    else:
        assert pixels(padded) <= pixels(window)


@settings(deadline=None)
@given(windows, windows)
def test_shifts_go_there_and_back(window, origin):
    assert window.relative_to(origin).shift(origin.row, origin.col) == window


def test_slices():
    array = np.arange(30).reshape(5, 6)
    np.testing.assert_array_equal(array[Window(1, 2, 3, 4).slices], array[1:4, 2:6])
    assert whole(array.shape) == Window(0, 0, 5, 6)
    with pytest.raises(GridError):
        _ = Window(-1, 0, 3, 3).slices
    with pytest.raises(GridError):
        Window(0, 0, -1, 3)
    with pytest.raises(GridError):
        union([])
