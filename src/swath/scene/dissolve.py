"""Merging what tiles found as the release of OAM-TCD does: suppression of boxes, groups that touch, and what to join.

Source: Veitch-Michaelis et al. 2024 (arXiv 2407.11743) and its code. Things of tiles are not compared on the ground
that both tiles show, as in `swath.scene.merge`, but all with all: those cut by a tile are dropped, boxes of one class
suppress each other, and within a group of polygons that touch, those that hold several others go and pairs that overlap
are joined.

Convention: boxes are `(x0, y0, x1, y1)` in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
import torch
from torchvision.ops import nms

from swath.geo.tiling import Tiling
from swath.scene.merge import Objects


def cut_by_tile(boxes: np.ndarray, shape: tuple[int, int], margin: int = 5, *, swapped: bool = False) -> np.ndarray:
    """Which boxes reach to within a margin of the edges of their tile.

    Args:
        boxes: In pixels of the tile, `[n, 4]`; fractions are cut off.
        shape: `(height, width)` of the tile.
        margin: Pixels.
        swapped: Whether the right side is held against the height and the bottom against the width, as the release
            does: the same on square tiles only.

    Returns:
        bool `[n]`.
    """
    height, width = shape if not swapped else shape[::-1]
    whole = np.asarray(boxes).astype(np.int64).reshape(-1, 4)
    return (whole[:, :2] < margin).any(1) | (whole[:, 2] > width - margin) | (whole[:, 3] > height - margin)


def suppress_boxes(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, overlap: float = 0.7) -> np.ndarray:
    """Places of the boxes that stay when boxes of one class suppress each other, class by class, the surest first."""
    kept = []
    for index in np.unique(classes):
        members = np.flatnonzero(classes == index)
        told = (torch.from_numpy(np.asarray(values, np.float32)[members]) for values in (boxes, scores))
        kept.append(members[nms(*told, overlap).numpy()])
    return np.concatenate([*kept, np.empty(0, np.int64)]).astype(np.int64)


def groups(shapes: np.ndarray) -> list[np.ndarray]:
    """Places of the shapes in each part of their union.

    Of shapes that are exactly the same only the first counts. One in several pieces may touch several parts: it counts
    in the first, where the release leaves the order to its spatial index.
    """
    if not len(shapes):
        return []
    parts = shapely.get_parts(shapely.union_all(shapes))
    shape, part = shapely.STRtree(parts).query(shapes, predicate="intersects")
    firsts = _firsts(shapes)
    order = np.lexsort((part, shape))
    one, where = np.unique(shape[order], return_index=True)
    place_of = dict(zip(one.tolist(), part[order][where].tolist(), strict=True))
    found: dict[int, list[int]] = {}
    for place in firsts.tolist():
        if place in place_of:
            found.setdefault(place_of[place], []).append(place)
    return [np.array(places) for places in found.values()]


def holders(shapes: np.ndarray, most: int = 1) -> np.ndarray:
    """Which shapes hold the centroids of more than `most` others, bool `[n]`: outlines around several crowns."""
    centres = shapely.centroid(shapes)
    held, holder = shapely.STRtree(shapes).query(centres, predicate="within")
    counts = np.bincount(holder[held != holder], minlength=len(shapes))
    return counts > most


def join_pairs(
    shapes: Sequence[shapely.Geometry], scores: Sequence[float], overlap: float = 0.5
) -> tuple[list[shapely.Geometry], list[float]]:
    """Join what overlaps until nothing does: the last is joined to the first that overlaps it enough, and goes last.

    Args:
        shapes: Polygons.
        scores: Their certainty.
        overlap: Least intersection over union of a pair that is joined.

    Returns:
        Polygons, and for each the median score of what it was joined from.
    """
    waiting = [(shape, [score]) for shape, score in zip(shapes, scores, strict=True)]
    done: list[tuple[shapely.Geometry, list[float]]] = []
    while waiting:
        shape, told = waiting.pop()
        others = np.array([other for other, _ in waiting], object)
        common = shapely.area(shapely.intersection(others, shape))
        same = np.flatnonzero(common >= overlap * shapely.area(shapely.union(others, shape))) if len(others) else others
        if len(same):
            other, more = waiting.pop(int(same[0]))
            waiting.append((shapely.union(shape, other), told + more))
        else:
            done.append((shape, told))
    return [shape for shape, _ in done], [float(np.median(told)) for _, told in done]


def dissolve(
    shapes: np.ndarray, scores: np.ndarray, least_score: float = 0.3, overlap: float = 0.5
) -> tuple[np.ndarray, np.ndarray]:
    """Merge polygons of one class: of each group that touches, drop holders and join pairs.

    Args:
        shapes: Polygons `[n]`.
        scores: Their certainty `[n]`.
        least_score: Only those above it count.
        overlap: See `join_pairs`.

    Returns:
        Polygons and scores `[m]`.
    """
    sure = np.flatnonzero(np.asarray(scores) > least_score)
    merged: list[shapely.Geometry] = []
    certain: list[float] = []
    for group in groups(shapes[sure]):
        places = sure[group]
        if len(places) > 1:
            places = places[~holders(shapes[places])]
        joined, told = join_pairs(shapes[places].tolist(), scores[places].tolist(), overlap)
        merged += joined
        certain += told
    return np.array(merged, object), np.array(certain, float)


@dataclass(frozen=True)
class DissolveMerge:
    """The whole merge as a `Merger` of `swath.scene.objects`.

    Attributes:
        dropped: Class indices of things that are dropped where a tile cuts them.
        margin: See `cut_by_tile`.
        box_overlap: See `suppress_boxes`.
        least_score: See `dissolve`.
        overlap: See `join_pairs`.
        at_border: Whether things at the border of the scene count as cut by their tile too, as in the release.
    """

    dropped: tuple[int, ...] = ()
    margin: int = 5
    box_overlap: float = 0.7
    least_score: float = 0.3
    overlap: float = 0.5
    at_border: bool = False

    __name__ = "dissolve"

    def __call__(self, found: Objects, tiling: Tiling) -> Objects:
        """Merge what all tiles found."""
        if not len(found):
            return found
        bounds = shapely.bounds(found.shapes)
        windows = [tiling[tile] for tile in found.tiles.tolist()]
        corners = np.array([(w.col, w.row) for w in windows], float)
        local = bounds - np.tile(corners, 2)
        if not self.at_border:
            local = _away_from_border(local, bounds, tiling)
        cut = cut_by_tile(local, (tiling.size, tiling.size), self.margin) & np.isin(found.classes, self.dropped)
        found = found.take(np.flatnonzero(~cut))
        found = found.take(suppress_boxes(shapely.bounds(found.shapes), found.scores, found.classes, self.box_overlap))
        parts = []
        for index in np.unique(found.classes):
            members = found.take(np.flatnonzero(found.classes == index))
            shapes, scores = dissolve(members.shapes, members.scores, self.least_score, self.overlap)
            parts.append(Objects(shapes, scores, np.full(len(shapes), index), np.zeros(len(shapes), np.int64)))
        empty = found.take(np.empty(0, np.int64))
        return Objects(
            *(np.concatenate([getattr(p, name) for p in (empty, *parts)]) for name in Objects.__dataclass_fields__)
        )


def _away_from_border(local: np.ndarray, bounds: np.ndarray, tiling: Tiling) -> np.ndarray:
    """Boxes in pixels of their tiles, with sides at the border of the scene moved to the middle of the tile."""
    height, width = tiling.shape
    moved, middle = local.copy(), tiling.size / 2
    at_edge = np.column_stack([bounds[:, 0] <= 0, bounds[:, 1] <= 0, bounds[:, 2] >= width, bounds[:, 3] >= height])
    moved[at_edge] = middle
    return moved


def _firsts(shapes: np.ndarray) -> np.ndarray:
    """Places of shapes that no earlier one equals in every coordinate."""
    seen: dict[bytes, int] = {}
    for place, written in enumerate(shapely.to_wkb(shapes)):
        seen.setdefault(written, place)
    return np.array(list(seen.values()), np.int64)
