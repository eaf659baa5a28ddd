"""Propensities against scikit-learn, and what folds must keep apart."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from swath.causal import propensity as models
from swath.causal.chip_net import NetTraining, gradients, net_values
from swath.errors import DataError
from swath.nn.chip_sequence import sequence_encoder
from swath.simulate.confounded import confounded_study


@pytest.fixture
def table():
    random = np.random.default_rng(0)
    columns = random.normal(3, 2, (400, 4))
    treatment = (random.random(400) < expit(columns[:, 0] - 3)).astype(float)
    return columns, treatment


def test_the_ridge_is_that_of_scikit_learn(table):
    columns, treatment = table
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, tol=1e-8)).fit(columns, treatment)
    ours = models.RidgeLogistic.fitted(columns, treatment, 0.3)
    np.testing.assert_allclose(ours.predict(columns), oracle.predict_proba(columns)[:, 1], atol=1e-4)


def test_weights_count_units(table):
    columns, treatment = table
    weights = np.random.default_rng(1).integers(0, 4, len(treatment)).astype(float)
    repeated = np.repeat(np.arange(len(treatment)), weights.astype(int))
    counted = models.RidgeLogistic.fitted(columns, treatment, 1.0, weights)
    spelled = models.RidgeLogistic.fitted(columns[repeated], treatment[repeated], 1.0)
    np.testing.assert_allclose(counted.predict(columns), spelled.predict(columns), atol=1e-4)


def test_probabilities_stay_away_from_zero_and_one():
    assert models.clipped(np.array([0.0, 0.3, 1.0])).tolist() == [0.001, 0.3, 0.999]


def test_no_unit_is_told_by_a_model_that_learned_from_it(table):
    columns, treatment = table
    fold = np.arange(400) % 4
    told = models.out_of_fold(columns, treatment, fold, 1.0)
    flipped = treatment.copy()
    flipped[fold == 2] = 1 - flipped[fold == 2]
    again = models.out_of_fold(columns, flipped, fold, 1.0)
    assert (told[fold == 2] == again[fold == 2]).all()
    assert (told[fold != 2] != again[fold != 2]).all()


def test_the_strength_is_weak_where_columns_tell_and_strong_where_they_do_not(table):
    columns, treatment = table
    noise = np.random.default_rng(3).normal(size=(400, 60))
    told = models.choose_strength(columns, treatment, np.arange(400))
    untold = models.choose_strength(noise, np.random.default_rng(4).integers(0, 2, 400).astype(float), np.arange(400))
    assert told > 10 * untold


@pytest.mark.parametrize("share", [0.05, 0.4, 0.97])
def test_recalibration_makes_the_mean_the_share_of_the_treated(share):
    logits = np.random.default_rng(0).normal(1, 3, 500)
    assert expit(logits + models.recalibration(logits, share)).mean() == pytest.approx(share, abs=1e-9)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_one_arm_is_refused(share):
    with pytest.raises(DataError, match="both arms"):
        models.recalibration(np.zeros(3), share)
    with pytest.raises(DataError, match="both arms"):
        models.RidgeLogistic.fitted(np.ones((3, 1)), np.full(3, share), 1.0)


def test_a_network_sees_what_images_show_and_looks_where_it_is():
    random = np.random.default_rng(1)
    treatment = random.integers(0, 2, 300).astype(float)
    images = random.normal(size=(300, 1, 3, 24, 24)).astype(np.float32)
    inside = np.zeros((300, 24, 24), bool)
    for number in np.flatnonzero(treatment):  # a planted object
        row, col = random.integers(0, 19, 2)
        inside[number, row : row + 5, col : col + 5] = True
    images[:, 0] += 2.0 * inside[:, None]
    units = replace(confounded_study(300, 0, edge=24, covariates=False), images=images, treatment=treatment)
    learned = units.select(np.arange(300) < 250)
    net = models.train_net(
        lambda: sequence_encoder(1, 3, 16, "peaks", "stacked"), 16, learned, NetTraining(15, 32, 3e-3), seed=0
    )
    probability = expit(net_values(net, units))
    assert probability[:250].mean() == pytest.approx(treatment[:250].mean(), abs=1e-3)  # weights are float32
    assert ((probability > 0.5) == (treatment == 1))[250:].mean() > 0.8
    shown = np.flatnonzero(treatment[250:]) + 250
    found = np.sqrt((gradients(net, images[shown], np.zeros((len(shown), 0)))[0] ** 2).sum(axis=(1, 2)))
    assert found[inside[shown]].sum() / found.sum() > 3 * inside[shown].mean()
