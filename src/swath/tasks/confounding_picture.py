"""A study of confounding in one picture: estimates, overlap, balance, and what of images tells treatments."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import uniform_filter

from swath.causal.units import Units
from swath.files import write_bytes
from swath.tasks.effect_panels import colours

#: Difference of means below which arms count as balanced (Stuart 2010).
_BALANCED = 0.1
#: Pixels over which salience is averaged: the strides of the encoder leave a lattice in it.
_SMOOTHED = 4


def draw_study(
    path: Path,
    units: Units,
    propensity: np.ndarray,
    balance: pd.DataFrame,
    found: Mapping[str, Any],
    salience: np.ndarray | None,
) -> None:
    """Write the picture as PNG.

    Args:
        path: The file.
        units: Of the study, images standardised.
        propensity: Of each unit.
        balance: As `swath.causal.adjustment.balance` gives it.
        found: As `swath.causal.adjustment.study` gives it.
        salience: Gradient of the logit of the first images, as the images; None draws none.
    """
    rows = 1 if salience is None else 2
    figure = Figure(figsize=(12, 4 + 4.5 * (rows - 1)), layout="constrained")
    parts = figure.subfigures(rows, 1, height_ratios=[4.0, 4.5][:rows], squeeze=False)[:, 0]
    estimates, overlap, love = parts[0].subplots(1, 3)
    _draw_estimates(estimates, found["estimates"])
    _draw_overlap(overlap, units, propensity)
    _draw_balance(love, balance)
    if salience is not None:
        _draw_salience(parts[1].subplots(3, len(salience), squeeze=False), units, salience)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    write_bytes(path, buffer.getvalue())


def _draw_estimates(axis: Axes, estimates: Mapping[str, Mapping[str, float]]) -> None:
    names = list(estimates)[::-1]
    for place, name in enumerate(names):
        one = estimates[name]
        naive = name in ("difference", "regression")
        axis.plot([one["low"], one["high"]], [place, place], color="0.6" if naive else "#2b6cb0", linewidth=2)
        axis.plot(one["value"], place, "o", color="0.4" if naive else "#2b6cb0")
    axis.axvline(0, color="0.8", linewidth=1)
    axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axis.set(title="Average effect", xlabel=f"{next(iter(estimates.values()))['level']:.0%} intervals")


def _draw_overlap(axis: Axes, units: Units, propensity: np.ndarray) -> None:
    treatment, _ = units.studied()
    bins = np.linspace(0, 1, 31).tolist()
    for arm, colour in ((0, "#8d99ae"), (1, "#d1495b")):
        label = "treated" if arm else "not treated"
        axis.hist(propensity[treatment == arm], bins=bins, density=True, alpha=0.6, color=colour, label=label)
    axis.set(title="Overlap", xlabel="propensity by models that never saw the image", yticks=[])
    axis.legend(fontsize=8)


def _draw_balance(axis: Axes, balance: pd.DataFrame) -> None:
    places = np.arange(len(balance))[::-1]
    axis.axvspan(-_BALANCED, _BALANCED, color="0.93")
    axis.plot(balance["before"], places, "o", color="0.5", fillstyle="none", label="before")
    axis.plot(balance["after"], places, "o", color="#2b6cb0", label="after weighting")
    axis.set_yticks(places, balance["name"], fontsize=8)
    axis.set(title="Balance", xlabel="standardised difference of the arms")
    axis.legend(fontsize=8)


def _draw_salience(axes: np.ndarray, units: Units, salience: np.ndarray) -> None:
    for number, gradient in enumerate(salience):
        axes[0, number].imshow(colours(units.images[number, 0]))
        strength = uniform_filter(np.sqrt((gradient**2).sum(axis=(0, 1))), _SMOOTHED)
        axes[1, number].imshow(np.log1p(strength / max(float(np.median(strength)), 1e-12)), cmap="magma")
        direction = uniform_filter(gradient.mean(axis=(0, 1)), _SMOOTHED)
        direction /= max(float(np.median(np.abs(direction))), 1e-12)
        logs = np.sign(direction) * np.log1p(np.abs(direction))
        reach = max(float(np.abs(logs).max()), 1e-12)
        axes[2, number].imshow(logs, cmap="RdBu_r", vmin=-reach, vmax=reach)
    titles = ("images", "what of them tells the treatment", "brighter pixels speak for it (red) or against (blue)")
    for row, title in enumerate(titles):
        axes[row, 0].set_title(title, fontsize=8, loc="left")
    for axis in axes.flat:
        axis.set_axis_off()
