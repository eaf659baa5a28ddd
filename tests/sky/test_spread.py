"""Point spreads against the algebra of Gaussians and against photutils."""

import numpy as np
import pytest
from astropy.modeling.models import Moffat2D

from skies import HALF, gaussian
from swath.errors import DataError
from swath.sky.spread import convolved, fwhm, matching_kernel, point, resampled, tidy


@pytest.mark.parametrize("width", [2.0, 3.7, 8.0])
def test_width_of_a_gaussian(width: float) -> None:
    assert fwhm(gaussian(width)) == pytest.approx(width, rel=0.01)


def test_kernel_between_gaussians_is_the_gaussian_that_is_missing() -> None:
    kernel = matching_kernel(gaussian(3.0), gaussian(5.0))
    assert kernel == pytest.approx(gaussian(4.0), abs=1e-3 * kernel.max())  # 3-4-5


def test_kernel_between_moffats_leaves_little() -> None:
    rows, cols = np.indices((61, 61)) - 30.0
    sharp, blurred = (Moffat2D(gamma=g, alpha=3.5)(cols, rows) for g in (2.0, 7.0))
    sharp, blurred = sharp / sharp.sum(), blurred / blurred.sum()
    left = convolved(sharp, matching_kernel(sharp, blurred)) - blurred
    assert np.abs(left).sum() < 0.01


def test_point_between_pixels_is_the_shifted_gaussian() -> None:
    stamp, row, col = point(gaussian(4.0), 60.3, 49.6)
    rows, cols = np.indices(stamp.shape)
    expected = np.exp(-0.5 * ((rows + row - 49.6) ** 2 + (cols + col - 60.3) ** 2) / (4.0 / HALF) ** 2)
    assert stamp == pytest.approx(expected / expected.sum(), abs=1e-8)


def test_stamps_are_made_odd_centred_and_of_sum_one() -> None:
    tidied = tidy(7 * gaussian(4.0, 41, x=0.4, y=-0.3)[:-1, :-1])
    assert tidied.shape == (41, 41)
    assert tidied == pytest.approx(gaussian(4.0), abs=2e-4)


def test_finer_pixels_widen_the_stamp() -> None:
    assert fwhm(resampled(gaussian(3.0, 21), 2)) == pytest.approx(6.0, rel=0.02)


@pytest.mark.parametrize(
    "stamp", [np.zeros((5, 5)), np.full((5, 5), np.nan), np.ones(5), gaussian(3.0, 41, x=6.0)], ids=str
)
def test_unusable_stamps(stamp: np.ndarray) -> None:
    with pytest.raises(DataError, match="point spread of Y"):
        tidy(stamp, "Y")
