"""A study of image effect clusters in one picture: effects, images of each cluster, places, and held-out checks."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import uniform_filter

from swath.causal.cluster_fits import Posterior
from swath.causal.units import Units
from swath.files import write_bytes
from swath.tasks.effect_panels import colours, draw_checks, draw_places

#: Images shown of a cluster.
_SHOWN = 4
#: Pixels over which salience is averaged: the strides of the encoder leave a lattice in it.
_SMOOTHED = 4


def draw_study(
    path: Path, units: Units, posterior: Posterior, scores: np.ndarray, gradient: np.ndarray, shown: np.ndarray
) -> None:
    """Write the picture as PNG.

    Args:
        path: The file.
        units: With no images but their own, of which the first frame is shown.
        posterior: Of the images.
        scores: Doubly robust, of the units.
        gradient: Of the probability of the last cluster, of the images `shown`.
        shown: Indices of images, the same number for each cluster.
    """
    count = posterior.effects.shape[1]
    heights = [4.0, 1.7 * count]
    figure = Figure(figsize=(11, sum(heights)), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)[:, 0]
    effects, places, checks = top.subplots(1, 3)
    _draw_effects(effects, posterior)
    effect = posterior.effect.mean(axis=0)[units.image_of]
    draw_places(places, units, effect)
    draw_checks(checks, units, effect, scores)
    axes = bottom.subplots(count, 2 * _SHOWN, squeeze=False)
    for number, (image, slopes) in enumerate(zip(shown, gradient, strict=True)):
        cluster, place = divmod(number, len(shown) // count)
        left, right = axes[cluster, 2 * place : 2 * place + 2]
        left.imshow(colours(units.images[image, 0]))
        left.set_title(f"cluster {cluster + 1}, {posterior.effect[:, image].mean():.2f}", fontsize=8)
        strength = uniform_filter(np.sqrt((slopes[0] ** 2).sum(axis=0)), _SMOOTHED)
        right.imshow(np.log1p(strength / max(float(np.median(strength)), 1e-12)), cmap="magma")
        right.set_title("salience", fontsize=8)
    for axis in axes.flat:
        axis.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    write_bytes(path, buffer.getvalue())


def surest_images(posterior: Posterior) -> np.ndarray:
    """Images that most surely belong to each cluster, cluster after cluster."""
    probabilities = posterior.probabilities.mean(axis=0)
    count = min(_SHOWN, len(probabilities))
    return np.concatenate([np.argsort(-column, kind="stable")[:count] for column in probabilities.T])


def _draw_effects(axis: Axes, posterior: Posterior) -> None:
    for k, draws in enumerate(posterior.effects.T):
        axis.hist(draws, bins=30, density=True, alpha=0.6, label=f"cluster {k + 1}")
    axis.set(title="Posterior effects of clusters", xlabel="effect", yticks=[])
    axis.legend(fontsize=8)
