"""Rank-weighted effects against brute force, econml and closed forms."""

import numpy as np
import pytest
from scipy.stats import kstest

from swath.metrics.rate import autoc, half_sample_draws, qini, targeting_curve


@pytest.fixture
def sample():
    random = np.random.default_rng(0)
    gain = random.normal(size=300)
    return gain + random.normal(0, 2, 300), gain


def test_areas_are_the_sums_that_they_are_said_to_be(sample):
    scores, priority = sample
    order = np.argsort(-priority)
    curve = [scores[order[:k]].mean() - scores.mean() for k in range(1, 301)]
    np.testing.assert_allclose(targeting_curve(scores, priority), curve, atol=1e-12)
    assert autoc(scores, priority) == pytest.approx(sum(curve) / 300, abs=1e-12)
    assert qini(scores, priority) == pytest.approx(sum(k / 300 * c for k, c in enumerate(curve, 1)) / 300, abs=1e-12)


@pytest.mark.parametrize("metric", ["toc", "qini"])
def test_the_curve_is_that_of_econml(sample, metric):
    utils = pytest.importorskip("econml.validate.utils")
    scores, priority = sample
    percentiles = np.linspace(5, 95, 50)
    area, _, table = utils.calc_uplift(priority, priority, scores, percentiles, metric, n_bootstrap=2)
    counts = [(priority >= edge).sum() for edge in np.percentile(priority, percentiles)]
    curve = targeting_curve(scores, priority)[np.array(counts) - 1]
    if metric == "qini":
        curve = curve * np.array(counts) / len(scores)
    np.testing.assert_allclose(curve, table["value"], atol=1e-10)
    assert (curve[:-1] * np.diff(percentiles) / 100).sum() == pytest.approx(area, abs=1e-8)


def test_by_hand():
    scores, priority = np.array([4.0, 0.0, 2.0]), np.array([3.0, 1.0, 2.0])
    np.testing.assert_allclose(targeting_curve(scores, priority), [2, 1, 0])
    assert autoc(scores, priority) == pytest.approx(1)
    assert qini(scores, priority) == pytest.approx((2 / 3 + 2 / 3) / 3)


def test_the_order_of_rows_is_nothing_where_priorities_are_equal():
    scores = np.array([5.0, 1.0, 0.0, 2.0])
    tied = np.array([1.0, 1.0, 0.0, 0.0])
    for order in ([0, 1, 2, 3], [1, 0, 3, 2], [3, 1, 2, 0]):
        np.testing.assert_allclose(targeting_curve(scores[order], tied[order]), [1, 1, 2 / 3 - 1 / 3, 0])
    assert autoc(scores, np.zeros(4)) == 0


def test_true_gains_rank_best_and_their_negation_turns_the_curve(sample):
    scores, gain = sample
    noisy = gain + np.random.default_rng(1).normal(0, 2, 300)
    assert autoc(gain, gain) > autoc(gain, noisy) > 0
    assert qini(gain, gain) > qini(gain, noisy) > 0
    middle = len(scores) // 2 - 1
    forth, back = (targeting_curve(scores, sign * gain)[middle] for sign in (1, -1))
    assert forth == pytest.approx(-back, abs=1e-12)
    assert forth > 0


@pytest.mark.parametrize("area", [autoc, qini])
def test_random_priorities_give_standard_normal_ratios(area):
    random = np.random.default_rng(2)
    ratios = []
    for seed in range(300):
        groups = np.repeat(np.arange(60), 3)
        scores = random.normal(size=180) + random.normal(size=60)[groups]
        priority = random.normal(size=60)[groups]
        drawn = half_sample_draws(lambda chosen: area(scores[chosen], priority[chosen]), groups, 60, seed)  # noqa: B023
        ratios.append(area(scores, priority) / drawn.std(ddof=1))
    assert kstest(ratios, "norm").pvalue > 0.01
    assert (np.abs(ratios) > 1.96).mean() < 0.09


def test_half_samples_hold_whole_groups_and_give_the_error_of_a_mean():
    values = np.random.default_rng(3).normal(size=400)
    groups = np.arange(400) // 4
    drawn = half_sample_draws(lambda chosen: float(values[chosen].mean()), groups, 1500)
    sums = values.reshape(100, 4).mean(axis=1)
    assert drawn.std() == pytest.approx(sums.std() / 10, rel=0.06)
    sizes = half_sample_draws(lambda chosen: len(np.unique(groups[chosen])) + len(chosen) / 1e4, groups, 5)
    np.testing.assert_allclose(sizes, 50 + 200 / 1e4)
