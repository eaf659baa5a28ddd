"""Geometries on grids: reprojected so that straight edges stay where they were drawn, across the antimeridian too.

Convention: an edge is straight in the CRS that it comes in. Coordinates are `(x, y)`, east or longitude first.
Geometries are taken as drawn in the plane: one that crosses the antimeridian is cut there or runs on past 180 degrees;
one that jumps from 179 to -179 is as wide as the globe.
"""

from __future__ import annotations

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer

from swath.errors import GridError
from swath.geo.grids import coordinates, is_geographic, positions, require_crs, shape_of, transformer

#: Points a side of the lattice that tells where a grid lies in another CRS, and the margin around it.
_LATTICE = 33
_MARGIN = 0.05


def to_grid(
    geometries: np.ndarray, crs: CRS | None, grid: GeoBox, tolerance: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """Bring geometries into the CRS of a grid, cut to its neighbourhood.

    Args:
        geometries: Shapely geometries `[n]`.
        crs: Their CRS; None for pixel coordinates of a grid without CRS.
        grid: The grid.
        tolerance: How far, in pixels, an edge may lie from its true, perhaps curved place.

    Returns:
        Geometries `[m]` that touch the grid, and for each the place `[m]` of its original, in ascending order. One
        original may come out in parts; one that is far from the grid does not come out.

    Raises:
        GridError: If one side has a CRS and the other has none.
    """
    if (crs is None) != (grid.crs is None):
        raise GridError(
            "Geometries and grid do not fit together",
            got=f"CRS {crs or 'none'} of the geometries, {grid.crs or 'none'} of the grid",
            expected="a CRS on both sides",
        )
    geometries = np.asarray(geometries, object)
    index = np.flatnonzero(~(shapely.is_missing(geometries) | shapely.is_empty(geometries)))
    geometries = geometries[index]
    if crs is not None and grid.crs is not None and crs != grid.crs.proj:
        geometries, part = _clip(_valid(geometries), crs.is_geographic, _neighbourhood(grid, crs))
        index = index[part]
        geometries = _densified(geometries, transformer(crs, grid.crs.proj), grid, tolerance)
        geometries, part = project(geometries, crs, grid.crs.proj)
        index = index[part]
    rows, cols = shape_of(grid)
    x, y = coordinates(grid, np.array([0, 0, rows, rows]), np.array([0, cols, 0, cols]))
    box = np.array([x.min(), y.min(), x.max(), y.max()])
    moved, part = _around(geometries, is_geographic(grid), box)
    return moved, index[part]


def project(geometries: np.ndarray, source: CRS, target: CRS) -> tuple[np.ndarray, np.ndarray]:
    """Transform the points of geometries; edges are not bent, so densify first.

    With longitude and latitude as target, geometries come out in single parts whose longitudes run on past 180 degrees
    instead of jumping, and polygons that hold a pole are closed along it.

    Args:
        geometries: Shapely geometries `[n]`, none empty.
        source: Their CRS.
        target: The wanted CRS.

    Returns:
        Geometries `[m]` and for each the place `[m]` of its original. Where the projection is undefined at one of its
        points, a geometry does not come out.
    """
    points = transformer(source, target)
    if not target.is_geographic:
        moved = shapely.transform(geometries, lambda xy: np.column_stack(points.transform(*xy.T)))
        known = np.flatnonzero(np.isfinite(shapely.bounds(moved).reshape(-1, 4)).all(1))
        return moved[known], known
    parts, places = shapely.get_parts(geometries, return_index=True)
    ends, owner = shapely.get_coordinates(parts, return_index=True)
    lon, lat = points.transform(*ends.T)
    lost = np.zeros(len(parts), bool)
    lost[owner[~(np.isfinite(lon) & np.isfinite(lat))]] = True
    kept = ~lost[owner]
    parts, places, owner = parts[~lost], places[~lost], (np.cumsum(~lost) - 1)[owner[kept]]
    lon, lat = lon[kept], lat[kept]
    first = np.searchsorted(owner, np.arange(len(parts)))
    turns = np.cumsum(np.concatenate([[0.0], -360 * np.round(np.diff(lon) / 360)])[: len(lon)])
    xy = np.column_stack([lon + turns - turns[first][owner], lat])
    ring = shapely.get_num_points(shapely.get_exterior_ring(parts))
    last = first + np.maximum(ring, 1) - 1
    around = (ring > 0) & (np.abs(xy[last, 0] - xy[first, 0]) > 180)
    moved = parts.copy()
    moved[~around] = shapely.set_coordinates(moved[~around], xy[~around[owner]])
    for place in np.flatnonzero(around):
        pole = _pole(parts[place], transformer(target, source), xy[first[place], 1])
        cap, *holes = (_closed(xy[i], pole) for i in _rings(parts[place], first[place]))
        moved[place] = shapely.difference(cap, shapely.union_all(holes))
    return moved, places


def _pole(polygon: shapely.Polygon, back: Transformer, latitude: float) -> float:
    """Latitude of the pole that lies inside a polygon whose ring goes around the globe."""
    for pole in (90.0, -90.0):
        x, y = back.transform(0.0, pole)
        if np.isfinite([x, y]).all() and shapely.contains_xy(polygon, x, y):
            return pole
    return float(np.copysign(90, latitude))


def _closed(ring: np.ndarray, pole: float) -> shapely.Polygon:
    """The polygon of a ring in longitude and latitude; one that goes around the globe is closed along a pole."""
    if abs(ring[-1, 0] - ring[0, 0]) > 180:
        ring = np.concatenate([ring, [(ring[-1, 0], pole), (ring[0, 0], pole)]])
    return shapely.Polygon(ring)


def _rings(polygon: shapely.Polygon, first: int) -> list[slice]:
    """Slices of the coordinates of each ring, the exterior first, counted from `first`."""
    counts = shapely.get_num_points(shapely.get_rings(polygon))
    stops = first + np.cumsum(counts)
    return [slice(int(stop - count), int(stop)) for stop, count in zip(stops, counts, strict=True)]


def turned(geometries: np.ndarray, degrees: float) -> np.ndarray:
    """Geometries in longitude and latitude, moved east."""
    return shapely.transform(geometries, lambda xy: np.add(xy, (degrees, 0.0))) if degrees else geometries


def _valid(geometries: np.ndarray) -> np.ndarray:
    broken = ~shapely.is_valid(geometries)
    geometries = geometries.copy()
    geometries[broken] = shapely.make_valid(geometries[broken], method="structure", keep_collapsed=False)
    return geometries


def _around(geometries: np.ndarray, geographic: bool, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Copies, a turn of the globe apart, that touch a box, and the place of their originals."""
    bounds = shapely.bounds(geometries).reshape(-1, 4)
    kept, places = [], []
    for turn in (-360.0, 0.0, 360.0) if geographic else (0.0,):
        touching = np.flatnonzero(
            (bounds[:, 0] + turn <= box[2])
            & (bounds[:, 2] + turn >= box[0])
            & (bounds[:, 1] <= box[3])
            & (bounds[:, 3] >= box[1])
        )
        copies = geometries[touching]
        kept.append(turned(copies, turn))
        places.append(touching)
    order = np.argsort(np.concatenate(places), kind="stable")
    return np.concatenate(kept)[order], np.concatenate(places)[order]


def _clip(geometries: np.ndarray, geographic: bool, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parts of geometries inside a box, and the place of their originals."""
    parts, places = _around(geometries, geographic, box)
    bounds = shapely.bounds(parts).reshape(-1, 4)
    beyond = (bounds[:, :2] < box[:2]).any(1) | (bounds[:, 2:] > box[2:]).any(1)
    parts[beyond] = shapely.intersection(parts[beyond], shapely.box(*box))
    kept = ~shapely.is_empty(parts)
    return parts[kept], places[kept]


def _neighbourhood(grid: GeoBox, crs: CRS) -> np.ndarray:
    """Bounds `[xmin, ymin, xmax, ymax]` in `crs` of a box around a grid."""
    source = require_crs(grid, "The grid").proj
    height, width = shape_of(grid)
    rows, cols = np.linspace(0, height, _LATTICE)[:, None], np.linspace(0, width, _LATTICE)[None, :]
    x, y = transformer(source, crs).transform(*coordinates(grid, rows, cols))
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        raise GridError("The grid lies outside of where its CRS is defined", got=f"{grid.crs} {grid.affine[:6]}")
    x, y = x[known], y[known]
    poles = []
    if crs.is_geographic:
        poles = [lat for lat in (-90.0, 90.0) if _holds(grid, transformer(crs, source).transform(0.0, lat))]
        x = x[0] + (x - x[0] + 180) % 360 - 180
    low, high = np.array([x.min(), y.min()]), np.array([x.max(), y.max()])
    margin = _MARGIN * (high - low) + 1e-9
    low, high = low - margin, high + margin
    if crs.is_geographic:
        low[1], high[1] = max(-90, low[1]), min(90, high[1])
        if poles:
            low[0], high[0] = -180.0, 180.0
            low[1], high[1] = min([low[1], *poles]), max([high[1], *poles])
    return np.concatenate([low, high])


def _holds(grid: GeoBox, point: tuple[float, float]) -> bool:
    """Whether a point in the CRS of a grid lies inside it."""
    if not np.isfinite(point).all():
        return False
    row, col = positions(grid, *point)
    return bool(0 <= row <= grid.shape[0] and 0 <= col <= grid.shape[1])


def _densified(geometries: np.ndarray, pixel: Transformer, grid: GeoBox, tolerance: float) -> np.ndarray:
    """Geometries with points added where a straight edge would leave its place by more than `tolerance` pixels."""
    ends, owner = shapely.get_coordinates(geometries, return_index=True)
    same = owner[1:] == owner[:-1]
    start, stop, owner = ends[:-1][same], ends[1:][same], owner[1:][same]
    if not len(start):
        return geometries
    lon = pixel.transform(*start.T)[0] if is_geographic(grid) else None

    def placed(share: float) -> np.ndarray:
        x, y = pixel.transform(*(start + share * (stop - start)).T)
        if lon is not None:
            x = lon + (x - lon + 180) % 360 - 180
        return np.stack(positions(grid, x, y))

    with np.errstate(invalid="ignore"):
        near, far = placed(0), placed(1)
        error = np.max([np.hypot(*(placed(f) - near - f * (far - near))) for f in (0.25, 0.5, 0.75)], axis=0)
    # the error of a smooth curve falls with the square of the number of pieces; twice as many, to be sure
    pieces = np.ceil(2 * np.sqrt(np.where(np.isfinite(error) & (error > tolerance), error, 0) / tolerance))
    longest = np.full(len(geometries), np.inf)
    bent = pieces > 0
    np.minimum.at(longest, owner[bent], np.hypot(*(stop - start)[bent].T) / pieces[bent])
    dense = np.isfinite(longest)
    geometries = geometries.copy()
    geometries[dense] = shapely.segmentize(geometries[dense], longest[dense])
    return geometries
