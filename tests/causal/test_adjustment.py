"""Adjusted effects on studies with a known effect, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from swath.causal.adjustment import Adjusted, balance, diagnostics, estimates, overlap, require_overlap
from swath.errors import DataError
from swath.simulate.confounded import confounded_study


def _study(count, seed):
    """A study, with its true propensities and expected outcomes, which follow from the simulation's first draws."""
    units = confounded_study(count, seed, edge=4)
    base = np.random.default_rng(seed).standard_normal((4, count))[:3].sum(axis=0)
    return units, Adjusted(expit(base), base, base + 2.0)


def test_true_propensities_and_outcomes_give_the_true_effect():
    errors = {name: [] for name in ("difference", "hajek", "horvitz_thompson", "doubly_robust")}
    for seed in range(60):
        found = estimates(*_study(400, seed), draws=4, level=0.9, seed=0)
        for name, values in errors.items():
            values.append(found[name].value - 2.0)
    mean = {name: np.mean(values) for name, values in errors.items()}
    error = {name: np.std(values) / len(values) ** 0.5 for name, values in errors.items()}
    assert mean["difference"] > 1.8  # 2 in the authors' notes
    assert abs(mean["doubly_robust"]) < 3 * error["doubly_robust"]
    assert abs(mean["hajek"]) < 0.3 * mean["difference"]


def test_an_added_constant_changes_only_horvitz_thompson():
    units, adjusted = _study(200, 0)
    more = replace(units, outcome=units.outcome + 100)
    lifted = replace(adjusted, untreated=adjusted.untreated + 100, treated=adjusted.treated + 100)
    before, after = (estimates(u, a, 4, 0.9, 0) for u, a in ((units, adjusted), (more, lifted)))
    for name in ("difference", "regression", "hajek", "doubly_robust"):
        assert after[name].value == pytest.approx(before[name].value, abs=1e-6)
    assert abs(after["horvitz_thompson"].value - before["horvitz_thompson"].value) > 0.1


def test_constant_propensities_change_nothing():
    units, _ = _study(300, 1)
    share = np.full(300, units.treatment.mean())
    flat = Adjusted(share, np.zeros(300), np.zeros(300))
    found = estimates(units, flat, 4, 0.9, 0)
    assert found["hajek"].value == pytest.approx(found["difference"].value)
    assert found["horvitz_thompson"].value == pytest.approx(found["difference"].value)
    told = diagnostics(units, replace(flat, seen=units.treatment * 0.8 + 0.1))
    assert told["propensity"] == told["constant"]
    assert told["propensity, units seen"]["f1"] == told["propensity, units seen"]["auc"] == 1
    assert told["constant"]["auc"] == 0.5


def test_balance_and_effective_units_by_hand():
    units, _ = _study(4, 0)
    units = replace(
        units,
        treatment=np.array([1.0, 1.0, 0.0, 0.0]),
        covariates=np.array([[1.0], [3.0], [0.0], [2.0]]),
        covariate_names=("age",),
    )
    propensity = np.array([0.5, 0.25, 0.5, 0.5])
    row = balance(units, propensity).set_index("name").loc["age"]
    # both arms have variance 1; weights of the treated are 2 and 4
    assert row["before"] == pytest.approx(1.0)
    assert row["after"] == pytest.approx((2 * 1 + 4 * 3) / 6 - 1)
    found = overlap(units, propensity)
    assert found["effective_units_1"] == pytest.approx(36 / 20)
    assert found["effective_units_0"] == pytest.approx(2)


def test_treatments_that_are_told_for_sure_are_refused():
    treatment = np.array([0.0, 0.0, 1.0, 1.0])
    with pytest.raises(DataError, match="no overlap"):
        require_overlap(treatment, np.array([0.1, 0.2, 0.8, 0.9]))
    with pytest.raises(DataError, match="100% of propensities at 0 or 1"):
        require_overlap(treatment, np.array([0.001, 0.999, 0.001, 0.999]))
    require_overlap(treatment, np.array([0.4, 0.6, 0.5, 0.7]))
