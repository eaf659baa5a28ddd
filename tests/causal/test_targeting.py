"""Values of rankings and of policies by hand and on known effects."""

import numpy as np
import pytest

from swath.causal.targeting import curve_band, policies, rates
from swath.errors import ConfigError


def test_policies_by_hand():
    scores, effect = np.array([3.0, -1.0, 2.0, -2.0]), np.array([1.0, -1.0, -1.0, 1.0])
    found = {name: gain.value for name, gain in policies(scores, effect, effect, np.arange(4)).items()}
    assert found["everyone"] == pytest.approx(0.5)
    assert found["positive"] == pytest.approx((3 - 2) / 4)
    assert found["positive over everyone"] == pytest.approx((1 - 2) / 4)
    assert found["first half"] == pytest.approx((3 - 2) / 4)
    assert found["any half"] == pytest.approx(0.25)
    assert found["first half over any half"] == pytest.approx(0.0)


def test_true_effects_rank_significantly_and_equal_priorities_not_at_all():
    random = np.random.default_rng(0)
    effect = random.normal(size=400)
    scores = effect + random.normal(0, 2, 400)
    found = rates(scores, effect, np.arange(400))
    assert found["autoc"].ratio > 4
    assert found["qini"].p < 1e-4
    assert found["autoc"].estimate.low > 0
    turned = rates(scores, -effect, np.arange(400))
    assert turned["autoc"].ratio < -4
    flat = rates(scores, np.full(400, 0.1) + 1e-16 * random.normal(size=400), np.arange(400))
    assert flat["autoc"].ratio == flat["qini"].ratio == 0
    with pytest.raises(ConfigError, match="two half samples"):
        rates(scores, effect, np.arange(400), draws=1)


def test_units_of_an_image_count_as_one_draw():
    random = np.random.default_rng(1)
    scores, priority = random.normal(size=100), random.normal(size=100)
    alone = rates(scores, priority, np.arange(100))["autoc"].estimate.error
    five = rates(np.repeat(scores, 5), np.repeat(priority, 5), np.repeat(np.arange(100), 5))["autoc"].estimate.error
    naive = rates(np.repeat(scores, 5), np.repeat(priority, 5), np.arange(500))["autoc"].estimate.error
    assert five == pytest.approx(alone, rel=0.06)  # first shares are of one unit or of five
    assert naive < 0.6 * alone


def test_the_curve_ends_at_zero_with_no_error():
    random = np.random.default_rng(2)
    scores = random.normal(size=200)
    band = curve_band(scores, scores, np.arange(200), np.array([0.1, 0.5, 1.0]), 50, 0.9, 0)
    assert band[0, 0] > band[0, 1] > 0
    assert (band[1] <= band[0]).all()
    assert (band[0] <= band[2]).all()
    np.testing.assert_allclose(band[:, 2], 0, atol=1e-12)
