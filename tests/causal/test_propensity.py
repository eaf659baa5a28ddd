"""Propensities against scikit-learn, and what folds must keep apart."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from swath.causal import propensity as models
from swath.errors import DataError
from swath.nn.chip_encoder import chip_encoder
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


def test_folds_are_equal_and_of_images():
    fold = models.image_folds(11, 3, seed=0)
    assert np.bincount(fold).tolist() == [4, 4, 3]
    with pytest.raises(DataError, match="fewer images than folds"):
        models.image_folds(2, 3, seed=0)


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


def test_outcomes_are_told_by_the_other_folds(table):
    columns, treatment = table
    outcome = 2 * columns[:, 1] + 5 * treatment
    fold = np.arange(400) % 4
    untreated, treated = models.outcome_surfaces(columns, treatment, outcome, fold)
    np.testing.assert_allclose(treated - untreated, 5, atol=0.2)
    np.testing.assert_allclose(untreated, 2 * columns[:, 1], atol=0.2)
    with pytest.raises(DataError, match="no unit of an arm"):
        models.outcome_surfaces(columns, (fold == 0).astype(float), outcome, fold)


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
    units = confounded_study(300, 0, edge=16, covariates=False)
    images = np.random.default_rng(1).normal(size=units.images.shape).astype(np.float32)
    treatment = np.random.default_rng(2).integers(0, 2, 300).astype(float)
    images[treatment == 1, :, :, 2:7, 2:7] += 1.5  # a planted object
    units = replace(units, images=images, treatment=treatment)
    net = models.train_net(lambda: chip_encoder(3, 16), 16, units, models.NetTraining(12, 32, 3e-3), seed=0)
    probability = expit(models.net_logits(net, units))
    assert probability.mean() == pytest.approx(treatment.mean(), abs=1e-3)  # weights are float32
    assert ((probability > 0.5) == (treatment == 1)).mean() > 0.9
    # the gradient does not vanish elsewhere, since the encoder averages; where the object is, it is larger
    found = models.salience(net, images[treatment == 1][:50], np.zeros((50, 0)))
    inside = found[:, 2:7, 2:7].mean()
    assert inside > 1.2 * found[:, 9:, 9:].mean()
    assert torch.isfinite(torch.from_numpy(found)).all()
