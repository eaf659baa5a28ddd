"""Naive baselines of effect heterogeneity: against group means and least squares by hand."""

from dataclasses import replace

import numpy as np
import pytest

from swath.causal.effect_baselines import BandMeansLearner, ClusteredEmbeddings, ConstantEffect
from swath.simulate.texture_trials import texture_trial


@pytest.fixture
def trial():
    units, kind = texture_trial(300, seed=4, size=4)
    return units, kind


def test_constant_effect_is_the_difference_in_means(trial):
    units, _ = trial
    treated = units.treatment == 1
    said = ConstantEffect.fitted(units).predict(units.images[:7])
    np.testing.assert_allclose(said, np.full(7, units.outcome[treated].mean() - units.outcome[~treated].mean()))


def test_learner_on_band_means_finds_an_effect_of_brightness(trial):
    units, _ = trial
    means = units.images[:, 0].mean(axis=(2, 3))
    units = replace(units, outcome=units.treatment * (1 + 2 * means[:, 1]))
    said = BandMeansLearner.fitted(units).predict(units.images)
    np.testing.assert_allclose(said, 1 + 2 * means[:, 1], atol=0.02)


def test_clusters_of_embeddings_have_their_difference_in_means(trial):
    units, kind = trial
    features = np.stack([kind, kind], axis=1).astype(float)
    said = ClusteredEmbeddings.fitted(units, features, clusters=2).predict(features)
    for one in (0, 1):
        arms = [units.outcome[(kind == one) & (units.treatment == arm)].mean() for arm in (0, 1)]
        np.testing.assert_allclose(said[kind == one], arms[1] - arms[0])


def test_a_cluster_without_an_arm_has_the_effect_of_all(trial):
    units, kind = trial
    units = replace(units, treatment=np.where(kind == 1, units.treatment, 0.0))
    features = kind[:, None].astype(float)
    said = ClusteredEmbeddings.fitted(units, features, clusters=2).predict(np.array([[0.0]]))
    treated = units.treatment == 1
    np.testing.assert_allclose(said, units.outcome[treated].mean() - units.outcome[~treated].mean())


def test_no_more_clusters_than_images_that_differ(trial):
    units, kind = trial
    features = kind[:, None].astype(float)
    assert len(ClusteredEmbeddings.fitted(units, features, clusters=9).effects) == 2
