"""Noise against its definition: interpolated lattice values, moments, independence of the window."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import BSpline

from swath.simulate import noise


def test_hash_is_uniform_and_uncorrelated():
    values = noise.uniform(np.arange(300)[None], np.arange(300)[:, None], 5)
    counts = np.histogram(values, 20, (0, 1))[0]
    assert abs(values.mean() - 0.5) < 0.005
    # chi-square with 19 degrees of freedom stays below 43.8 in 99.9 % of cases
    assert ((counts - 4500) ** 2 / 4500).sum() < 43.8
    for shifted in (values[1:, :-1], values[:-1, 1:]):
        assert abs(np.corrcoef(values[:-1, :-1].ravel(), shifted.ravel())[0, 1]) < 0.02


def test_one_octave_is_the_cubic_b_spline_of_the_lattice():
    x = np.linspace(-37.0, 61.0, 23)
    kernel = BSpline.basis_element(np.arange(-2, 3))

    def spline(at):
        return np.where(np.abs(at) < 2, kernel(np.clip(at, -2, 2)), 0.0)

    index = np.arange(-10, 12)
    lattice = noise.uniform(index[None], index[:, None], 9) * 2 - 1
    weights = spline(x[:, None] / 10.0 - index)
    expected = weights @ lattice @ weights.T
    got = noise.fractal(x, x, 10.0, 9, octaves=1)
    assert np.corrcoef(got.ravel(), expected.ravel())[0, 1] > 1 - 1e-6
    assert got == pytest.approx(expected * (got.std() / expected.std()), abs=1e-4)


def test_moments_are_about_standard():
    axis = np.arange(0, 40000, 20.0)
    field = noise.fractal(axis, axis, 400, 1, 5)
    assert abs(float(field.mean())) < 0.1
    assert 0.85 < float(field.std()) < 1.15


@settings(deadline=None, max_examples=25)
@given(st.integers(-200, 200), st.integers(1, 30), st.integers(1, 30))
def test_any_window_is_a_part_of_the_whole(start, width, height):
    x, y = np.arange(-300, 400) * 2.5, 5e6 - np.arange(0, 60) * 2.5
    whole = noise.fractal(x, y, 90, 4, 3)
    first = start + 300
    part = noise.fractal(x[first : first + width], y[:height], 90, 4, 3)
    assert part == pytest.approx(whole[:height, first : first + width], abs=1e-5)


def test_points_agree_with_the_grid():
    x, y = np.linspace(0, 500, 17), np.linspace(900, 400, 13)
    grid = noise.fractal(x, y, 70, 2, 4)
    points = noise.fractal_at(*np.meshgrid(x, y), 70, 2, 4)
    assert points == pytest.approx(grid, abs=1e-4)


def test_keys_are_stable_and_differ():
    assert noise.key(1, "a") == noise.key(1, "a") != noise.key("1a")
