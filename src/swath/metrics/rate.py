"""Rank-weighted average treatment effects (Yadlowsky et al. 2021): does a priority put those first who gain most?

Convention: `scores` `[units]` are doubly robust scores, whose mean over units is the average effect; `priority`
`[units]` ranks them, the largest first. It must not have seen the outcomes of the units that it ranks. Units of equal
priority enter at their mean score, so that the order of rows changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

Statistic = Callable[[np.ndarray, np.ndarray], float]


def targeting_curve(scores: np.ndarray, priority: np.ndarray) -> np.ndarray:
    """Targeting operator characteristic `[units]`: mean score of the first k units, less that of all, k = 1, 2, ..."""
    order = np.argsort(-priority, kind="stable")
    ranked = priority[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    counts = np.diff(np.r_[starts, len(ranked)])
    means = np.add.reduceat(scores[order], starts) / counts
    return np.cumsum(np.repeat(means, counts)) / np.arange(1, len(scores) + 1) - scores.mean()


def autoc(scores: np.ndarray, priority: np.ndarray) -> float:
    """Area under the targeting curve over shares from 0 to 1: most of its weight lies on the first few."""
    return float(targeting_curve(scores, priority).mean())


def qini(scores: np.ndarray, priority: np.ndarray) -> float:
    """As `autoc`, each share weighed by itself: what is gained over all, where effects are small and widespread."""
    curve = targeting_curve(scores, priority)
    return float(curve @ np.arange(1, len(curve) + 1) / len(curve) ** 2)


#: Areas by name.
RATES: Mapping[str, Statistic] = {"autoc": autoc, "qini": qini}


def half_sample_draws(
    statistic: Callable[[np.ndarray], float | np.ndarray], groups: np.ndarray, draws: int = 200, seed: int = 0
) -> np.ndarray:
    """A statistic of half of the groups, drawn without replacement again and again, `[draws, ...]`.

    Their standard deviation estimates the error of the statistic of all (as the half-sample bootstrap of Yadlowsky et
    al. 2021): units of one group are never taken apart.

    Args:
        statistic: Of the indices of units.
        groups: Group of each unit.
        draws: How often.
        seed: Of the draws.
    """
    _, codes = np.unique(groups, return_inverse=True)
    count = int(codes.max()) + 1
    random = np.random.default_rng(seed)
    half = np.arange(count) < count // 2
    return np.array([statistic(np.flatnonzero(random.permutation(half)[codes])) for _ in range(draws)])
