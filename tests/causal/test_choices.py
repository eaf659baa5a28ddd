"""Every analysis is reported, p-values are corrected, factors are weighed."""

import numpy as np
import pandas as pd
import pytest

from swath.causal.chip_net import NetTraining
from swath.causal.choices import every_choice, factors, holm, possible
from swath.causal.effect_fits import Plan
from swath.causal.folds import reshuffled_folds
from swath.causal.standard import Standard
from swath.nn.chip_sequence import sequence_encoder
from swath.simulate.sequence_trials import sequence_trial

PLAN = Plan("ridge", lambda: sequence_encoder(2, 2, 8, "convolutions", "mean"), 8, NetTraining())


def test_all_that_units_allow_is_there_once():
    units, _ = sequence_trial(20, 0, frames=2, size=4)
    found = list(possible(units))
    assert len(found) == len(set(found)) == 2 * 2 * 5 * 2 + 2
    single, _ = sequence_trial(20, 0, frames=1, size=4)
    single = type(single)(**{**vars(single), "covariates": np.zeros((20, 0)), "covariate_names": ()})
    assert len(list(possible(single))) == 4


def test_no_analysis_is_left_out():
    units, _ = sequence_trial(60, 0, frames=2, size=4, table=2.0, noise=0.5)
    units = Standard.of(units)(units)
    table = every_choice(units, PLAN, reshuffled_folds(60, 2, 1, 0), draws=10)
    assert len(table) == 2 * len(list(possible(units)))
    assert (table["p_holm"] >= table["p"]).all()
    told = factors(table).set_index(["factor", "level"])["effect"]
    assert told[("inputs", "both")] > 1  # the effect hangs on the table


@pytest.mark.filterwarnings("ignore")
def test_holm_is_that_of_statsmodels():
    multi = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(0).random(20) ** 3
    np.testing.assert_allclose(holm(p), multi.multipletests(p, method="holm")[1])


def test_factors_by_hand():
    table = pd.DataFrame(
        {"learner": ["a", "a", "b", "b"], "metric": ["x", "y", "x", "y"], "ratio": [1.0, 2.0, 4.0, 5.0]}
    )
    found = factors(table, ("learner", "metric"))
    np.testing.assert_allclose(found["effect"], [1, 3, 1])
    assert found["level"].tolist() == ["first of each", "b", "y"]
