"""Expected outcomes: by the other folds, and each arm by itself."""

import numpy as np
import pytest

from swath.causal.outcome_models import outcome_surfaces
from swath.errors import DataError


def test_outcomes_are_told_by_the_other_folds():
    random = np.random.default_rng(0)
    columns, treatment = random.normal(3, 2, (400, 4)), random.integers(0, 2, 400).astype(float)
    outcome = 2 * columns[:, 1] + 5 * treatment
    fold = np.arange(400) % 4
    untreated, treated = outcome_surfaces(columns, treatment, outcome, fold)
    np.testing.assert_allclose(treated - untreated, 5, atol=0.2)
    np.testing.assert_allclose(untreated, 2 * columns[:, 1], atol=0.2)
    with pytest.raises(DataError, match="no unit of an arm"):
        outcome_surfaces(columns, (fold == 0).astype(float), outcome, fold)
