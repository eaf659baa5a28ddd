"""Panels that pictures of causal studies share: places, held-out checks, chips in colours."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from swath.causal.estimators import clustered_mean
from swath.causal.units import Units

#: Groups of units by predicted effect.
_GROUPS = 5


def draw_places(axis: Axes, units: Units, effect: np.ndarray) -> None:
    """Expected effect of units by place, or as a histogram where places are unknown."""
    if np.isfinite(units.lon).all():
        drawn = axis.scatter(units.lon, units.lat, c=effect, s=8, cmap="viridis")
        axis.figure.colorbar(drawn, ax=axis, label="expected effect")
        axis.set(title="Expected effect by place", xlabel="longitude", ylabel="latitude")
    else:
        axis.hist(effect, bins=30)
        axis.set(title="Expected effects of units", xlabel="effect")


def draw_checks(axis: Axes, units: Units, effect: np.ndarray, scores: np.ndarray) -> None:
    """Mean doubly robust score of units grouped by predicted effect, beside the prediction."""
    groups = np.array_split(np.argsort(effect, kind="stable"), min(_GROUPS, len(effect)))
    told, found = ([values[group].mean() for group in groups] for values in (effect, scores))
    errors = [clustered_mean(scores[group], units.image_of[group]).error for group in groups]
    axis.errorbar(told, found, yerr=1.645 * np.array(errors), fmt="o", capsize=3)
    axis.axline((float(np.mean(told)), float(np.mean(told))), slope=1, linestyle="--", color="grey")
    axis.axhline(float(scores.mean()), color="grey", linewidth=0.6)
    axis.set(title="On units that no fit saw, 90 %", xlabel="predicted effect", ylabel="doubly robust")


def colours(image: np.ndarray) -> np.ndarray:
    """The first three bands of `[bands, height, width]`, or the first, between their percentiles."""
    bands = image[:3] if len(image) >= 3 else image[[0, 0, 0]]
    low, high = np.percentile(bands, [2, 98], axis=(1, 2), keepdims=True)
    return np.moveaxis(np.clip((bands - low) / np.maximum(high - low, 1e-9), 0, 1), 0, -1)
