"""Average effects from propensities: weighting, its normalised form, and the doubly robust one.

Convention: `treatment` is 0 or 1, `propensity` the probability of 1; `weights` count each unit, so that a bootstrap
draw is a vector of weights and units of one image are drawn together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from swath.errors import DataError


@dataclass(frozen=True)
class Estimate:
    """An effect with its standard error and the interval of `level`."""

    value: float
    error: float
    low: float
    high: float
    level: float = 0.9


def hajek(
    outcome: np.ndarray, treatment: np.ndarray, propensity: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Difference of the arms' means, each weighted by inverse propensity and normalised (Hajek 1971)."""
    count = np.ones_like(propensity) if weights is None else weights
    one, zero = count * treatment / propensity, count * (1 - treatment) / (1 - propensity)
    return float(one @ outcome / one.sum() - zero @ outcome / zero.sum())


def horvitz_thompson(
    outcome: np.ndarray, treatment: np.ndarray, propensity: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """As `hajek`, without normalisation: unbiased with true propensities, but not unchanged by a shift of outcomes."""
    count = np.ones_like(propensity) if weights is None else weights
    terms = treatment * outcome / propensity - (1 - treatment) * outcome / (1 - propensity)
    return float(count @ terms / count.sum())


def doubly_robust_scores(
    outcome: np.ndarray, treatment: np.ndarray, propensity: np.ndarray, mu0: np.ndarray, mu1: np.ndarray
) -> np.ndarray:
    """Scores whose mean is the augmented estimate (Robins, Rotnitzky & Zhao 1994).

    Args:
        outcome: Of each unit.
        treatment: Of each unit.
        propensity: Of each unit, predicted by a model that did not see its image.
        mu0: Outcome expected without treatment, likewise.
        mu1: Outcome expected with treatment, likewise.
    """
    residual = outcome - np.where(treatment == 1, mu1, mu0)
    return mu1 - mu0 + (treatment - propensity) / (propensity * (1 - propensity)) * residual


def clustered_mean(scores: np.ndarray, groups: np.ndarray, level: float = 0.9) -> Estimate:
    """The mean of scores with the standard error of sums over groups."""
    sums = np.bincount(groups, scores - scores.mean())
    sums = sums[np.bincount(groups) > 0]
    correction = len(sums) / max(len(sums) - 1, 1)
    return interval(float(scores.mean()), float(np.sqrt(correction * (sums**2).sum()) / len(scores)), level)


def group_draws(groups: np.ndarray, draws: int, seed: int = 0) -> np.ndarray:
    """Weights `[draws, units]` of a bootstrap that draws whole groups with replacement."""
    _, codes = np.unique(groups, return_inverse=True)
    count = int(codes.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), draws)
    return drawn[:, codes].astype(float)


def bootstrap(
    value: float,
    estimate: Callable[[np.ndarray], float],
    groups: np.ndarray,
    draws: int = 100,
    level: float = 0.9,
    seed: int = 0,
) -> Estimate:
    """Standard error and normal interval of an estimate from a bootstrap over groups; draws without an arm are NaN.

    Args:
        value: The estimate with all weights one.
        estimate: The estimate as a function of weights.
        groups: Group of each unit.
        draws: How often.
        level: Of the interval.
        seed: Of the draws.

    Raises:
        DataError: If fewer than half of the draws hold both arms.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.array([estimate(weights) for weights in group_draws(groups, draws, seed)])
    finite = found[np.isfinite(found)]
    if len(finite) < max(draws / 2, 2):
        raise DataError("Too few draws of the bootstrap hold both arms", got=f"{len(finite)} of {draws}")
    return interval(value, float(finite.std(ddof=1)), level)


def interval(value: float, error: float, level: float = 0.9) -> Estimate:
    """The normal interval around a value."""
    reach = float(norm.ppf(0.5 + level / 2)) * error
    return Estimate(value, error, value - reach, value + reach, level)
