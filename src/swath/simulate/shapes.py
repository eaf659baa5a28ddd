"""Plane geometry that shapely does not offer as one call: smooth outlines of masks, rectangles, corner cutting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from affine import Affine
from rasterio import features
from scipy import ndimage


def rectangles(centre: np.ndarray, length: np.ndarray, width: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Rectangles as polygons.

    Args:
        centre: `[N, 2]`, x and y.
        length: Side along `angle` `[N]`.
        width: The other side `[N]`.
        angle: Direction of the length, radians counter-clockwise from east `[N]`.
    """
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1], [1, 1]]) / 2
    local = corners[None] * np.stack([length, width], -1)[:, None]
    return shapely.polygons(turned(local, np.asarray(angle)[:, None]) + centre[:, None])


def turned(points: np.ndarray, angle: np.ndarray | float) -> np.ndarray:
    """`points` `[..., 2]` turned counter-clockwise around the origin by `angle` radians `[...]`."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = points[..., 0], points[..., 1]
    return np.stack([x * cos - y * sin, x * sin + y * cos], -1)


def smooth(lines: np.ndarray, rounds: int = 2) -> np.ndarray:
    """Lines or polygons with their corners cut (Chaikin 1974); ends of open lines stay where they are."""
    return np.array([_map_parts(shape, rounds) for shape in lines], object)


def outlines(field: np.ndarray, affine: Affine, level: float, least: float = 0.0, fine: int = 2) -> np.ndarray:
    """Polygons where `field` is above `level`, with smooth outlines.

    Args:
        field: Values `[H, W]` at cell centres.
        affine: Maps `(col, row)` of cell corners to `(x, y)`.
        level: Threshold.
        least: Smallest area that is kept, in square units of the affine.
        fine: How many times finer than the field the outline is traced.
    """
    padded = np.pad(np.asarray(field, np.float32), 4, mode="edge")
    large = ndimage.zoom(padded, fine, order=1, grid_mode=True, mode="nearest")
    mask = (large > level).astype(np.uint8)
    finer = affine @ Affine.translation(-4, -4) @ Affine.scale(1 / fine)
    found = [shapely.geometry.shape(s) for s, _ in features.shapes(mask, mask.astype(bool), 4, finer)]
    if not found:
        return np.array([], object)
    cell = abs(affine.a) / fine
    # long edges are divided, because a corner is cut by a share of its edges
    plain = shapely.segmentize(shapely.simplify(np.array(found, object), 1.1 * cell), 5 * cell)
    eased = smooth(plain, 2)
    height, width = field.shape
    x0, y1 = affine @ (0, 0)
    x1, y0 = affine @ (width, height)
    clipped = polygons_of(shapely.intersection(shapely.make_valid(eased), shapely.box(x0, y0, x1, y1)))
    return clipped[shapely.area(clipped) >= least]


def polygons_of(shapes: Sequence[shapely.Geometry] | np.ndarray) -> np.ndarray:
    """The single, non-empty polygons in `shapes`; lines and points fall away."""
    parts = shapely.get_parts(shapely.get_parts(np.asarray(shapes, object)))
    return parts[(shapely.get_type_id(parts) == 3) & ~shapely.is_empty(parts)]


def lines_of(shapes: Sequence[shapely.Geometry] | np.ndarray) -> np.ndarray:
    """The single, non-empty lines in `shapes`; points fall away."""
    parts = shapely.get_parts(shapely.get_parts(np.asarray(shapes, object)))
    return parts[(shapely.get_type_id(parts) == 1) & ~shapely.is_empty(parts)]


def segments(lines: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The straight pieces of `lines`: starts `[N, 2]`, ends `[N, 2]` and the index of their line `[N]`."""
    points, owner = shapely.get_coordinates(lines, return_index=True)
    joined = owner[1:] == owner[:-1]
    return points[:-1][joined], points[1:][joined], owner[1:][joined]


def long_sides(shapes: np.ndarray) -> np.ndarray:
    """Direction of the long side of each shape's smallest rectangle, radians."""
    corners = shapely.get_coordinates(shapely.oriented_envelope(shapes)).reshape(-1, 5, 2)
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 1]
    long_ = np.where((np.hypot(*first.T) >= np.hypot(*second.T))[:, None], first, second)
    return np.arctan2(long_[:, 1], long_[:, 0])


def _cut_corners(points: np.ndarray, closed: bool, rounds: int) -> np.ndarray:
    for _ in range(rounds):
        if len(points) < 3:
            return points
        near = 0.75 * points[:-1] + 0.25 * points[1:]
        far = 0.25 * points[:-1] + 0.75 * points[1:]
        cut = np.stack([near, far], 1).reshape(-1, 2)
        points = np.vstack([cut, cut[:1]]) if closed else np.vstack([points[:1], cut[1:-1], points[-1:]])
    return points


def _map_parts(shape: shapely.Geometry, rounds: int) -> shapely.Geometry:
    if shape.geom_type == "LineString":
        return shapely.linestrings(_cut_corners(shapely.get_coordinates(shape), False, rounds))
    rings = [_cut_corners(shapely.get_coordinates(r), True, rounds) for r in (shape.exterior, *shape.interiors)]
    return shapely.Polygon(rings[0], rings[1:])
