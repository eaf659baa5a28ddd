"""Estimators against numbers derived by hand, statsmodels and doubleml."""

import numpy as np
import pytest

from swath.causal.estimators import (
    bootstrap,
    clustered_mean,
    doubly_robust_scores,
    group_draws,
    hajek,
    horvitz_thompson,
)
from swath.errors import DataError

Y, W, E = np.array([3.0, 1.0, 2.0, 0.0]), np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.5, 0.25, 0.5, 0.2])


def test_by_hand() -> None:
    # treated: weights 2 and 4, outcomes 3 and 1; controls: weights 2 and 1.25, outcomes 2 and 0
    assert hajek(Y, W, E) == pytest.approx(10 / 6 - 4 / 3.25)
    assert horvitz_thompson(Y, W, E) == pytest.approx((10 - 4) / 4)
    scores = doubly_robust_scores(Y, W, E, np.ones(4), np.full(4, 2.0))
    assert scores == pytest.approx([1 + 2 * 1, 1 - 4 * 1, 1 - 2 * 1, 1 + 1.25 * 1])


def test_constant_propensity_is_the_difference_in_means_and_shifts_do_not_matter() -> None:
    assert hajek(Y, W, np.full(4, 0.37)) == pytest.approx(2 - 1)
    assert hajek(Y + 100, W, E) == pytest.approx(hajek(Y, W, E))


def test_oracle_propensities_are_unbiased() -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(200):
        c = rng.normal(size=500)
        e = 1 / (1 + np.exp(-c))
        w = (rng.random(500) < e).astype(float)
        found.append(hajek(2 * w + c + rng.normal(size=500), w, e))
    assert abs(np.mean(found) - 2) < 2 * np.std(found) / np.sqrt(200) + 0.01


def test_clustered_error_is_that_of_statsmodels() -> None:
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 30, 200)
    scores = rng.normal(size=200) + rng.normal(size=30)[groups]
    fit = sm.OLS(scores, np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    # statsmodels multiplies by (n - 1) / (n - 1) = 1 for one regressor, and by G / (G - 1)
    assert clustered_mean(scores, groups).error == pytest.approx(float(fit.bse[0]))


def test_draws_keep_groups_together() -> None:
    groups = np.array([0, 0, 3, 3, 7])
    draws = group_draws(groups, 50)
    assert (draws[:, 0] == draws[:, 1]).all()
    assert (draws[:, 2] == draws[:, 3]).all()
    assert (draws[:, [0, 2, 4]].sum(axis=1) == 3).all()


def test_bootstrap_of_a_mean_has_its_textbook_error() -> None:
    values = np.random.default_rng(0).normal(size=400)
    found = bootstrap(values.mean(), lambda c: float(c @ values / c.sum()), np.arange(400), draws=2000)
    assert found.error == pytest.approx(values.std() / 20, rel=0.06)
    assert found.high - found.low == pytest.approx(2 * 1.6449 * found.error, rel=1e-4)


def test_draws_without_an_arm_are_refused() -> None:
    with pytest.raises(DataError, match="both arms"):
        bootstrap(0.0, lambda _: float("nan"), np.arange(4))


def test_augmented_estimate_is_that_of_doubleml() -> None:
    dml = pytest.importorskip("doubleml")
    from sklearn.linear_model import LinearRegression, LogisticRegression

    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    w = (rng.random(400) < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
    y = w + x @ [1.0, 0.5] + rng.normal(size=400)
    model = dml.DoubleMLIRM(dml.DoubleMLData.from_arrays(x, y, w), LinearRegression(), LogisticRegression(), n_folds=2)
    model.fit(store_predictions=True)
    mu0, mu1, e = (model.predictions[name].ravel() for name in ("ml_g0", "ml_g1", "ml_m"))
    found = clustered_mean(doubly_robust_scores(y, w, e, mu0, mu1), np.arange(400))
    assert found.value == pytest.approx(float(model.coef[0]), abs=1e-8)
    assert found.error == pytest.approx(float(model.se[0]), rel=2e-3)


def test_scores_are_those_of_econml() -> None:
    utils = pytest.importorskip("econml.validate.utils")
    rng = np.random.default_rng(3)
    w, y = rng.integers(0, 2, 200).astype(float), rng.normal(size=200)
    mu0, mu1, e = rng.normal(size=200), rng.normal(size=200), rng.uniform(0.1, 0.9, 200)
    oracle = utils.calculate_dr_outcomes(w.astype(int), y, np.stack([mu0, mu1], axis=1), np.stack([1 - e, e], axis=1))
    np.testing.assert_allclose(doubly_robust_scores(y, w, e, mu0, mu1), np.ravel(oracle), atol=1e-12)
