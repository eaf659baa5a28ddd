"""What a network is fed: which patches to train on in an epoch, and how a part is covered for scoring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from swath.data.samplers import Places
from swath.geo.windows import Window

if TYPE_CHECKING:
    from swath.data.loader import Batches
    from swath.data.scenes import Collection


class Feed:
    """Batches that are drawn anew for every epoch.

    Args:
        draw: Makes the batches of an epoch.
        epoch: Tells the present epoch.
    """

    def __init__(self, draw: Callable[[int], Batches], epoch: Callable[[], int] = lambda: 0) -> None:
        self.draw, self.epoch = draw, epoch

    def __len__(self) -> int:
        return len(self.draw(0))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.draw(self.epoch()))


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
