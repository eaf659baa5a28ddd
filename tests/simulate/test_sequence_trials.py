"""Trials of sequences: what moves the effect, and what images show of it."""

import numpy as np
import pytest

from swath.simulate.sequence_trials import sequence_trial


def test_the_effect_is_one_of_treatment_and_follows_growth():
    units, effect = sequence_trial(4000, 0, trend=1.0, table=0.5, size=4)
    treatment, outcome = units.studied()
    assert effect.mean() == pytest.approx(1, abs=0.07)
    assert effect.std() == pytest.approx(np.sqrt(1.25), rel=0.05)
    raw = outcome[treatment == 1].mean() - outcome[treatment == 0].mean()
    assert raw == pytest.approx(effect.mean(), abs=0.2)


def test_growth_shows_in_the_change_of_frames_and_not_in_their_mean():
    units, effect = sequence_trial(1500, 1, size=16)
    contrast = (units.images[:, :, 0] - units.images[:, :, 1]).mean(axis=(2, 3))
    change, level = contrast[:, -1] - contrast[:, 0], contrast.mean(axis=1)
    assert np.corrcoef(change, effect)[0, 1] > 0.7
    assert abs(np.corrcoef(level, effect)[0, 1]) < 0.1
    assert np.corrcoef(contrast[:, -1], effect)[0, 1] < 0.6


def test_units_of_an_image_share_its_growth():
    units, effect = sequence_trial(5, 2, units=3, size=4)
    assert len(units) == 15
    assert (effect.reshape(5, 3).std(axis=1) < 1e-12).all()
    assert units.images.shape == (5, 4, 2, 4, 4)
