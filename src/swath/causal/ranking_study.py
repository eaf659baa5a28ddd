"""What a trial says of effects that images tell, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

import numpy as np

from swath.causal.cluster_study import calibration
from swath.causal.effect_fits import HeldOut
from swath.causal.estimators import Estimate, clustered_mean
from swath.causal.land_cover import explain, land_cover_shares
from swath.causal.targeting import policies, rates
from swath.causal.units import Units
from swath.data.sources import Source


def ranking_study(
    units: Units,
    told: HeldOut,
    scores: np.ndarray,
    rivals: Mapping[str, HeldOut],
    draws: int,
    level: float,
    seed: int,
) -> dict[str, Any]:
    """Average effect, rank-weighted effects beside those of baselines, calibration, values of policies.

    Args:
        units: Of the trial.
        told: Effects by fits that never saw a unit's image.
        scores: Doubly robust, of each unit.
        rivals: What baselines tell, likewise.
        draws: Half samples of images.
        level: Of intervals.
        seed: Of the draws.

    Returns:
        Plain values; an estimate is its value, standard error, and the ends of its interval.
    """
    groups = units.image_of

    def weighed(one: HeldOut) -> dict[str, dict[str, float]]:
        found = rates(scores, one.priority, groups, draws, level, seed)
        return {name: rate.plain() for name, rate in found.items()}

    slope = calibration(scores, told.effect, groups, level)
    rules = policies(scores, told.effect, told.priority, groups, level)
    return {
        "units": len(units),
        "images": len(units.keys),
        "dropped": units.dropped,
        "average_effect": _plain(clustered_mean(scores, groups, level)),
        "rates": weighed(told),
        "baselines": {name: weighed(rival) for name, rival in rivals.items()},
        "calibration": None if slope is None else _plain(slope),
        "policies": {rule: _plain(gain) for rule, gain in rules.items()},
    }


def land_cover_study(units: Units, told: HeldOut, scores: np.ndarray, source: Source, square: float) -> dict[str, Any]:
    """Slopes of predicted effects and of doubly robust scores on shares of land cover around units.

    Args:
        units: Of the trial, with places.
        told: Effects of units.
        scores: Doubly robust, of each unit.
        source: Raster of class codes.
        square: Edge of what counts as around, metres.

    Raises:
        ConfigError: If the square has no size.
        DataError: If the raster shows no classes there, or one alone.
    """
    shares = land_cover_shares(source, units.lon, units.lat, square)
    return {
        "compared with": str(shares.columns[0]),
        "predicted effects": explain(told.effect, shares, units.image_of).plain(),
        "doubly robust scores": explain(scores, shares, units.image_of).plain(),
    }


def _plain(estimate: Estimate) -> list[float]:
    return list(astuple(estimate)[:4])
