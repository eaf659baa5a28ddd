"""The refined Lee filter: constant images, edges, a slow reference, and the noise that it takes away."""

import numpy as np
import pytest

from swath.data.speckle import refined_lee, to_decibel, to_power
from swath.errors import InputError


def _all(shape):
    return np.ones(shape, bool)


def test_a_constant_image_stays():
    image = np.full((20, 30), 0.07)
    np.testing.assert_allclose(refined_lee(image, _all(image.shape), looks=4.4), image, rtol=1e-12)


@pytest.mark.parametrize("turned", [False, True])
def test_a_clean_straight_edge_stays(turned):
    image = np.where(np.mgrid[:24, :24][int(turned)] >= 12, 0.5, 0.1)
    inner = np.s_[4:-4, 4:-4]
    np.testing.assert_allclose(refined_lee(image, _all(image.shape), looks=1)[inner], image[inner], rtol=1e-9)


@pytest.mark.parametrize("turned", [False, True])
def test_a_clean_diagonal_edge_stays_sharp(turned):
    """Along the edge nothing mixes; where only a corner of the window meets it, at most 3 of 28 pixels do."""
    rows, cols = np.mgrid[:24, :24]
    across = (cols[:, ::-1] if turned else cols) - rows
    image = np.where(across > 0, 0.5, 0.1)
    inner = np.s_[4:-4, 4:-4]
    error = np.abs(refined_lee(image, _all(image.shape), looks=1) - image)[inner]
    beside = ((across == 0) | (across == 1))[inner]
    assert error[beside].max() < 1e-9
    assert error.max() <= 0.4 * 3 / 28 + 1e-9


def _slow(image, looks, row, col):
    """One inner pixel, step by step after section 5.3 of Lee and Pottier."""
    window = image[row - 3 : row + 4, col - 3 : col + 4]
    squares = np.array([[window[2 * i : 2 * i + 3, 2 * j : 2 * j + 3].mean() for j in range(3)] for i in range(3)])
    masks = {
        "e": [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]],
        "ne": [[0, 1, 1], [-1, 0, 1], [-1, -1, 0]],
        "n": [[1, 1, 1], [0, 0, 0], [-1, -1, -1]],
        "nw": [[1, 1, 0], [1, 0, -1], [0, -1, -1]],
    }
    strongest = max(masks, key=lambda k: abs((np.array(masks[k]) * squares).sum()))
    first, second = {"e": ((1, 2), (1, 0)), "ne": ((0, 2), (2, 0)), "n": ((0, 1), (2, 1)), "nw": ((0, 0), (2, 2))}[
        strongest
    ]
    chosen = second if abs(squares[second] - squares[1, 1]) < abs(squares[first] - squares[1, 1]) else first
    rows, cols = np.mgrid[-3:4, -3:4]
    half = window[rows * (chosen[0] - 1) + cols * (chosen[1] - 1) >= 0]
    assert half.size == 28
    mean, variance, noise = half.mean(), half.var(), 1 / looks
    signal = max(0.0, (variance - mean**2 * noise) / (1 + noise))
    return mean + signal / variance * (image[row, col] - mean)


def test_pixels_equal_the_slow_reference():
    rng = np.random.default_rng(0)
    image = np.where(np.mgrid[:20, :20][0] + rng.integers(0, 3, (20, 20)) > 11, 0.3, 0.05) * rng.gamma(
        4, 1 / 4, (20, 20)
    )
    found = refined_lee(image, _all(image.shape), looks=4)
    for row in range(3, 17):
        for col in range(3, 17):
            assert found[row, col] == pytest.approx(_slow(image, 4, row, col), rel=1e-9)


def test_speckle_falls_and_the_mean_stays():
    image = 0.1 * np.random.default_rng(1).gamma(4, 1 / 4, (120, 120))
    found = refined_lee(image, _all(image.shape), looks=4)[8:-8, 8:-8]
    assert found.var() < image.var() / 4
    assert found.mean() == pytest.approx(0.1, rel=0.02)


def test_invalid_pixels_count_nowhere():
    rng = np.random.default_rng(2)
    image, valid = rng.gamma(4, 1 / 4, (24, 24)), rng.random((24, 24)) > 0.2
    found = refined_lee(np.where(valid, image, np.nan), valid, looks=4)
    assert (found[~valid] == 0).all()
    np.testing.assert_array_equal(found, refined_lee(np.where(valid, image, 1e9), valid, looks=4))
    assert not refined_lee(image, np.zeros((24, 24), bool), looks=4).any()


def test_decibels_are_refused_and_turned():
    with pytest.raises(InputError, match="linear power"):
        refined_lee(np.full((8, 8), -12.0), _all((8, 8)), looks=4)
    with pytest.raises(InputError, match="looks"):
        refined_lee(np.ones((8, 8)), _all((8, 8)), looks=0)
    np.testing.assert_allclose(to_power(np.array([-10.0, 0, 3])), [0.1, 1, 10**0.3])
    np.testing.assert_allclose(to_decibel(np.array([0.1, 1.0, 0.0, -1.0])), [-10, 0, np.nan, np.nan])
