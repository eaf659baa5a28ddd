"""What a study says once it is adjusted for what images show: estimates, diagnostics of propensities, balance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, f1_score, log_loss, roc_auc_score

from swath.causal.cluster_study import clustered_least_squares
from swath.causal.estimators import (
    Estimate,
    bootstrap,
    clustered_mean,
    doubly_robust_scores,
    hajek,
    horvitz_thompson,
    interval,
)
from swath.causal.propensity import CLIP
from swath.causal.units import Units
from swath.errors import DataError

#: Above this share of propensities at the clip, there is no overlap to speak of.
_MOST_CLIPPED = 0.9
#: Above this area under the ROC curve likewise.
_MOST_APART = 0.999


@dataclass(frozen=True)
class Adjusted:
    """Predictions of units by models that never saw their image.

    Attributes:
        propensity: Of each unit.
        untreated: Outcome expected of each unit without treatment.
        treated: With it.
        again: Propensities after a bootstrap draw, as weights of units; None holds them fixed.
        seen: Propensity of each unit by models that saw it, for diagnostics alone.
    """

    propensity: np.ndarray
    untreated: np.ndarray
    treated: np.ndarray
    again: Callable[[np.ndarray], np.ndarray] | None = None
    seen: np.ndarray | None = None


def require_overlap(treatment: np.ndarray, propensity: np.ndarray) -> None:
    """Refuse propensities that tell treatments for sure.

    Raises:
        DataError: If nine tenths of them are 0 or 1 but for the clip, or they rank nearly all treated units first.
    """
    clipped = float(((propensity <= 2 * CLIP) | (propensity >= 1 - 2 * CLIP)).mean())
    area = float(roc_auc_score(treatment, propensity))
    if clipped > _MOST_CLIPPED or area > _MOST_APART:
        raise DataError(
            "There is no overlap: images and covariates tell who was treated",
            got=f"{clipped:.0%} of propensities at 0 or 1, area under their ROC curve {area:.4f}",
            expected="units of both arms that look alike",
            fix="Leave out covariates that follow from the treatment, or take images from before it",
        )


def estimates(units: Units, adjusted: Adjusted, draws: int, level: float, seed: int) -> dict[str, Estimate]:
    """The average effect by each estimator, naive ones first; errors are of images with all of their units.

    `difference` in means and `regression` on covariates adjust for nothing that images show; `hajek` and
    `horvitz_thompson` weigh by inverse propensity, `doubly_robust` uses both propensities and outcome models.

    Raises:
        DataError: If the units cannot be used.
    """
    treatment, outcome = units.studied()
    require_overlap(treatment, adjusted.propensity)
    varied = units.covariates[:, units.covariates.std(axis=0) > 1e-12]
    found = {
        "difference": _regressed(outcome, treatment, varied[:, :0], units.image_of, level),
        "regression": _regressed(outcome, treatment, varied, units.image_of, level),
    }

    @cache  # both estimators see the same draws
    def drawn_propensity(weights: bytes) -> np.ndarray:
        return adjusted.propensity if adjusted.again is None else adjusted.again(np.frombuffer(weights))

    for estimator in (hajek, horvitz_thompson):

        def drawn(weights: np.ndarray, estimator: Callable[..., float] = estimator) -> float:
            return estimator(outcome, treatment, drawn_propensity(weights.tobytes()), weights)

        value = estimator(outcome, treatment, adjusted.propensity)
        found[estimator.__name__] = bootstrap(value, drawn, units.image_of, draws, level, seed)
    scores = doubly_robust_scores(outcome, treatment, adjusted.propensity, adjusted.untreated, adjusted.treated)
    return found | {"doubly_robust": clustered_mean(scores, units.image_of, level)}


def diagnostics(units: Units, adjusted: Adjusted) -> dict[str, dict[str, float]]:
    """How well propensities tell treatments that they never saw, and those that they saw, beside a constant share."""
    treatment, _ = units.studied()
    told = {"propensity": adjusted.propensity, "constant": np.full(len(units), treatment.mean())}
    if adjusted.seen is not None:
        told["propensity, units seen"] = adjusted.seen
    return {name: told_apart(treatment, probability) for name, probability in told.items()}


def told_apart(treatment: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Cross entropy; at 0.5 the share of errors and F1; areas under the ROC curve and under precision and recall."""
    return {
        "cross_entropy": float(log_loss(treatment, probability, labels=[0, 1])),
        "error": float(((probability > 0.5) != (treatment == 1)).mean()),
        "f1": float(f1_score(treatment, probability > 0.5, zero_division=0.0)),
        "auc": float(roc_auc_score(treatment, probability)),
        "auprc": float(average_precision_score(treatment, probability)),
    }


