"""Bootstrap intervals: the units of the sample are drawn again, pixels of one unit stay together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

Interval = tuple[float, float] | tuple[None, None]


def percentile_interval(
    units: np.ndarray,
    scores: Callable[[np.ndarray], Mapping[str, float]],
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Percentile intervals (Efron 1979) of scores of a sum over units.

    Args:
        units: What each unit adds, `[U, ...]`, for example confusion matrices.
        scores: Scores by name of such a sum.
        level: Probability of an interval.
        resamples: How often `U` units are drawn with replacement.
        seed: Of the draws.

    Returns:
        `(low, high)` by name; `(None, None)` where there are fewer than two units.
    """
    if len(units) < 2:
        return dict.fromkeys(scores(units.sum(0)), (None, None))
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(len(units), np.full(len(units), 1 / len(units)), resamples)
    sums = np.tensordot(counts, units, 1)
    drawn = [scores(total) for total in sums]
    return {name: _interval(np.array([d[name] for d in drawn]), level) for name in drawn[0]}


def _interval(values: np.ndarray, level: float) -> Interval:
    defined = values[np.isfinite(values)]
    if not len(defined):
        return None, None
    low, high = np.percentile(defined, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)
