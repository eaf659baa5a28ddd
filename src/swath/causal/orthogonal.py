"""Taking covariates out of the outcome before images are looked at."""

from __future__ import annotations

import numpy as np

from swath.causal.units import Units
from swath.errors import ConfigError


def covariate_slopes(units: Units) -> np.ndarray:
    """Slopes of the outcome on the covariates beside the treatment, and the covariates' means.

    The treatment stands beside them so that what it does to the outcome is not taken out with them.

    Returns:
        `[2, covariates]`.

    Raises:
        ConfigError: If there are none.
    """
    treatment, outcome = units.studied()
    if not units.covariates.shape[1]:
        raise ConfigError("There is nothing to take out of the outcome", fix="Name `covariates` in the YAML of units")
    means = units.covariates.mean(axis=0)
    design = np.concatenate([np.ones((len(units), 1)), treatment[:, None], units.covariates - means], axis=1)
    return np.stack([np.linalg.lstsq(design, outcome, rcond=None)[0][2:], means])


def without_covariates(outcome: np.ndarray, covariates: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Outcomes less what covariates say of them, as `covariate_slopes` found it."""
    return outcome - (covariates - slopes[1]) @ slopes[0]
