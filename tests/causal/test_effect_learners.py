"""Learners of effects against scikit-learn, and on effects that are known."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge

from swath.causal.effect_learners import ForestEffect, Residuals, RidgeEffect, _ridges, of_state, state_of


@pytest.fixture
def trial():
    random = np.random.default_rng(0)
    columns = random.normal(3, 2, (500, 6))
    effect = 1 + 2 * (columns[:, 0] > 3)
    left = random.integers(0, 2, 500) - 0.5
    return columns, Residuals(effect * left + random.normal(0, 0.5, 500), left), effect


def test_ridges_are_those_of_scikit_learn(trial):
    columns, residuals, _ = trial
    weights = residuals.weights * np.linspace(0.2, 2, 500)
    slopes, means = _ridges(columns, residuals.targets, weights, np.array([3.0, 300.0]))
    for number, ridge in enumerate((3.0, 300.0)):
        oracle = Ridge(ridge * weights.mean()).fit(columns, residuals.targets, sample_weight=weights)
        np.testing.assert_allclose(slopes[:, number], oracle.coef_, rtol=1e-6, atol=1e-9)
        assert means[number] == pytest.approx(oracle.intercept_, rel=1e-6)


def test_forests_in_arrays_are_those_of_scikit_learn(trial):
    columns, residuals, _ = trial
    ours = ForestEffect.fitted(columns, residuals, np.arange(500), seed=5)
    oracle = RandomForestRegressor(100, min_samples_leaf=10, max_features=1 / 3, max_samples=250, random_state=5).fit(
        columns, residuals.targets, residuals.weights
    )
    np.testing.assert_allclose(ours.predict(columns), oracle.predict(columns), rtol=1e-9)


@pytest.mark.parametrize("kind", [RidgeEffect, ForestEffect])
def test_effects_are_found_and_come_back(trial, kind):
    columns, residuals, effect = trial
    learner = kind.fitted(columns, residuals, np.arange(500) // 2, seed=0)
    told = learner.predict(columns)
    assert np.corrcoef(told, effect)[0, 1] > 0.75  # of a line with a step at most 0.80
    assert told.mean() == pytest.approx(effect.mean(), abs=0.2)
    name = "ridge" if kind is RidgeEffect else "forest"
    np.testing.assert_array_equal(of_state(name, state_of(learner)).predict(columns), told)


def test_a_ridge_shrinks_to_the_mean_effect_where_columns_tell_nothing(trial):
    _, residuals, _ = trial
    noise = np.random.default_rng(9).normal(size=(500, 80))
    learner = RidgeEffect.fitted(noise, residuals, np.arange(500), seed=0)
    assert learner.predict(noise).std() < 0.4
    mean = (residuals.weights @ residuals.targets) / residuals.weights.sum()
    assert learner.predict(noise).mean() == pytest.approx(mean, abs=0.05)
    constant = RidgeEffect.fitted(np.ones((500, 2)), residuals, np.arange(500), seed=0)
    np.testing.assert_allclose(constant.predict(np.ones((3, 2))), mean)
