"""Image effect clusters as tables: of images, and of the study as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from swath.causal.cluster_fits import Posterior
from swath.causal.cluster_study import calibration, cluster_effects
from swath.causal.estimators import Estimate, clustered_mean, doubly_robust_scores
from swath.causal.units import Units


def image_table(posterior: Posterior, keys: np.ndarray, reshuffles: int | None = None) -> pd.DataFrame:
    """A row for each image.

    Columns: `key`; `effect` and `effect_sd`, mean and sd of its units' expected effect over all draws; `effect_se`,
    the standard error from the spread of reshuffles, with `reshuffles`; `y0` and `y1`, outcomes expected without and
    with treatment; `cluster`, the likeliest, from 1 for the smallest effect; `p1`, `p1_sd`, ... of each cluster.

    Args:
        posterior: Of the images.
        keys: Of the images.
        reshuffles: How many follow each other in the draws.
    """
    effect, base = posterior.effect.mean(axis=0), posterior.base.mean(axis=0)
    columns: dict[str, np.ndarray] = {"key": keys, "effect": effect, "effect_sd": posterior.effect.std(axis=0)}
    if reshuffles is not None:
        means = posterior.effect.reshape(reshuffles, -1, len(keys)).mean(axis=1)
        spread = means.std(axis=0, ddof=1) / np.sqrt(reshuffles) if reshuffles > 1 else np.full(len(keys), np.nan)
        columns["effect_se"] = spread
    probabilities, sds = posterior.probabilities.mean(axis=0), posterior.probabilities.std(axis=0)
    columns |= {"y0": base, "y1": base + effect, "cluster": probabilities.argmax(axis=1) + 1}
    for number in range(probabilities.shape[1]):
        columns |= {f"p{number + 1}": probabilities[:, number], f"p{number + 1}_sd": sds[:, number]}
    return pd.DataFrame(columns)


def unit_scores(units: Units, mu0: np.ndarray | float, mu1: np.ndarray | float) -> np.ndarray:
    """Doubly robust scores of units; treatment has its known probability, or the share of the treated.

    Args:
        units: With treatment and outcome.
        mu0: Outcome expected of each unit without treatment.
        mu1: With it.
    """
    treatment, outcome = units.studied()
    share = units.chances()
    return doubly_robust_scores(outcome, treatment, share, np.broadcast_to(mu0, share.shape), np.asarray(mu1))


def study_table(units: Units, posterior: Posterior, level: float = 0.9) -> dict[str, Any]:
    """What the study found, as plain values; clusters from the smallest effect to the largest.

    Args:
        units: With treatment and outcome.
        posterior: Of all images of the study, in their order, by fits that never saw them.
        level: Of the intervals.
    """
    place = units.image_of
    base, effect = posterior.base.mean(axis=0)[place], posterior.effect.mean(axis=0)[place]
    probabilities = posterior.probabilities.mean(axis=0)[place]
    scores = unit_scores(units, base, base + effect)
    held_out = cluster_effects(scores, probabilities, place, level)
    low, high = np.quantile(posterior.effects, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    clusters = [
        {
            "effect": float(posterior.effects[:, k].mean()),
            "sd": float(posterior.effects[:, k].std()),
            "low": float(low[k]),
            "high": float(high[k]),
            "share": float(probabilities[:, k].mean()),
            "variance_within": _number(posterior.variances[:, k].mean()),
            "held_out": _plain(held_out[k] if held_out else None),
        }
        for k in range(probabilities.shape[1])
    ]
    return {
        "units": len(units),
        "images": len(np.unique(place)),
        "dropped": units.dropped,
        "level": level,
        "average_effect": float(effect.mean()),
        "average_effect_doubly_robust": _plain(clustered_mean(scores, place, level)),
        "clusters": clusters,
        "calibration": _plain(calibration(scores, effect, place, level)),
    }


def _plain(estimate: Estimate | None) -> dict[str, float] | None:
    if estimate is None:
        return None
    return {"value": estimate.value, "se": estimate.error, "low": estimate.low, "high": estimate.high}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
