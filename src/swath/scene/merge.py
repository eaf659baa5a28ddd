"""Merging what tiles found: objects that several tiles saw are one, and vectors of tiles become a grid of vectors.

The rule for boxes, polygons and points: two tiles that share ground must have seen the same there. Two objects of one
class from different tiles are one thing if they agree on the ground that both tiles show. Of one thing, what a tile saw
whole counts, the surest first; pieces that no tile saw whole are joined. Nothing is decided within a tile: that is the
model's affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from swath.errors import ConfigError
from swath.geo.tiling import Tiling

Rule = Literal["boxes", "polygons", "points"]

#: Pixels from the inner edge of its tile within which an object is taken for cut.
_RIM = 1.0


@dataclass(frozen=True)
class Objects:
    """Things on a scene, in its pixel coordinates (x = column, y = row).

    Attributes:
        shapes: Shapely geometries `[n]`: rectangles, polygons or points.
        scores: Certainty `[n]`.
        classes: Class index `[n]`.
        tiles: Number of the tile that saw each, `[n]`.
    """

    shapes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    tiles: np.ndarray

    def __len__(self) -> int:
        return len(self.shapes)

    def take(self, places: np.ndarray) -> Objects:
        """Those at some places."""
        return Objects(self.shapes[places], self.scores[places], self.classes[places], self.tiles[places])


def merge_objects(
    found: Objects, tiling: Tiling, rule: Rule, *, agreement: float = 0.5, radius: float = 3.0
) -> Objects:
    """One object for each thing that tiles saw, in order of the first tile that saw it.

    Args:
        found: What all tiles found.
        tiling: The tiles, with an overlap.
        rule: What the shapes are. Cut boxes are joined to the box around them, cut polygons to their union; of points
            that agree the one deepest inside of its tile counts.
        agreement: Least intersection over union of two shapes on the ground that both tiles show.
        radius: Pixels within which two points are one.

    Raises:
        ConfigError: If tiles share no ground, or a number is out of range.
    """
    if tiling.overlap < 1 and len(tiling) > 1:
        raise ConfigError("Objects of tiles without overlap cannot be merged", expected="an overlap of some pixels")
    if rule not in ("boxes", "polygons", "points") or not 0 < agreement <= 1 or radius < 0:
        raise ConfigError("Objects cannot be merged so", got=f"{rule}, agreement {agreement}, radius {radius}")
    if not len(found):
        return found
    frames = np.array([(w.col, w.row, w.col_stop, w.row_stop) for w in tiling], float)[found.tiles]
    depth = _depth(found.shapes, frames, tiling.shape)
    pairs = _same_points(found, frames, radius) if rule == "points" else _same_areas(found, frames, agreement)
    links = coo_array((np.ones(len(pairs[0])), pairs), shape=(len(found), len(found)))
    _, thing = connected_components(links, directed=False)
    # The best of each thing: whole before cut, then the surest; of points the deepest.
    rank = (found.scores, depth) if rule == "points" else (found.scores, depth > _RIM)
    order = np.lexsort((*(-np.asarray(r, float) for r in rank), thing))
    firsts = order[np.r_[True, thing[order][1:] != thing[order][:-1]]]
    shapes = found.shapes.copy()
    if rule != "points":
        for best in firsts[depth[firsts] <= _RIM]:
            pieces = found.shapes[thing == thing[best]]
            if len(pieces) > 1:
                joined = shapely.simplify(shapely.union_all(pieces), 0)  # corners of tiles are no corners of things
                shapes[best] = shapely.envelope(joined) if rule == "boxes" else joined
    seen = np.sort(firsts[np.argsort(thing[firsts])])
    return Objects(shapes, found.scores, found.classes, found.tiles).take(seen)


def merge_vectors(vectors: np.ndarray, tiling: Tiling, cell: int) -> np.ndarray:
    """Vectors of tiles as vectors of square cells: means weighted by the area that tile and cell share.

    Args:
        vectors: `[rows of tiles, columns of tiles, D]`; NaN for a tile without one.
        tiling: The tiles.
        cell: Edge of a cell in pixels.

    Returns:
        `[ceil(height / cell), ceil(width / cell), D]`; NaN where no tile has a vector.
    """
    known = np.isfinite(vectors).all(-1)
    filled = np.where(known[..., None], vectors, 0)
    down, across = (
        _shared(np.asarray(starts), tiling.size, cell, length)
        for starts, length in zip(tiling.starts, tiling.shape, strict=True)
    )
    total = np.einsum("ir,jc,rcd->ijd", down, across, filled, optimize=True)
    weight = np.einsum("ir,jc,rc->ij", down, across, known.astype(float), optimize=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weight[..., None] > 0, total / weight[..., None], np.nan)


def _shared(starts: np.ndarray, size: int, cell: int, length: int) -> np.ndarray:
    """Length `[cells, tiles]` that each cell and each tile share along one axis."""
    firsts = np.arange(0, length, cell)[:, None]
    stops = np.minimum(firsts + cell, length)
    return np.clip(np.minimum(stops, starts + size) - np.maximum(firsts, starts), 0, None).astype(float)


def _depth(shapes: np.ndarray, frames: np.ndarray, scene: tuple[int, int]) -> np.ndarray:
    """Pixels `[n]` from each shape to the nearest edge of its tile that is not the edge of the scene."""
    left, top, right, bottom = shapely.bounds(shapes).T
    height, width = scene
    edges = (
        np.where(frames[:, 0] <= 0, np.inf, left - frames[:, 0]),
        np.where(frames[:, 1] <= 0, np.inf, top - frames[:, 1]),
        np.where(frames[:, 2] >= width, np.inf, frames[:, 2] - right),
        np.where(frames[:, 3] >= height, np.inf, frames[:, 3] - bottom),
    )
    return np.min(edges, axis=0)


def _same_areas(found: Objects, frames: np.ndarray, agreement: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of shapes that agree on the ground that their tiles share."""
    one, two = shapely.STRtree(found.shapes).query(found.shapes, predicate="intersects")
    other = (one < two) & (found.tiles[one] != found.tiles[two]) & (found.classes[one] == found.classes[two])
    one, two = one[other], two[other]
    low, high = np.maximum(frames[one, :2], frames[two, :2]), np.minimum(frames[one, 2:], frames[two, 2:])
    ground = shapely.box(low[:, 0], low[:, 1], high[:, 0], high[:, 1])
    first, second = (shapely.intersection(found.shapes[n], ground) for n in (one, two))
    common, either = shapely.area(shapely.intersection(first, second)), shapely.area(shapely.union(first, second))
    same = (either > 0) & (common >= agreement * either)
    return one[same], two[same]


def _same_points(found: Objects, frames: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of points, each with at most one of another tile, the nearest pairs first."""
    places = np.column_stack([shapely.get_x(found.shapes), shapely.get_y(found.shapes)])
    near = cKDTree(places).query_pairs(radius, output_type="ndarray")
    one, two = near.T
    other = (found.tiles[one] != found.tiles[two]) & (found.classes[one] == found.classes[two])
    # A point that lies beyond the ground of the other tile can have no partner there.
    for mine, theirs in ((one, two), (two, one)):
        inside = (places[mine] >= frames[theirs, :2] - radius) & (places[mine] <= frames[theirs, 2:] + radius)
        other &= inside.all(1)
    one, two = one[other], two[other]
    taken: set[tuple[int, int]] = set()
    kept = []
    for pair in np.argsort(np.linalg.norm(places[one] - places[two], axis=1), kind="stable"):
        a, b = int(one[pair]), int(two[pair])
        claims = {(a, int(found.tiles[b])), (b, int(found.tiles[a]))}
        if not claims & taken:
            taken |= claims
            kept.append(pair)
    return one[kept], two[kept]
