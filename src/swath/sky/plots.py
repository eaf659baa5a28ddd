"""Pictures that show at a glance whether a catalogue can be right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swath.files import replacing
from swath.sky.measure import Settings
from swath.sky.mosaics import Mosaic


def diagnostics(
    catalogue: pd.DataFrame,
    segments: np.ndarray,
    mosaics: Sequence[Mosaic],
    settings: Settings,
    path: Path,
    edge: int = 512,
) -> None:
    """Write a PNG: the middle of the sharp mosaic with its sources, their segments, counts, errors, sizes and a colour.

    Args:
        catalogue: With `x`, `y` in pixels from zero and the published columns.
        segments: The segmentation map.
        mosaics: Background subtracted, the sharp one first.
        settings: What the catalogue was made with.
        path: Of the picture.
        edge: Of the part of the mosaic that is shown, pixels.

    Raises:
        WriteError: If the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    vis = mosaics[0]
    middle = [n // 2 for n in vis.values.shape]
    rows, cols = (
        slice(max(m - edge // 2, 0), min(m + edge // 2, n)) for m, n in zip(middle, vis.values.shape, strict=True)
    )
    figure = Figure(figsize=(13, 8.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3)
    total, error = catalogue["FLUX_DETECTION_TOTAL"], catalogue["FLUXERR_DETECTION_TOTAL"]
    of_vis = catalogue["VIS_DET"] == 1
    magnitude = 23.9 - 2.5 * np.log10(total.where(total > 0))
    extent = (cols.start - 0.5, cols.stop - 0.5, rows.start - 0.5, rows.stop - 0.5)
    view = np.arcsinh(vis.values[rows, cols] / (2 * np.median(vis.rms)))
    axes[0, 0].imshow(view, cmap="gray_r", origin="lower", vmin=-1, vmax=5, extent=extent)
    for mask, colour, name in ((of_vis, "tab:blue", vis.band), (~of_vis, "tab:red", "near infrared alone")):
        axes[0, 0].scatter(catalogue["x"][mask], catalogue["y"][mask], 30, "none", edgecolors=colour, label=name)
    axes[0, 0].set(xlim=extent[:2], ylim=extent[2:], title="Sources")
    axes[0, 0].legend(loc="upper right", fontsize=7)
    shown = segments[rows, cols]
    tints = np.random.default_rng(0).permutation(int(segments.max()) + 1) % 19 + 1
    axes[0, 1].imshow(np.where(shown > 0, tints[shown], 0), cmap="tab20c_r", origin="lower", extent=extent)
    axes[0, 1].set_title("Segmentation map")
    axes[0, 2].hist(magnitude[np.isfinite(magnitude)], bins=np.arange(16, 29, 0.5), color="0.4")
    axes[0, 2].set(title="Counts", xlabel="AB magnitude of FLUX_DETECTION_TOTAL", yscale="log")
    axes[1, 0].plot(magnitude, total / error, ".", markersize=3)
    axes[1, 0].axhline(10, color="0.6")
    axes[1, 0].set(title="Signal to noise", xlabel="AB magnitude", yscale="log")
    points = axes[1, 1].scatter(magnitude, catalogue["FWHM"], 6, catalogue["POINT_LIKE_PROB"], cmap="viridis")
    axes[1, 1].set(title="Sizes", xlabel="AB magnitude", ylabel="FWHM, arcsec", yscale="log")
    figure.colorbar(points, ax=axes[1, 1], label="POINT_LIKE_PROB")
    _two_ways(axes[1, 2], catalogue, [m.band for m in mosaics if m.band != settings.vis], settings.vis)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _two_ways(axis: Any, catalogue: pd.DataFrame, bands: Sequence[str], vis: str) -> None:
    """Colours by templates against colours by matched apertures, of sources well seen."""
    bright = (catalogue["VIS_DET"] == 1) & (
        catalogue["FLUX_DETECTION_TOTAL"] > 10 * catalogue["FLUXERR_DETECTION_TOTAL"]
    )
    for band in bands:
        colours = []
        for name in ("{}_1FWHM_APER", "{}_TEMPLFIT"):
            down = f"{vis}_TO_{name.format(band)}" if "TEMPL" in name else name.format(vis)
            ratio = (catalogue[f"FLUX_{name.format(band)}"] / catalogue[f"FLUX_{down}"])[bright]
            colours.append(2.5 * np.log10(ratio.where(ratio > 0)))
        axis.plot(*colours, ".", markersize=3, label=f"{vis} - {band}")
    axis.set(title="Colours, AB mag", xlabel="apertures of 1 FWHM", ylabel="templates")
    axis.axline((0, 0), slope=1, color="0.6", linewidth=1)
    if bands:
        axis.legend(fontsize=7)
