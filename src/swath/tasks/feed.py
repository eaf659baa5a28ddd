"""What a network is fed: which patches to train on in an epoch, and how a part is covered for scoring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from swath.data.samplers import Place
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


def cover(data: Collection, part: str, patch: int) -> tuple[Sequence[Place], int]:
    """Patches whose centres cover every pixel of a part exactly once.

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
    places = []
    for number, scene in enumerate(data):
        height, width = scene.grid.shape
        for row in range(0, height, step):
            for col in range(0, width, step):
                core = Window(row, col, step, step)
                if scene.part is not None and scene.part_mask(core, part).any():
                    places.append(Place(number, core.pad(margin)))
    return places, margin
