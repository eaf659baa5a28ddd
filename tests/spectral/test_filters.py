"""Filters against mag1c, onboard-methane-detection, Spectral Python and their equations."""

from __future__ import annotations

import numpy as np
import pytest

from gas_cubes import TinyCube, tiny_cube
from swath.errors import DataError
from swath.spectral import filters

SCALE = 1e5  # the references work per 1e5 ppm m


@pytest.fixture(scope="module")
def cube() -> TinyCube:
    return tiny_cube()


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch):
    """`acrwl1mf` of the package mag1c, with the function that torch no longer has."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch, "cholesky", lambda c, upper=False: torch.linalg.cholesky(c, upper=upper), raising=False)
    package = pytest.importorskip("mag1c.mag1c")

    def run(pixels: np.ndarray, absorption: np.ndarray, iterations: int, *, albedo: bool = True, relu: bool = True):
        spectra = torch.from_numpy(np.ascontiguousarray(pixels.T))[None]
        everywhere = torch.ones(spectra.shape[:2], dtype=torch.bool)
        found, _ = package.acrwl1mf(
            spectra, torch.from_numpy(absorption * SCALE), iterations, not albedo, not relu, False, 1.0, 0.0, everywhere
        )
        return found[0, :, 0].numpy()

    return run


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def test_mag1c_equals_the_reference(cube, reference):
    expected = reference(cube.pixels, cube.absorption, 30)
    assert 0.01 < (expected > 0).mean() < 0.5
    assert relative(filters.mag1c(cube.pixels, cube.absorption), expected) < 1e-8


def test_mag1c_of_a_detector_column_equals_the_reference(cube, reference):
    column = tiny_cube(512, 8).radiance[:, :, 3]
    assert relative(filters.mag1c(column, cube.absorption), reference(column, cube.absorption, 30)) < 1e-8


def test_mag1c_reads_any_memory_layout(cube):
    expected = filters.mag1c(cube.pixels, cube.absorption)
    turned = np.asfortranarray(cube.pixels)
    assert relative(filters.mag1c(turned, cube.absorption), expected) < 1e-8


@pytest.mark.parametrize("size", [128, 160])
def test_sas_equals_the_reference(size):
    cube = tiny_cube(size, size)
    package = pytest.importorskip("onboard_methane_detection.processing.pipeline")
    expected = package.mag1c_sas(cube.radiance, cube.absorption[None, None] * SCALE)
    found = filters.mag1c_sas(cube.pixels, cube.absorption, fewest=1)
    assert relative(found, expected.ravel()) < 1e-8


def test_sas_takes_four_pixels_per_band_by_default(cube):
    """At 128 x 128 one per cent is 163 pixels for 50 bands: the release then leaves much more background than zero."""
    background = cube.column.ravel() < 1
    released = filters.mag1c_sas(cube.pixels, cube.absorption, fewest=1)[background]
    ours = filters.mag1c_sas(cube.pixels, cube.absorption)[background]
    assert (ours > 0).mean() < (released > 0).mean()


def test_sas_of_every_pixel_uses_the_last_statistics_of_mag1c(cube):
    """Three sparsity steps on the statistics that mag1c itself ended with, written out."""
    target = cube.absorption * SCALE
    _, centre, weights, norm = filters._iterate(cube.pixels, target, 30, "float64")
    albedo = cube.pixels.T @ centre / (centre @ centre)
    start = np.maximum((cube.pixels.T - centre) @ weights / (albedo * norm), 0)
    column = start
    for _ in range(3):
        column = np.maximum(start - 1 / (albedo * (column + 1e-9)) / (albedo * norm), 0)
    assert relative(filters.mag1c_sas(cube.pixels, cube.absorption, share=1.0), column * SCALE) < 1e-8


def test_matched_filter_equals_the_reference_and_spectral_python(cube, reference):
    found = filters.matched_filter(cube.pixels, cube.absorption)
    assert relative(found, reference(cube.pixels, cube.absorption, 0, albedo=False, relu=False)) < 1e-8
    spectral = pytest.importorskip("spectral")
    image = np.moveaxis(cube.radiance, 0, -1)
    centre = cube.pixels.mean(1)
    expected = spectral.matched_filter(image, centre * (1 + cube.absorption * SCALE))
    assert relative(found / SCALE, expected.ravel()) < 1e-8


def test_matched_filter_ignores_gains_of_bands(cube):
    gains = np.random.default_rng(1).uniform(0.1, 9, (len(cube.pixels), 1))
    expected = filters.matched_filter(cube.pixels, cube.absorption)
    assert relative(filters.matched_filter(cube.pixels * gains, cube.absorption), expected) < 1e-8


def test_ace_equals_spectral_python_and_is_a_share(cube):
    found = filters.ace(cube.pixels, cube.absorption)
    spectral = pytest.importorskip("spectral")
    centre = cube.pixels.mean(1)
    expected = spectral.ace(np.moveaxis(cube.radiance, 0, -1), centre * (1 + cube.absorption * SCALE))
    assert relative(found, expected.ravel()) < 1e-8
    assert found.min() >= 0
    assert found.max() <= 1


def test_ace_of_the_target_is_one(cube):
    """A pixel at mean + a target, added to many, points along the target but for its own small pull on the mean."""
    centre = cube.pixels.mean(1)
    pixel = centre * (1 - 0.3 * cube.absorption * SCALE)
    found = filters.ace(np.column_stack((cube.pixels, pixel)), cube.absorption)
    assert found[-1] == pytest.approx(1, abs=1e-3)
    assert found[-1] == found.max()


def test_cem_is_one_on_the_target_and_equals_its_equation(cube):
    target = cube.absorption * SCALE
    weights = np.linalg.solve(cube.pixels @ cube.pixels.T / cube.pixels.shape[1], target)
    expected = weights @ cube.pixels / (weights @ target)
    assert relative(filters.cem(cube.pixels, cube.absorption), expected) < 1e-8
    with_target = np.column_stack((cube.pixels, target))
    assert filters.cem(with_target, cube.absorption)[-1] == pytest.approx(1, rel=1e-9)


def test_mag1c_measures_the_column(cube):
    """Floors of the reference code on a scene like this one: correlation 0.8 and slope 1.0 to 1.05 in the plume."""
    found = filters.mag1c(cube.pixels, cube.absorption)
    truth = cube.column.ravel()
    plume = truth > 300
    assert np.corrcoef(found, truth)[0, 1] > 0.8
    assert np.polyfit(truth[plume], found[plume], 1)[0] == pytest.approx(1, abs=0.12)
    assert found[truth < 1].mean() < 42


@pytest.mark.parametrize("name", ["mag1c", "mag1c_sas", "matched_filter", "cem", "ace"])
def test_float32_is_near(cube, name):
    """The mode's stated error, in shares of the largest value: 0.002 in the median pixel, 0.05 at worst."""
    exact = getattr(filters, name)(cube.pixels, cube.absorption)
    found = getattr(filters, name)(cube.pixels.astype(np.float32), cube.absorption, precision="float32")
    assert found.dtype == np.float32
    error = np.abs(found - exact) / np.abs(exact).max()
    assert np.median(error) < 0.002
    assert error.max() < 0.05


@pytest.mark.parametrize("count", [10, 50])
def test_too_few_pixels_are_refused(cube, count):
    with pytest.raises(DataError, match="too few pixels"):
        filters.mag1c(cube.pixels[:, :count], cube.absorption)


@pytest.mark.parametrize("name", ["mag1c", "cem", "ace"])
def test_a_dead_band_is_refused(cube, name):
    dead = cube.pixels.copy()
    dead[7] = 0
    with pytest.raises(DataError, match="do not vary in all bands"):
        getattr(filters, name)(dead, cube.absorption)


def test_an_absorption_of_other_bands_is_refused(cube):
    with pytest.raises(DataError, match="do not fit"):
        filters.cem(cube.pixels, cube.absorption[1:])
    with pytest.raises(DataError, match="zero in all bands"):
        filters.cem(cube.pixels, np.zeros(50))
