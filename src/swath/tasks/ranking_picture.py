"""A trial in one picture: what targeting is worth, effects by place, held-out checks, and every other analysis."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swath.causal.units import Units
from swath.files import write_bytes
from swath.tasks.effect_panels import draw_checks, draw_places


def draw_study(
    path: Path,
    units: Units,
    effect: np.ndarray,
    scores: np.ndarray,
    curve: tuple[np.ndarray, np.ndarray],
    choices: pd.DataFrame | None,
) -> None:
    """Write the picture as PNG.

    Args:
        path: The file.
        units: Of the study.
        effect: Of each, by fits that never saw its image.
        scores: Doubly robust, of each.
        curve: Shares of units, and the targeting curve there with its interval `[3, shares]`.
        choices: As `swath.causal.choices.every_choice` gives it; None draws none.
    """
    panels = 3 if choices is None else 4
    figure = Figure(figsize=(4 * panels, 4), layout="constrained")
    axes = figure.subplots(1, panels)
    _draw_curve(axes[0], *curve)
    draw_places(axes[1], units, effect)
    draw_checks(axes[2], units, effect, scores)
    if choices is not None:
        _draw_choices(axes[3], choices)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    write_bytes(path, buffer.getvalue())


def _draw_curve(axis: Axes, shares: np.ndarray, band: np.ndarray) -> None:
    axis.fill_between(shares, band[1], band[2], color="#2b6cb0", alpha=0.2)
    axis.plot(shares, band[0], color="#2b6cb0")
    axis.axhline(0, color="grey", linewidth=0.6)
    axis.set(title="Targeting", xlabel="share treated first", ylabel="gain over treating as many by lot")


def _draw_choices(axis: Axes, choices: pd.DataFrame) -> None:
    """Ratios of all analyses in order, beside those expected of as many that tell nothing."""
    for metric, colour in (("autoc", "#2b6cb0"), ("qini", "#d1495b")):
        ratios = np.sort(choices.loc[choices["metric"] == metric, "ratio"])
        axis.plot(ratios, np.arange(len(ratios)), "o", markersize=4, color=colour, label=metric)
    axis.axvspan(-1.96, 1.96, color="0.93")
    axis.set(title="Every analysis", xlabel="effect over its error", yticks=[])
    axis.legend(fontsize=8)
