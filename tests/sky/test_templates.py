"""Template fitting: exact where there is no noise, honest where there is, equal to a dense solve of everything."""

import numpy as np
import pytest

from skies import gaussian, mosaic
from swath.sky.spread import convolved, matching_kernel, point
from swath.sky.templates import (
    Template,
    blurred,
    cut_out,
    fit_templates,
    fit_twice,
    local_shifts,
)

SHARP, WIDE = gaussian(2.0), gaussian(5.0)


def scene(rng: np.random.Generator, count: int, size: int = 128) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sharp picture, segments (Voronoi cells of the light) and true fluxes in the wide band."""
    at = rng.uniform(15, size - 15, (count, 2))
    stack = np.zeros((count, size, size))
    for picture, (x, y), light in zip(stack, at, rng.uniform(20, 100, count), strict=True):
        stamp, row, col = point(SHARP, x, y)
        rows, cols = np.indices(stamp.shape)
        keep = np.hypot(rows - stamp.shape[0] // 2, cols - stamp.shape[1] // 2) < 7
        inside = (slice(row, row + stamp.shape[0]), slice(col, col + stamp.shape[1]))
        cut = np.zeros((size + 200, size + 200))
        cut[inside[0].start + 100 : inside[0].stop + 100, inside[1].start + 100 : inside[1].stop + 100] = stamp * keep
        picture[:] = light * cut[100:-100, 100:-100]
    segments = np.where(stack.max(0) > 0, stack.argmax(0) + 1, 0)
    return stack.sum(0), segments.astype(np.int32), rng.uniform(5, 200, count)


def templates_of(picture: np.ndarray, segments: np.ndarray, count: int) -> list[Template]:
    kernel = matching_kernel(SHARP, WIDE)
    return [blurred(t, kernel) for t in cut_out(picture, segments, count) if t is not None]


def drawn(templates: list[Template], fluxes: np.ndarray, size: int = 128) -> np.ndarray:
    """A band in which each source is its template, put together pixel by pixel."""
    margin = 100
    band = np.zeros((size + 2 * margin, size + 2 * margin))
    for t, flux in zip(templates, fluxes, strict=True):
        row, col = t.row + margin, t.col + margin
        band[row : row + t.stamp.shape[0], col : col + t.stamp.shape[1]] += flux * t.stamp
    return band[margin:-margin, margin:-margin]


@pytest.fixture(scope="module")
def crowd() -> tuple[list[Template], np.ndarray]:
    picture, segments, fluxes = scene(np.random.default_rng(1), 60)
    return templates_of(picture, segments, 60), fluxes


def test_blends_without_noise_are_exact(crowd: tuple[list[Template], np.ndarray]) -> None:
    templates, fluxes = crowd
    band = mosaic(drawn(templates, fluxes), width=5.0)
    found = fit_templates(templates, band)
    assert found.flux == pytest.approx(fluxes, rel=1e-6)
    assert found.model == pytest.approx(drawn(templates, fluxes), abs=1e-4)


def test_equal_to_one_dense_solve_of_everything(crowd: tuple[list[Template], np.ndarray]) -> None:
    templates, fluxes = crowd
    rng = np.random.default_rng(2)
    rms = rng.uniform(0.05, 0.2)
    band = mosaic(drawn(templates, fluxes) + rng.normal(0, rms, (128, 128)), rms, 5.0)
    dense = np.stack([drawn([t], np.ones(1)).ravel() for t in templates], 1) / band.rms.ravel()[:, None]
    expected, *_ = np.linalg.lstsq(dense, band.values.ravel() / band.rms.ravel())
    inverse = np.linalg.inv(dense.T @ dense)
    found = fit_templates(templates, band)
    assert found.flux == pytest.approx(expected, rel=1e-5)
    assert found.error == pytest.approx(np.sqrt(np.diag(inverse)), rel=1e-5)
    index = np.abs(inverse - np.diag(np.diag(inverse))).max(1) / np.diag(inverse)
    assert found.covariance == pytest.approx(index, rel=1e-4, abs=1e-9)


def test_errors_are_those_that_happen(crowd: tuple[list[Template], np.ndarray]) -> None:
    templates, fluxes = crowd
    clean, rng = drawn(templates, fluxes), np.random.default_rng(3)
    pulls = []
    for _ in range(20):
        found = fit_templates(templates, mosaic(clean + rng.normal(0, 0.3, clean.shape), 0.3, 5.0))
        pulls.append((found.flux - fluxes) / found.error)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.1)
    assert np.mean(pulls) == pytest.approx(0.0, abs=0.1)


def test_a_constant_beneath_each_group(crowd: tuple[list[Template], np.ndarray]) -> None:
    templates, fluxes = crowd
    band = mosaic(drawn(templates, fluxes) + 0.7, width=5.0)
    assert fit_templates(templates, band, background=True).flux == pytest.approx(fluxes, rel=1e-4)
    assert np.abs(fit_templates(templates, band).flux / fluxes - 1).max() > 0.1


def test_a_band_beside_the_templates_is_followed() -> None:
    rng = np.random.default_rng(4)
    picture, segments, fluxes = scene(rng, 20)
    templates = templates_of(picture, segments, 20)
    stamps = [Template(point(t.stamp, 0.35, -0.2)[0][1:-1, 1:-1], t.row, t.col) for t in squares(templates)]
    band = mosaic(drawn(stamps, fluxes) + rng.normal(0, 0.01, (128, 128)), 0.01, 5.0)
    once, twice = fit_templates(templates, band), fit_twice(templates, band)
    assert local_shifts(band, once.model)[0, 0] == pytest.approx([-0.2, 0.35], abs=0.03)
    assert np.abs(twice.flux / fluxes - 1).max() < 0.3 * np.abs(once.flux / fluxes - 1).max()


def squares(templates: list[Template]) -> list[Template]:
    """Stamps padded to odd squares, as Fourier shifts want them."""
    found = []
    for t in templates:
        edge = max(t.stamp.shape) | 1
        found.append(Template(np.pad(t.stamp, [(0, edge - n) for n in t.stamp.shape]), t.row, t.col))
    return found


def test_bad_pixels_do_not_count(crowd: tuple[list[Template], np.ndarray]) -> None:
    templates, fluxes = crowd
    band = mosaic(drawn(templates, fluxes), width=5.0)
    band.values[40:44] = 1e6
    band.bad[40:44] = True
    assert fit_templates(templates, band).flux == pytest.approx(fluxes, rel=1e-4)


def test_a_template_on_no_pixel_has_no_flux() -> None:
    away = Template(gaussian(3.0), 500, 500)
    here = Template(gaussian(3.0), 30, 30)
    found = fit_templates([here, away], mosaic(drawn([here], np.array([9.0]))))
    assert found.flux[0] == pytest.approx(9.0, rel=1e-5)
    assert np.isnan(found.flux[1])


def test_cut_outs_hold_unit_light_and_grow_into_what_is_nobodys() -> None:
    picture, segments, _ = scene(np.random.default_rng(5), 5)
    segments[convolved((segments > 0).astype(float), np.ones((3, 3))) < 8.5] = 0
    plain, grown = cut_out(picture, segments, 6), cut_out(picture, segments, 6, grow=2)
    assert [t.stamp.sum() for t in plain[:5] if t] == pytest.approx(np.ones(5))
    assert all(g.stamp.size > t.stamp.size for g, t in zip(grown[:5], plain[:5], strict=True) if g and t)
    assert plain[5] is None
