import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swath.geo.lattice import interpolate


class Counted:
    """A function that counts how many of its values were asked for."""

    def __init__(self, function):
        self.function, self.count = function, 0

    def __call__(self, rows, cols):
        self.count += len(rows) * len(cols)
        return self.function(rows[:, None], cols[None, :])


@settings(deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.floats(0.001, 1), st.floats(-0.01, 0.01), st.floats(-0.01, 0.01))
def test_values_are_right_to_the_tolerance(height, width, tolerance, bend, twist):
    function = Counted(lambda r, c: 3 * r - c + bend * r**2 + twist * r * c - bend * c**2)
    rows, cols = np.mgrid[:height, :width] + 0.5
    got, _ = interpolate(function, (height, width), tolerance)
    np.testing.assert_allclose(got, function.function(rows, cols), atol=tolerance)


def test_smooth_functions_cost_little_and_steps_are_exact():
    line = Counted(lambda r, c: r + 2 * c)
    interpolate(line, (500, 500), 0.1)
    assert line.count == 25
    step = Counted(lambda r, c: np.where(r + c > 333.3, 100.0, 0.0))
    got, _ = interpolate(step, (300, 200), 0.1)
    rows, cols = np.mgrid[:300, :200] + 0.5
    np.testing.assert_array_equal(got, step.function(rows, cols))


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1)])
def test_single_rows_and_columns(shape):
    got, lattice = interpolate(lambda r, c: np.stack([r[:, None] + 0 * c, c + 0 * r[:, None]]), shape, 0.1)
    np.testing.assert_allclose(got, np.mgrid[: shape[0], : shape[1]] + 0.5)
    assert lattice.shape[1:] <= shape