def overlap(units: Units, propensity: np.ndarray) -> dict[str, float]:
    """Range of propensities, and the effective number of units in each arm after weighting (Kish 1965)."""
    treatment, _ = units.studied()
    found = {"least": float(propensity.min()), "most": float(propensity.max())}
    for arm in (0, 1):
        weights = 1 / np.where(treatment == 1, propensity, 1 - propensity)[treatment == arm]
        found[f"effective_units_{arm}"] = float(weights.sum() ** 2 / (weights**2).sum())
    return found


def balance(units: Units, propensity: np.ndarray) -> pd.DataFrame:
    """Standardised differences of the arms' means, before and after weighting.

    Rows: longitude, latitude, each covariate, and the mean of each band of each frame of the image.
    """
    treatment, _ = units.studied()
    frames, bands = units.images.shape[1:3]
    means = units.images.mean(axis=(-2, -1)).reshape(len(units.images), -1)[units.image_of]
    columns = {"lon": units.lon, "lat": units.lat}
    columns |= {name: units.covariates[:, i] for i, name in enumerate(units.covariate_names)}
    columns |= {f"frame {i // bands + 1}, band {i % bands + 1}": means[:, i] for i in range(frames * bands)}
    weights = np.where(treatment == 1, 1 / propensity, 1 / (1 - propensity))
    rows = []
    for name, values in columns.items():
        if not np.isfinite(values).all():
            continue
        spread = np.sqrt((values[treatment == 1].var() + values[treatment == 0].var()) / 2)
        if spread > 1e-12:
            rows.append(
                {
                    "name": name,
                    "before": _difference(values, treatment, np.ones_like(weights)) / spread,
                    "after": _difference(values, treatment, weights) / spread,
                }
            )
    return pd.DataFrame(rows, columns=["name", "before", "after"])


def study(units: Units, adjusted: Adjusted, draws: int, level: float, seed: int) -> dict[str, Any]:
    """All of it as plain values."""
    found: Mapping[str, Estimate] = estimates(units, adjusted, draws, level, seed)
    return {
        "estimates": {name: asdict(estimate) for name, estimate in found.items()},
        "diagnostics": diagnostics(units, adjusted),
        "overlap": overlap(units, adjusted.propensity),
        "units": len(units),
        "images": len(np.unique(units.image_of)),
        "left out without outcome": units.dropped,
    }


def _regressed(
    outcome: np.ndarray, treatment: np.ndarray, beside: np.ndarray, groups: np.ndarray, level: float
) -> Estimate:
    """Slope of the outcome on the treatment, beside other columns."""
    design = np.concatenate([np.ones((len(outcome), 1)), treatment[:, None], beside - beside.mean(axis=0)], axis=1)
    values, covariance = clustered_least_squares(outcome, design, groups)
    return interval(float(values[1]), float(np.sqrt(covariance[1, 1])), level)


def _difference(values: np.ndarray, treatment: np.ndarray, weights: np.ndarray) -> float:
    one, zero = weights * treatment, weights * (1 - treatment)
    return float(one @ values / one.sum() - zero @ values / zero.sum())
