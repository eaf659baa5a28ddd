"""Filters for bright lines: against scikit-image, and on lines whose place is known."""

import numpy as np
import pytest
from skimage.filters import gaussian
from skimage.morphology import white_tophat

from swath.data.classes import IGNORE
from swath.tasks.ridges import FILTERS, fit_ridge, top_hat


def patch(seed, slope):
    """A line of 5 pixels in the second of two bands, beside a bright half that is no line."""
    generator = np.random.default_rng(seed)
    rows, cols = np.mgrid[:64, :64]
    line = np.abs(rows - 20 - slope * cols) <= 2
    values = generator.normal(0, 0.3, (64, 64, 2)) + (cols > 40)[..., None] * 3
    values[..., 1] += 4 * line
    return values, line.astype(np.int64)


def test_top_hat_is_that_of_scikit_image():
    band = patch(0, 0.3)[0][..., 1]
    smooth = gaussian(band, 1.0, mode="nearest", truncate=4.0)
    inner = (slice(18, -18), slice(18, -18))  # both sides of the square away from edges, where conventions differ
    np.testing.assert_allclose(top_hat(band)[inner], white_tophat(smooth, np.ones((19, 19)))[inner], atol=1e-9)


@pytest.mark.parametrize("name", FILTERS)
def test_the_band_and_a_threshold_are_learned(name):
    rule = fit_ridge(name, [patch(seed, slope) for seed, slope in enumerate((0.1, 0.4))], 1)
    values, line = patch(7, 0.25)
    asked = np.ones(line.shape, bool)
    asked[:, :8] = False
    found = rule(values, asked)
    assert rule.band == 1
    assert (found == 1)[line == 1].mean() > 0.5
    assert (found == 1)[line == 0].mean() < 0.1
    assert not found[:, :8].any()


def test_pixels_without_label_teach_nothing():
    values, line = patch(0, 0.3)
    hidden = line.copy()
    hidden[:, 32:] = IGNORE
    whole, half = (fit_ridge("top-hat", [(values, mask)], 1) for mask in (line, hidden))
    cut = fit_ridge("top-hat", [(values[:, :45], hidden[:, :45])], 1)
    assert half.iou != whole.iou
    assert cut.iou == pytest.approx(half.iou, abs=0.02)
