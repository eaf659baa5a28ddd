"""Effects over folds: no image is told by a fit that saw it, errors hold, equal effects are not found."""

from dataclasses import replace

import numpy as np
import pytest

from swath.causal.chip_net import NetTraining
from swath.causal.effect_fits import Plan, fit_effects, held_out, held_out_scores, residuals, unseen_effects
from swath.causal.folds import FoldFits, reshuffled_folds
from swath.causal.representations import Representation
from swath.causal.standard import Standard
from swath.causal.targeting import rates
from swath.nn.chip_sequence import sequence_encoder
from swath.simulate.sequence_trials import sequence_trial


def _plan(learner="ridge", **training):
    return Plan(learner, lambda: sequence_encoder(4, 2, 8, "convolutions", "difference"), 8, NetTraining(**training))


def _ratio(seed, how="difference", images=300, learner="ridge", **changes):
    """AUTOC over its error, of one simulated trial."""
    units, _ = sequence_trial(images, seed, **changes)
    units = Standard.of(units)(units)
    columns = Representation("random", how, 32)(units.images)[units.image_of]
    fold_of = reshuffled_folds(images, 3, 1, seed)
    told = unseen_effects(fit_effects(units, columns, _plan(learner), fold_of, seed), units, columns)
    scores = held_out_scores(units, columns, fold_of)
    return rates(scores, told.priority, units.image_of, 60, seed=seed)["autoc"].ratio


def test_no_image_is_told_by_a_fit_that_saw_it():
    units, _ = sequence_trial(60, 0, units=2)
    columns = np.random.default_rng(0).normal(size=(120, 3))
    fold_of = reshuffled_folds(60, 3, 1, 0)
    before = unseen_effects(fit_effects(units, columns, _plan(), fold_of, 0), units, columns).effect
    away = fold_of[0][units.image_of] == 1
    changed = replace(units, outcome=np.where(away, units.outcome[::-1] * 3, units.outcome))
    after = unseen_effects(fit_effects(changed, columns, _plan(), fold_of, 0), units, columns).effect
    assert (before[away] == after[away]).all()
    assert (before[~away] != after[~away]).any()


def test_residuals_of_a_known_outcome_are_noise():
    units, _ = sequence_trial(400, 1, trend=0.0)
    x = units.covariates
    known = replace(units, outcome=3 * x[:, 0] + 2 * units.treatment)
    left = residuals(known, x, 0)
    np.testing.assert_allclose(left.outcome, 2 * left.treatment, atol=0.1)


def test_errors_and_priorities_by_hand():
    fits = FoldFits(["a", "b", "c", "d"], np.array(["k0", "k1"]), np.array([[0, 1], [0, 1]]))
    units, _ = sequence_trial(2, 0, size=4)
    units = replace(units, keys=fits.keys)
    every = np.array([[1.0, 2.0], [5.0, 9.0], [3.0, 4.0], [7.0, 7.0]])
    told = held_out(fits, every, units)
    np.testing.assert_allclose(told.effect, [2, 8])  # of image 0 by a and c, of image 1 by b and d
    np.testing.assert_allclose(told.sd, [np.sqrt(2), np.sqrt(2)])
    np.testing.assert_allclose(told.priority, [(1 - 1.5 + 3 - 3.5) / 2, (9 - 7 + 7 - 7) / 2])


def test_equal_effects_have_one_priority():
    units, _ = sequence_trial(50, 0, size=4)
    fits = FoldFits([0, 1], units.keys, reshuffled_folds(50, 2, 1, 0))
    told = held_out(fits, np.repeat([[0.1 + 0.2], [0.7415]], 50, axis=1), units)
    assert (told.priority == 0).all()


def test_standard_errors_of_effects_are_those_of_repeated_trials():
    values, errors = [], []
    for seed in range(40):
        units, _ = sequence_trial(200, seed, trend=0.0, table=1.0, size=4)
        columns = units.covariates
        fold_of = reshuffled_folds(200, 2, 6, seed)
        fits = fit_effects(units, columns, _plan(), fold_of, seed)
        elsewhere = replace(units, keys=np.char.add("new ", units.keys), covariates=columns)
        told = unseen_effects(fits, elsewhere, np.ones_like(columns))
        values.append(told.effect[0])
        errors.append(told.sd[0])
    assert np.mean(errors) == pytest.approx(np.std(values, ddof=1), rel=0.3)
    assert np.mean(values) == pytest.approx(2.0, abs=0.15)  # 1 + x at x = 1


def test_equal_effects_are_not_found():
    ratios = np.array([_ratio(seed, images=90, trend=0.0, size=8) for seed in range(60)])
    assert abs(ratios.mean()) < 0.45
    assert (np.abs(ratios) > 2).sum() <= 8  # 3 are expected; 9 or more in 60 happen once in 400


def test_changes_of_frames_tell_what_one_frame_and_the_level_do_not():
    ratio = {how: np.mean([_ratio(seed, how) for seed in range(3)]) for how in ("difference", "last", "mean")}
    assert ratio["difference"] > 3
    assert ratio["difference"] > max(ratio["last"], ratio["mean"]) + 1


@pytest.mark.slow
def test_a_network_from_pixels_finds_the_trend():
    units, effect = sequence_trial(400, 3, trend=2.0, size=8, noise=0.5)
    units = Standard.of(units)(units)
    units = replace(units, covariates=units.covariates[:, :0])
    columns = Representation("random", "difference", 16)(units.images)
    fold_of = reshuffled_folds(400, 2, 1, 0)
    plan = _plan("network", epochs=25, learning_rate=1e-2)
    told = unseen_effects(fit_effects(units, columns, plan, fold_of, 0), units, columns)
    assert np.corrcoef(told.effect, effect)[0, 1] > 0.5
    assert told.effect.mean() == pytest.approx(1.0, abs=0.5)
