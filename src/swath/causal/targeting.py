"""What ranking units by a predicted effect is worth: rank-weighted effects, and the value of treating the first."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import norm

from swath.causal.estimators import Estimate, clustered_mean, interval
from swath.errors import ConfigError
from swath.metrics.rate import RATES, half_sample_draws, targeting_curve


@dataclass(frozen=True)
class Rate:
    """A rank-weighted effect.

    Attributes:
        estimate: With its error by half samples of groups.
        ratio: Of value to error, normal with sd 1 where the priority tells nothing; 0 where all priorities are equal.
        p: Of the two-sided test that it is 0.
    """

    estimate: Estimate
    ratio: float
    p: float

    def plain(self) -> dict[str, float]:
        """Plain values."""
        return {**asdict(self.estimate), "ratio": self.ratio, "p": self.p}


def rates(
    scores: np.ndarray, priority: np.ndarray, groups: np.ndarray, draws: int = 200, level: float = 0.9, seed: int = 0
) -> dict[str, Rate]:
    """Each rank-weighted effect of `swath.metrics.rate`.

    Args:
        scores: Doubly robust, of each unit.
        priority: Of each unit, by what never saw its outcome.
        groups: Within which units are not independent.
        draws: Half samples of groups.
        level: Of intervals.
        seed: Of the draws.

    Raises:
        ConfigError: If there are fewer than two draws.
    """
    if draws < 2:
        raise ConfigError("An error needs two half samples", got=draws)
    # whatever differs by rounding alone has equal priority
    priority = np.round(priority / max(float(np.abs(priority).max()), 1e-300), 12)
    found = {}
    for name, area in RATES.items():

        def of_units(chosen: np.ndarray, area=area) -> float:  # type: ignore[no-untyped-def]
            return area(scores[chosen], priority[chosen])

        value = area(scores, priority)
        error = float(half_sample_draws(of_units, groups, draws, seed).std(ddof=1))
        ratio = value / error if error > 1e-12 * max(1.0, float(np.abs(scores).max())) else 0.0
        found[name] = Rate(interval(value, error, level), ratio, float(2 * norm.sf(abs(ratio))))
    return found


def curve_band(
    scores: np.ndarray,
    priority: np.ndarray,
    groups: np.ndarray,
    shares: np.ndarray,
    draws: int,
    level: float,
    seed: int,
) -> np.ndarray:
    """Targeting curve at shares of units, and the ends of its pointwise interval, `[3, shares]`."""

    def at_shares(chosen: np.ndarray) -> np.ndarray:
        curve = targeting_curve(scores[chosen], priority[chosen])
        return curve[np.maximum(np.ceil(shares * len(curve)).astype(int) - 1, 0)]

    middle = at_shares(np.arange(len(scores)))
    drawn = half_sample_draws(at_shares, groups, draws, seed)
    reach = float(norm.ppf(0.5 + level / 2)) * drawn.std(axis=0, ddof=1)
    return np.stack([middle, middle - reach, middle + reach])


def policies(
    scores: np.ndarray, effect: np.ndarray, priority: np.ndarray, groups: np.ndarray, level: float = 0.9
) -> dict[str, Estimate]:
    """What a unit gains on average under rules of whom to treat, over treating nobody.

    `everyone`; `positive`, those whose expected effect is above zero; `first half` by priority, and `any half`, as many
    by lot; and `positive over everyone`, the gain of the second over the first.
    """
    positive = (effect > 0).astype(float)
    order = np.argsort(-priority, kind="stable")
    first = np.zeros(len(scores))
    first[order[: len(order) // 2]] = 1.0
    rules = {
        "everyone": scores,
        "positive": positive * scores,
        "positive over everyone": (positive - 1) * scores,
        "first half": first * scores,
        "any half": first.mean() * scores,
        "first half over any half": (first - first.mean()) * scores,
    }
    return {name: clustered_mean(gain, groups, level) for name, gain in rules.items()}
