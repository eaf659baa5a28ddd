"""Instances: things that are told apart, each with its class, box and mask on a grid.

Convention: boxes are `(x0, y0, x1, y1)` in pixels, counted at pixel corners from the top-left; a box is the smallest
around the pixels of its mask.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from odc.geo.geobox import GeoBox
from pyproj import CRS
from scipy import sparse

from swath.errors import DataError
from swath.geo.grids import shape_of
from swath.geo.masks import crop, masks_of
from swath.geo.windows import Window


@dataclass(frozen=True)
class Instances:
    """Things on a grid, each with at least one pixel.

    Attributes:
        shape: `(height, width)` of the grid.
        classes: Class index `[n]`, int64.
        crowd: Whether each stands for a group whose members are not told apart, bool `[n]`.
        numbers: Place `[n]` of each among all things of its scene.
        windows: The smallest window around the pixels of each.
        crops: Mask of each in its window, bool.
    """

    shape: tuple[int, int]
    classes: np.ndarray
    crowd: np.ndarray
    numbers: np.ndarray
    windows: tuple[Window, ...]
    crops: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def boxes(self) -> np.ndarray:
        """Boxes `[n, 4]`, float32."""
        sides = [(w.col, w.row, w.col_stop, w.row_stop) for w in self.windows]
        return np.array(sides, np.float32).reshape(-1, 4)

    @property
    def areas(self) -> np.ndarray:
        """Pixels `[n]` of each."""
        return np.array([c.sum() for c in self.crops], np.int64)

    def masks(self) -> np.ndarray:
        """Masks `[n, height, width]`, bool."""
        masks = np.zeros((len(self), *self.shape), bool)
        for mask, window, part in zip(masks, self.windows, self.crops, strict=True):
            mask[window.slices] = part
        return masks

    def pixels(self) -> sparse.csr_array:
        """Masks as a sparse matrix `[n, height * width]` of ones: what scenes with many things can afford."""
        width = self.shape[1]
        found = [np.nonzero(part) for part in self.crops]
        columns = [(r + w.row) * width + c + w.col for (r, c), w in zip(found, self.windows, strict=True)]
        rows = np.repeat(np.arange(len(self)), [len(c) for c in columns])
        flat = np.concatenate([*columns, np.empty(0, np.int64)]).astype(np.int64)
        size = (len(self), self.shape[0] * width)
        return sparse.csr_array((np.ones(len(flat), np.int32), (rows, flat)), shape=size)

    def take(self, places: np.ndarray) -> Instances:
        """Those at some places."""
        return Instances(
            self.shape, self.classes[places], self.crowd[places], self.numbers[places],
            tuple(self.windows[i] for i in places), tuple(self.crops[i] for i in places),
        )  # fmt: skip

    def cut(self, kept: np.ndarray) -> Instances:
        """Only their pixels where `kept` `[height, width]` is True; those without any are gone."""
        windows, crops, places = [], [], []
        for place, (window, part) in enumerate(zip(self.windows, self.crops, strict=True)):
            tight, left = crop(part & kept[window.slices])
            if not tight.empty:
                windows.append(tight.shift(window.row, window.col))
                crops.append(left)
                places.append(place)
        chosen = np.array(places, np.int64)
        return Instances(
            self.shape, self.classes[chosen], self.crowd[chosen], self.numbers[chosen], tuple(windows), tuple(crops)
        )


@runtime_checkable
class InstanceLabels(Protocol):
    """Labels that tell things apart (`swath.data.vectorlabels.VectorLabels`)."""

    def instances(self, grid: GeoBox) -> Instances:
        """The things that have a pixel on `grid`, cut at its border."""
        ...


def lay(
    shapes: np.ndarray,
    crs: CRS | None,
    grid: GeoBox,
    classes: np.ndarray,
    crowd: np.ndarray | None = None,
    numbers: np.ndarray | None = None,
) -> Instances:
    """Lay shapes on a grid.

    Args:
        shapes: Shapely geometries `[n]`.
        crs: Their CRS; None for a grid without CRS.
        grid: The grid.
        classes: Class index of each.
        crowd: Whether each stands for a group; by default none does.
        numbers: Number of each; by default its place.

    Raises:
        GridError: If one side has a CRS and the other has none.
    """
    crowd = np.zeros(len(shapes), bool) if crowd is None else crowd
    numbers = np.arange(len(shapes)) if numbers is None else numbers
    found = list(masks_of(shapes, crs, grid))
    places = np.array([place for place, _, _ in found], np.int64)
    return Instances(
        shape_of(grid), np.asarray(classes, np.int64)[places], crowd[places], numbers[places],
        tuple(window for _, window, _ in found), tuple(mask for _, _, mask in found),
    )  # fmt: skip


def no_instances(shape: tuple[int, int]) -> Instances:
    """No thing on a grid of `shape` `(height, width)`."""
    return Instances(shape, np.empty(0, np.int64), np.empty(0, bool), np.empty(0, np.int64), (), ())


def read_instances(labels: object, grid: GeoBox) -> Instances:
    """The things of labels on a grid; none of a scene without labels.

    Raises:
        DataError: If the labels tell no things apart.
    """
    if labels is None:
        return no_instances(shape_of(grid))
    if not isinstance(labels, InstanceLabels):
        raise DataError(
            f"{getattr(labels, 'name', 'The label')} does not tell things apart",
            got=type(labels).__name__,
            expected="polygons: a vector file, COCO or labelme",
        )
    return labels.instances(grid)


#: Keys of a batch with things: a list of arrays each, one a patch.
INSTANCE_KEYS = ("bbox_xyxy", "instance_masks", "label", "crowd")


def batch_arrays(things: Instances) -> Iterable[tuple[str, Any]]:
    """Boxes `[n, 4]`, masks `[n, H, W]`, class indices `[n]` and crowd flags `[n]`, by their keys in a batch."""
    return zip(INSTANCE_KEYS, (things.boxes, things.masks(), things.classes, things.crowd), strict=True)
