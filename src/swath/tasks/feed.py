"""What a network is fed: which patches an epoch draws, and how a part is covered for scoring."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from swath.data.classes import IGNORE
from swath.data.labelled import LabelledPlaces
from swath.data.samplers import Places, Sampler, block_places
from swath.geo.grids import window_grid
from swath.geo.windows import Window

if TYPE_CHECKING:
    from swath.data.scenes import Collection
    from swath.tasks.recipe import Recipe

#: Below this share of labelled pixels, labels are sparse, and patches are drawn around them.
_SPARSE = 0.2
#: Patches looked at to judge it.
_JUDGED = 64


def training_sampler(data: Collection, recipe: Recipe, seed: int) -> Sampler:
    """The sampler of a recipe; `auto` draws around labelled pixels where few pixels are labelled."""
    sampling = recipe.sampling
    if sampling == "auto":
        sampling = "labels" if labelled_share(data, "train", recipe.patch, seed) < _SPARSE else "area"
    if sampling == "area":
        return partial(block_places, count=recipe.samples)
    return LabelledPlaces(recipe.samples, balanced=sampling == "classes")


def labelled_share(data: Collection, part: str, patch: int, seed: int) -> float:
    """Share of the pixels of a part that have a label, judged by a sample of patches."""
    places, _ = cover(data, part, max(patch, 64))
    inside = labelled = 0
    for index in np.random.default_rng(seed).permutation(len(places))[:_JUDGED]:
        scene, window = data[places[index].scene], places[index].window
        counted = scene.part_mask(window, part)
        inside += int(counted.sum())
        if scene.labels is not None:
            labelled += int((counted & (scene.labels.read(window_grid(scene.grid, window)) != IGNORE)).sum())
    return labelled / max(inside, 1)


def cover(data: Collection, part: str, patch: int) -> tuple[Places, int]:
    """Patches whose cores cover every pixel of a part exactly once.

    Args:
        data: Scenes, split.
        part: The part to cover.
        patch: Edge of a patch in pixels.

    Returns:
        The patches, row by row in each scene, and the margin in pixels to cut from each side of a patch: an eighth of
        it, so that a pixel is judged with context around it; 0 where every scene fits into one patch.
    """
    margin = 0 if all(max(scene.grid.shape) <= patch for scene in data) else patch // 8
    step = patch - 2 * margin
    corners = [
        (number, row - margin, col - margin)
        for number, scene in enumerate(data)
        if scene.part is not None
        for row, col in product(*(range(0, size, step) for size in scene.grid.shape))
        if scene.part_mask(Window(row, col, step, step), part).any()
    ]
    scenes, rows, cols = np.array(corners, np.int64).reshape(-1, 3).T
    return Places(scenes, rows, cols, patch), margin
