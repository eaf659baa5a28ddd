"""Observational studies: how large the naive bias is, and what shows the confounder."""

import numpy as np
import pytest

from swath.simulate.confounded import confounded_study, pattern_study


def _naive(units):
    treatment, outcome = units.studied()
    return outcome[treatment == 1].mean() - outcome[treatment == 0].mean()


def test_the_naive_bias_is_that_of_the_authors_notes():
    found = [_naive(confounded_study(1000, seed, edge=2)) - 2 for seed in range(20)]
    assert np.mean(found) == pytest.approx(2.0, abs=0.1)


def test_a_pattern_confounds_and_averages_do_not_show_it():
    units = pattern_study(1500, 0)
    assert _naive(units) - 2 > 1
    treatment, _ = units.studied()
    means, spreads = units.images.mean(axis=(1, 2, 3, 4)), units.images.std(axis=(1, 2, 3, 4))
    assert abs(np.corrcoef(means, treatment)[0, 1]) < 0.1
    assert np.corrcoef(spreads, treatment)[0, 1] > 0.2


def test_the_pattern_goes_away_when_pixels_are_merged():
    units = pattern_study(400, 1)
    merged = units.images.reshape(400, 4, 8, 4, 8).mean(axis=(2, 4))
    before, after = (np.corrcoef(x.std(axis=(-2, -1)).ravel(), units.outcome)[0, 1] for x in (units.images, merged))
    assert after < 0.5 * before
