"""Sersic profiles against the closed form of their light, astropy's profile, and what they were drawn with."""

import numpy as np
import pandas as pd
import pytest
from astropy.modeling.models import Sersic2D
from scipy import special

from skies import gaussian, mosaic
from swath.sky.sersic import Sersic, draw, fit_profiles

NO_BLUR = np.zeros((3, 3))
NO_BLUR[1, 1] = 1


@pytest.mark.parametrize("n", [0.7, 1.0, 4.0])
def test_light_within_a_radius(n: float) -> None:
    """In a circle of r: P(2n, b (r / R_e)^(1/n)), the incomplete gamma function."""
    light = draw(Sersic(60, 60, 8.0, n, 1.0, 0.0), NO_BLUR, 0, 0, (121, 121))
    rows, cols = np.indices(light.shape) - 60
    b = special.gammaincinv(2 * n, 0.5)
    for r in (8.2, 24.3):
        inside = light[np.hypot(rows, cols) < r].sum()
        assert inside == pytest.approx(special.gammainc(2 * n, b * (r / 8.0) ** (1 / n)), abs=0.01)


def test_shape_is_that_of_astropy_away_from_the_middle() -> None:
    light = draw(Sersic(30.3, 29.6, 6.0, 2.0, 0.5, 0.6), NO_BLUR, 0, 0, (61, 61))
    rows, cols = np.indices(light.shape)
    oracle = Sersic2D(amplitude=1, r_eff=6.0, n=2.0, x_0=30.3, y_0=29.6, ellip=0.5, theta=0.6)(cols, rows)
    far = np.hypot(rows - 29.6, cols - 30.3) > 12
    assert (light / oracle)[far] == pytest.approx(np.median((light / oracle)[far]), rel=0.02)


@pytest.mark.parametrize(("n", "ratio"), [(1.0, 0.5), (3.0, 0.8)])
def test_fit_finds_what_was_drawn(n: float, ratio: float) -> None:
    psf = gaussian(2.0, 15)
    truth = Sersic(40.3, 39.8, 4.0, n, ratio, 0.6)
    clean = 3000 * draw(truth, psf, 0, 0, (80, 80))
    picture = mosaic(clean + np.random.default_rng(6).normal(0, 1, clean.shape))
    sources = pd.DataFrame({"x": [40.0], "y": [40.0], "a": [3.0], "b": [2.0], "theta": [0.4]})
    segments = (clean > 1.5).astype(np.int32)
    [found] = fit_profiles(picture, sources, segments, np.array([0]), psf)
    assert found is not None
    profile, error = found
    for i, name in enumerate(("x", "y", "radius", "n", "ratio", "angle")):
        assert abs(getattr(profile, name) - getattr(truth, name)) < 4 * error[i] + 1e-3, name
    assert error[2] < 0.4


def test_a_neighbour_is_left_out() -> None:
    psf = gaussian(2.0, 15)
    one = 2000 * draw(Sersic(30, 32, 3.0, 1.0, 0.7, 0.0), psf, 0, 0, (64, 80))
    other = 6000 * draw(Sersic(48, 32, 3.0, 1.0, 0.7, 0.0), psf, 0, 0, (64, 80))
    segments = np.where((other > one) & (other > 1), 2, np.where(one > 1, 1, 0)).astype(np.int32)
    sources = pd.DataFrame({"x": [30.0, 48.0], "y": [32.0] * 2, "a": [3.0] * 2, "b": [2.0] * 2, "theta": [0.0] * 2})
    [found] = fit_profiles(mosaic(one + other), sources, segments, np.array([0]), psf)
    assert found is not None
    assert found[0].radius == pytest.approx(3.0, rel=0.1)
