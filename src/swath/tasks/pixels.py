"""Labelled pixels of a part: what scores are counted on, and what naive baselines learn from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from swath.data.classes import IGNORE
from swath.data.loader import Batches
from swath.errors import DataError
from swath.tasks.feed import cover

if TYPE_CHECKING:
    from swath.data.scenes import Collection
    from swath.data.series import SeriesInput

#: Labelled pixels from which the baselines learn, at most.
_BASELINE_PIXELS = 50_000
#: Of these, at most so many from one patch.
_PATCH_PIXELS = 2_000


def pixel_features(batch: Mapping[str, Any], series: Mapping[str, SeriesInput]) -> np.ndarray:
    """Physical values `[B, height, width, bands]` of all layers, then of all dates of series on the patch's grid."""
    image = batch["image"]
    planes = [image] if isinstance(image, torch.Tensor) else list(image.values())
    planes += [batch["series"][name]["values"].flatten(1, 2) for name, wanted in series.items() if wanted.view is None]
    return torch.cat(planes, 1).numpy().transpose(0, 2, 3, 1)


def covered(
    data: Collection, part: str, patch: int, batch: int, threads: int, seed: int, shuffled: bool = False
) -> Iterator[tuple[dict[str, Any], tuple[slice, slice]]]:
    """Batches over a part, and the core of each patch, where any is labelled."""
    places, margin = cover(data, part, patch)
    if not len(places):
        return
    if shuffled:
        places = places.take(np.random.default_rng(seed).permutation(len(places)))
    core = (slice(margin, patch - margin),) * 2
    for found in Batches(data, places, part=part, patch=patch, batch=batch, threads=threads, seed=seed):
        if (found["mask"][:, *core] != IGNORE).any():
            yield found, core


def labelled_pixels(data: Collection, part: str, patch: int, threads: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Physical values `[N, bands]` and classes `[N]` of labelled pixels from patches in random order.

    At most 2000 of a patch and 50 000 in all, so that a large part need not be read whole.

    Raises:
        DataError: If no pixel of the part is labelled.
    """
    generator = np.random.default_rng(seed)
    features: list[np.ndarray] = []
    classes: list[np.ndarray] = []
    for batch, core in covered(data, part, patch, 4, threads, seed, shuffled=True):
        truth = batch["mask"].numpy()[:, *core]
        for values, mask in zip(pixel_features(batch, data.series)[:, *core], truth, strict=True):
            rows, cols = np.nonzero(mask != IGNORE)
            drawn = generator.permutation(len(rows))[:_PATCH_PIXELS]
            features.append(values[rows[drawn], cols[drawn]])
            classes.append(mask[rows[drawn], cols[drawn]])
        if sum(map(len, classes)) >= _BASELINE_PIXELS:
            break
    if not classes:
        raise DataError(f"The '{part}' part of {data.name} has no labelled pixel for the baselines to learn from")
    return np.concatenate(features), np.concatenate(classes)
