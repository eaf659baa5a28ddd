"""Patches around labelled pixels, for labels that are sparse or classes that are rare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from swath.data.classes import IGNORE
from swath.data.labels import VectorLabels, labelled_pixels
from swath.data.samplers import Ground, Places
from swath.data.scenes import Collection, Scene
from swath.data.whole_images import ImageLabel
from swath.errors import ConfigError, DataError
from swath.geo.grids import shape_of, window_grid
from swath.geo.windows import Window, whole

#: Labels are read in squares of this many pixels.
_SQUARE = 1024
#: Pixels of one class in one chunk that are kept as centres; weights make up for the others.
_KEPT = 4096


@dataclass(frozen=True, eq=False)
class _Pixels:
    """Labelled pixels: index of the scene in its ground, row, column, class, and how many pixels each stands for."""

    scenes: np.ndarray
    rows: np.ndarray
    cols: np.ndarray
    classes: np.ndarray
    weights: np.ndarray


class LabelledPlaces:
    """A sampler of patches that are centred, with some jitter, on labelled pixels of the part.

    Labels are read once for a collection; where they are dense, a random choice of them is kept.

    Args:
        count: Places an epoch; by default one for each labelled pixel, at most as many as a regular cover has.
        balanced: Whether classes are drawn equally often; otherwise labelled pixels are.
        jitter: How far the labelled pixel may lie from the centre of its patch, as a fraction of half the patch.

    Raises:
        ConfigError: If the jitter is not between 0 and 1.
    """

    def __init__(self, count: int | None = None, *, balanced: bool = True, jitter: float = 0.5) -> None:
        if not 0 <= jitter < 1:
            raise ConfigError("The jitter is not a fraction of half the patch", got=jitter, expected="0 <= jitter < 1")
        self.count, self.balanced, self.jitter = count, balanced, jitter
        self._known: tuple[Collection, str | None, _Pixels] | None = None

    def __call__(self, collection: Collection, part: str | None, patch: int, *, seed: int, epoch: int = 0) -> Places:
        """See `swath.data.samplers.Sampler`.

        Raises:
            DataError: If the part is empty or holds no labelled pixel.
        """
        ground = Ground(collection, part, patch)
        if self._known is None or self._known[0] is not collection or self._known[1] != part:
            self._known = (collection, part, _labelled(ground, part))
        pixels = self._known[2]
        if not len(pixels.rows):
            raise DataError(
                f"{collection.name} has no labelled pixel in its '{part}' part",
                fix="Check that labels and images overlap, and the `split:` of the data",
            )
        rng = np.random.default_rng([seed, epoch])
        weights = pixels.weights.copy()
        if self.balanced:
            weights /= np.bincount(pixels.classes, weights)[pixels.classes]
        cover = int((-(-ground.sizes // patch)).prod(1).sum())
        count = min(int(pixels.weights.sum()), cover) if self.count is None else self.count
        drawn = rng.choice(len(weights), count, p=weights / weights.sum())
        index, pixel = pixels.scenes[drawn], np.stack([pixels.rows[drawn], pixels.cols[drawn]], 1)
        reach = int(self.jitter * patch / 2)
        centred = pixel - patch // 2
        moved = centred + rng.integers(-reach, reach + 1, (count, 2))
        room = ground.sizes[index] - patch
        moved = np.clip(moved, np.minimum(room, 0), np.maximum(room, 0))
        kept = ground.holds(index, *moved.T)
        rows, cols = np.where(kept[:, None], moved, centred).T
        return Places(ground.numbers[index], rows, cols, patch)


def _labelled(ground: Ground, part: str | None) -> _Pixels:
    """Labelled pixels of the part in all scenes; up to `_KEPT` of each class from each chunk."""
    rng = np.random.default_rng(0)
    found = [np.empty((5, 0))]
    for index in range(len(ground.numbers)):
        for rows, cols, classes in _chunks(ground.scene(index), part, ground.patch):
            for label in np.unique(classes):
                members = np.flatnonzero(classes == label)
                weight = max(1.0, len(members) / _KEPT)
                if len(members) > _KEPT:
                    members = rng.choice(members, _KEPT, replace=False)
                same = np.ones(len(members))
                found.append(np.stack([same * index, rows[members], cols[members], same * label, same * weight]))
    columns = np.concatenate(found, axis=1)
    scenes, rows, cols, classes = columns[:4].astype(np.int64)
    return _Pixels(scenes, rows, cols, classes, columns[4])


def _chunks(scene: Scene, part: str | None, patch: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows, columns and classes of labelled pixels, square by square, or all at once where vectors are sparse."""
    if isinstance(scene.labels, VectorLabels) and not scene.labels.dense:
        yield labelled_pixels(scene, part)
    elif isinstance(scene.labels, ImageLabel) and isinstance(scene.part, str) and max(scene.grid.shape) <= patch:
        # all places are one: a pixel stands for the image
        here = np.zeros(int(part in (None, scene.part) and scene.labels.index != IGNORE), np.int64)
        yield here, here, here + scene.labels.index
    elif scene.labels is not None:
        limits = whole(shape_of(scene.grid))
        for row in range(0, limits.height, _SQUARE):
            for col in range(0, limits.width, _SQUARE):
                square = Window(row, col, _SQUARE, _SQUARE).intersect(limits)
                classes = scene.labels.read(window_grid(scene.grid, square))
                counts = classes != IGNORE
                if part is not None:
                    counts &= scene.part_mask(square, part)
                rows, cols = np.nonzero(counts)
                yield rows + row, cols + col, classes[counts]
