"""Fluxes against closed forms: Gaussians, exponentials, de Vaucouleurs profiles, and the scatter of real noise."""

import numpy as np
import pandas as pd
import pytest
from astropy.convolution import Moffat2DKernel
from scipy import integrate, special

from skies import HALF, gaussian, mosaic, sky
from swath.sky.mosaics import Mosaic
from swath.sky.photometry import (
    EDGE,
    FLAW,
    aperture,
    centred,
    correlation_factor,
    isophotal,
    kron,
    matched_apertures,
    total,
)
from swath.sky.sersic import Sersic, draw
from swath.sky.spread import convolved, matching_kernel

NO_BLUR = np.zeros((3, 3))
NO_BLUR[1, 1] = 1


@pytest.mark.parametrize("diameter", [20.0, 40.0, 70.0])
def test_circle_on_a_gaussian(diameter: float) -> None:
    [picture] = sky([(60.3, 62.8, {"VIS": 50.0})], {"VIS": 24.0}, {"VIS": 1e-6})
    found = aperture(picture, np.array([60.3]), np.array([62.8]), diameter)
    inside = 1 - np.exp(-0.5 * (diameter / 2 / (24.0 / HALF)) ** 2)
    assert found.flux[0] == pytest.approx(50 * inside, rel=1e-3)
    assert found.error[0] == pytest.approx(1e-6 * np.sqrt(np.pi) * diameter / 2, rel=1e-3)


@pytest.mark.parametrize(("n", "untruncated"), [(1.0, 0.960), (4.0, 0.904)])
def test_share_of_the_light_in_a_kron_aperture(n: float, untruncated: float) -> None:
    radius, b = 10.0, special.gammaincinv(2 * n, 0.5)
    sigma = 12.0

    def weighted(power: int, end: float) -> float:
        return float(integrate.quad(lambda r: r**power * np.exp(-b * (r / radius) ** (1 / n)), 0, end, limit=200)[0])

    def share(r: float) -> float:
        return float(special.gammainc(2 * n, b * (r / radius) ** (1 / n)))

    assert share(2.5 * weighted(2, np.inf) / weighted(1, np.inf)) == pytest.approx(untruncated, abs=1e-3)
    cut_off = weighted(2, 6 * sigma) / weighted(1, 6 * sigma)
    picture = mosaic(100 * draw(Sersic(300, 300, radius, n, 1.0, 0.0), NO_BLUR, 0, 0, (601, 601)), 1e-4)
    sources = pd.DataFrame({"x": [300.0], "y": [300.0], "a": [sigma], "b": [sigma], "theta": [0.0]})
    found, kron_radius = kron(picture, sources, minimum=0.0)
    assert kron_radius[0] * sigma == pytest.approx(cut_off, rel=0.01)
    assert found.flux[0] == pytest.approx(100 * share(2.5 * cut_off), rel=0.01)


def test_kron_apertures_do_not_shrink_below_the_minimum() -> None:
    [picture] = sky([(60, 60, {"VIS": 50.0})], {"VIS": 3.0}, {"VIS": 1e-3})
    sources = pd.DataFrame({"x": [60.0], "y": [60.0], "a": [4.0], "b": [4.0], "theta": [0.0]})
    found, _ = kron(picture, sources)
    assert found.error[0] == pytest.approx(1e-3 * np.sqrt(np.pi) * 3.5 * 4.0, rel=1e-3)


def test_neighbours_are_left_out_of_kron_apertures() -> None:
    [picture] = sky([(60, 60, {"VIS": 50.0}), (76, 60, {"VIS": 500.0})], {"VIS": 4.0}, {"VIS": 1e-3})
    segments = np.zeros(picture.values.shape, np.int32)
    segments[50:71, 50:68], segments[50:71, 68:87] = 1, 2
    sources = pd.DataFrame({"x": [60.0, 76.0], "y": [60.0] * 2, "a": [2.5] * 2, "b": [2.5] * 2, "theta": [0.0] * 2})
    masked, _ = kron(picture, sources, segments)
    assert masked.flux[0] == pytest.approx(50, rel=0.05)
    assert kron(picture, sources)[0].flux[0] > 60


def test_isophotal_sums() -> None:
    values = np.arange(16.0).reshape(4, 4)
    segments = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 2, 2], [0, 0, 2, 0]], np.int32)
    found = isophotal(mosaic(values, 2.0), segments, 3)
    assert found.flux == pytest.approx([1, 10 + 11 + 14, 0])
    assert found.error == pytest.approx([np.sqrt(8), np.sqrt(12), 0])


def moffat(width: float) -> np.ndarray:
    stamp = Moffat2DKernel(width / (2 * np.sqrt(2 ** (1 / 3.5) - 1)), 3.5, x_size=81, y_size=81, factor=9).array
    return stamp / stamp.sum()


def test_a_star_is_equally_bright_in_all_matched_bands() -> None:
    bands = []
    for band, width in (("VIS", 2.0), ("H", 5.0), ("U", 10.0)):
        psf, values = moffat(width), np.zeros((161, 161))
        values[40:121, 40:121] = 100 * psf
        even = np.full(values.shape, 0.01, np.float32)
        bands.append(Mosaic(band, values.astype(np.float32), even, np.zeros(values.shape, bool), psf, None))
    found, worst = matched_apertures(bands, np.array([80.0]), np.array([80.0]))
    assert worst == pytest.approx(10.0, rel=0.02)
    for i in range(4):
        assert [found[b][i].flux[0] for b in ("VIS", "H")] == pytest.approx([found["U"][i].flux[0]] * 2, rel=5e-3)
    plain = [aperture(m, np.array([80.0]), np.array([80.0]), 10.0).flux[0] for m in bands]
    assert plain[0] > 1.5 * plain[2]


def test_errors_on_blurred_noise_are_those_that_happen() -> None:
    rng = np.random.default_rng(8)
    kernel = matching_kernel(gaussian(2.0), gaussian(6.0))
    x, y = (v.ravel().astype(float) for v in np.meshgrid(np.arange(30, 490, 15), np.arange(30, 490, 15)))
    blurred = mosaic(convolved(rng.normal(0, 1, (520, 520)), kernel))
    found = aperture(blurred, x, y, 8.0)
    assert np.std(found.flux) == pytest.approx(found.error[0] * correlation_factor(kernel, 8.0), rel=0.06)
    assert correlation_factor(kernel, 8.0) < 0.9


def test_flags_of_apertures() -> None:
    [picture] = sky([], {"VIS": 2.0}, {"VIS": 1.0})
    picture.bad[30, 30] = True
    found = aperture(picture, np.array([30.0, 1.0, 60.0]), np.array([31.0, 60.0, 60.0]), 8.0)
    assert found.flag.tolist() == [FLAW, EDGE, 0]


def test_middles_of_points_are_found_between_pixels() -> None:
    [picture] = sky([(60.3, 62.8, {"VIS": 50.0})], {"VIS": 3.0}, {"VIS": 1e-3})
    x, y = centred(picture, np.array([60.0, 10.0]), np.array([63.2, 10.0]))
    assert [x[0], y[0]] == pytest.approx([60.3, 62.8], abs=1e-3)


def test_total_is_nan_where_the_reference_has_no_light() -> None:
    found = total(np.array([2.0, 1.0]), np.array([4.0, -1.0]), np.array([10.0, 10.0]))
    assert found == pytest.approx([5.0, np.nan], nan_ok=True)
