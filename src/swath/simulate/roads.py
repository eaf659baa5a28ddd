"""Roads: ways between towns on least-cost paths, street grids inside them, one connected graph with lanes.

As in OpenStreetMap, ways meet where they share a vertex. Coordinates are rounded to a centimetre, so that shared
vertices are equal numbers.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from affine import Affine
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import Delaunay

from swath.simulate import noise
from swath.simulate.settlements import Settlement
from swath.simulate.shapes import lines_of, segments, smooth, turned
from swath.simulate.terrain import Terrain

#: Lanes (both directions together), carriageway width in m and speed in km/h by OpenStreetMap `highway` value.
CLASSES = {
    "primary": (4, 14.0, 80),
    "secondary": (2, 8.5, 70),
    "residential": (2, 6.0, 30),
    "track": (1, 3.0, 20),
}
_GRID = 0.01


@dataclass(frozen=True)
class RoadGraph:
    """A road network as a graph.

    Attributes:
        nodes: Where ways meet or end, x and y `[N, 2]`.
        edges: Node index of both ends `[E, 2]`.
        lines: Geometry of each edge, from its first to its second node `[E]`.
        way: Row of the way that each edge is part of `[E]`.
    """

    nodes: np.ndarray
    edges: np.ndarray
    lines: np.ndarray
    way: np.ndarray

    def components(self) -> np.ndarray:
        """Number of the connected component of each node."""
        n = len(self.nodes)
        graph = sparse.coo_matrix((np.ones(len(self.edges)), (self.edges[:, 0], self.edges[:, 1])), (n, n))
        return csgraph.connected_components(graph, directed=False)[1]


def arterials(
    terrain: Terrain, affine: Affine, water: np.ndarray, settlements: list[Settlement], seed: int
) -> gpd.GeoDataFrame:
    """Roads between settlements and to the border of the world: `geometry` and `highway`.

    Pairs of places are joined if no third lies in the circle over them (Gabriel and Sokal 1969); each pair takes the
    cheapest path over slopes and water, cheaper still where a road is already.
    """
    rng = noise.rng(seed, "arterials")
    step = max(1, round(60 / terrain.cell))
    shape = tuple(n // step for n in terrain.height.shape)
    coarse = affine @ Affine.scale(step)
    trimmed = tuple(slice(0, n * step) for n in shape)

    def reduce(values: np.ndarray) -> np.ndarray:
        return values[trimmed].reshape(shape[0], step, shape[1], step).mean((1, 3))

    wet = _rasterised(water, coarse, shape)
    wiggle = 1 + 0.5 * rng.random(shape)
    cost = wiggle * (1 + (15 * reduce(terrain.slope)) ** 2) + np.where(wet, 8, 0)
    cost += np.where(reduce(terrain.height) < 0, 60, 0)
    at = np.array([s.centre for s in settlements]).reshape(-1, 2)
    cells = np.stack(~coarse @ (at[:, 0], at[:, 1]), -1).astype(int)[:, ::-1]
    gates = _gates(cost, rng)
    cells = np.clip(np.vstack([cells, gates]), 0, np.array(shape) - 1)
    used: dict[tuple[int, int], bool] = {}
    flat = cells[:, 0] * shape[1] + cells[:, 1]
    for a, b in _gabriel(cells):
        major = (a < max(2, len(settlements) // 4)) and (b < max(2, len(settlements) // 4) or b >= len(settlements))
        path = _cheapest(cost, flat[a], flat[b])
        for p, q in itertools.pairwise(path):
            edge = (min(p, q), max(p, q))
            used[edge] = used.get(edge, False) or major
        cost.ravel()[path] *= 0.6
    edges = np.array(list(used), int).reshape(-1, 2)
    chains, majors = _chains(edges, np.array(list(used.values()), bool))
    points = [np.stack(coarse @ (c % shape[1] + 0.5, c // shape[1] + 0.5), -1) for c in chains]
    lines = smooth(shapely.simplify(np.array([shapely.linestrings(p) for p in points], object), 40), 3)
    lines = rounded(shapely.segmentize(lines, 60))
    highway = np.where(majors, "primary", "secondary")
    frame = gpd.GeoDataFrame({"highway": highway}, geometry=lines)
    return _cut_at_hulls(frame, settlements)


def streets(settlement: Settlement, through: gpd.GeoDataFrame, seed: int) -> gpd.GeoDataFrame:
    """Streets of a settlement, joined with the roads that run `through` it: `geometry` and `highway`.

    A bent grid is laid over the hull, cut where roads cross, thinned, and what hangs together with the main road kept.
    """
    rng = noise.rng(seed, "streets", settlement.index)
    radius, centre = settlement.radius, np.array(settlement.centre)
    angle = rng.uniform(0, np.pi / 2)
    drawn = []
    for turn, low, high in ((0.0, 70, 120), (np.pi / 2, 90, 190)):
        across = np.cumsum(rng.uniform(low, high, int(3.2 * radius / low))) - 1.6 * radius
        along = np.arange(-1.6 * radius, 1.6 * radius, 25.0)
        grid = np.stack(np.broadcast_arrays(along[None], across[:, None]), -1)
        points = turned(grid, angle + turn) + centre
        bend = [noise.fractal_at(points[..., 0], points[..., 1], 450, seed + 31 + k, 2) for k in range(2)]
        drawn.append(shapely.linestrings(points + 16 * np.stack(bend, -1)))
    # streets keep a way off the rim, so that the roads stay cut where the plan cut them
    inner = settlement.hull.buffer(-6)
    main = shapely.union_all(through.geometry.to_numpy()) if len(through) else shapely.LineString()
    plain = lines_of(shapely.intersection(np.concatenate(drawn), inner))
    noded = shapely.union_all(
        np.append(shapely.set_precision(plain, _GRID), shapely.set_precision(main, _GRID)), grid_size=_GRID
    )
    pieces = lines_of([shapely.line_merge(noded)])
    pieces = _split_at_junctions(pieces)
    owner = _owner(pieces, through)
    beside = shapely.length(shapely.intersection(pieces, main.buffer(16))) > 0.6 * shapely.length(pieces)
    keep = (owner >= 0) | (~beside & (rng.random(len(pieces)) > 0.14))
    pieces, owner = pieces[keep], owner[keep]
    if not len(pieces):
        return gpd.GeoDataFrame({"highway": pd.Series([], dtype=str)}, geometry=[])
    graph = road_graph(pieces)
    part = graph.components()[graph.edges[:, 0]]
    length = np.bincount(part, shapely.length(graph.lines))
    served = np.zeros(len(length), bool)
    served[part[owner[graph.way] >= 0]] = True
    if not served.any():
        served[int(np.argmax(length))] = True
    keep = np.zeros(len(pieces), bool)
    keep[graph.way[served[part]]] = True
    highway = np.where(owner >= 0, through["highway"].to_numpy()[np.maximum(owner, 0)] if len(through) else "", "")
    highway = np.where(highway == "", "residential", highway)
    return gpd.GeoDataFrame({"highway": highway[keep]}, geometry=pieces[keep])


def described(ways: gpd.GeoDataFrame, water: shapely.Geometry) -> gpd.GeoDataFrame:
    """`ways` with the OpenStreetMap columns `lanes`, `width`, `maxspeed`, `surface` and `bridge`."""
    facts = pd.DataFrame(
        [CLASSES[h] for h in ways["highway"]], columns=["lanes", "width", "maxspeed"], index=ways.index
    )
    surface = np.where(ways["highway"] == "track", "gravel", "asphalt")
    bridge = np.where(shapely.intersects(ways.geometry.to_numpy(), water), "yes", "no")
    return ways.assign(**facts, surface=surface, bridge=bridge)


def road_graph(ways: np.ndarray) -> RoadGraph:
    """The graph of `ways` (lines): they meet at every vertex that two of them, or two ends, share."""
    start, end, owner = segments(ways)
    points = np.vstack([start, end])
    _, place, inverse = np.unique(
        np.round(points / _GRID).astype(np.int64), axis=0, return_index=True, return_inverse=True
    )
    a, b = inverse[: len(start)].ravel(), inverse[len(start) :].ravel()
    degree = np.bincount(np.concatenate([a, b]), minlength=len(place))
    node = degree != 2
    # a vertex of degree two where one way ends and another begins is a node too
    first = np.r_[True, owner[1:] != owner[:-1]]
    last = np.r_[owner[1:] != owner[:-1], True]
    node[a[first]] = True
    node[b[last]] = True
    opens = np.flatnonzero(first | node[a])
    closes = np.r_[opens[1:], len(start)] - 1
    coordinates = points[place]
    lines = np.array(
        [shapely.linestrings(coordinates[np.r_[a[i : j + 1], b[j]]]) for i, j in zip(opens, closes, strict=True)],
        object,
    )
    number = np.cumsum(node) - 1
    edges = np.stack([number[a[opens]], number[b[closes]]], -1)
    return RoadGraph(coordinates[node], edges, lines, owner[opens])


def rounded(lines: np.ndarray) -> np.ndarray:
    """`lines` with coordinates rounded to the centimetre."""
    return shapely.transform(lines, lambda points: np.round(points / _GRID) * _GRID)


def markings(ways: gpd.GeoDataFrame) -> np.ndarray:
    """Edge lines and the line between directions, 15 cm wide, of each way as one polygon."""
    lines, half = ways.geometry.to_numpy(), ways["width"].to_numpy() / 2 - 0.4
    parts = [lines, shapely.offset_curve(lines, half), shapely.offset_curve(lines, -half)]
    return shapely.union_all(shapely.buffer(np.stack(parts), 0.12, cap_style="flat"), axis=0) if len(lines) else lines


def _rasterised(shapes: np.ndarray, affine: Affine, shape: tuple[int, ...]) -> np.ndarray:
    from rasterio import features

    if not len(shapes):
        return np.zeros(shape, bool)
    return features.rasterize(shapes, shape, transform=affine, all_touched=True, dtype="uint8").astype(bool)


def _gates(cost: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cells on the north, east and south border where roads leave the world, on cheap ground."""
    height, width = cost.shape
    gates = []
    for row, col in (
        (np.zeros(width, int), np.arange(width)),
        (np.arange(height), np.full(height, width - 1)),
        (np.full(width, height - 1), np.arange(width)),
    ):
        price = cost[row, col] + rng.random(len(row)) * 0.8
        middle = slice(len(row) // 5, -len(row) // 5)
        pick = middle.start + int(np.argmin(price[middle]))
        gates.append((row[pick], col[pick]))
    return np.array(gates)


def _gabriel(points: np.ndarray) -> list[tuple[int, int]]:
    """Pairs with no third point in the circle over them, shortest first."""
    if len(points) < 4:
        pairs = {(i, j) for i in range(len(points)) for j in range(i)}
    else:
        simplices = Delaunay(points, qhull_options="QJ Qbb Qc").simplices
        pairs = {(max(s[i], s[j]), min(s[i], s[j])) for s in simplices for i in range(3) for j in range(i)}
    found = []
    for i, j in pairs:
        middle, reach = (points[i] + points[j]) / 2, np.hypot(*(points[i] - points[j])) / 2
        if (np.hypot(*(points - middle).T) < 0.999 * reach).sum() == 0:
            found.append((reach, min(i, j), max(i, j)))
    return [(int(a), int(b)) for _, a, b in sorted(found)]


def _cheapest(cost: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Flat indices of the cheapest 8-connected path."""
    index = np.arange(cost.size).reshape(cost.shape)
    rows, cols, prices = [], [], []
    for p, q, far in (
        (np.s_[:, :-1], np.s_[:, 1:], 1.0),
        (np.s_[:-1], np.s_[1:], 1.0),
        (np.s_[:-1, :-1], np.s_[1:, 1:], 1.4142),
        (np.s_[:-1, 1:], np.s_[1:, :-1], 1.4142),
    ):
        rows.append(index[p].ravel())
        cols.append(index[q].ravel())
        prices.append((far * (cost[p] + cost[q]) / 2).ravel())
    graph = sparse.csr_matrix((np.concatenate(prices), (np.concatenate(rows), np.concatenate(cols))), (cost.size,) * 2)
    before = csgraph.dijkstra(graph, directed=False, indices=start, return_predecessors=True)[1]
    path = [stop]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
    return np.array(path[::-1])


def _chains(edges: np.ndarray, major: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Edges joined to chains between junctions, ends and changes of class."""
    around: dict[int, list[int]] = {}
    for number, (a, b) in enumerate(edges):
        around.setdefault(int(a), []).append(number)
        around.setdefault(int(b), []).append(number)
    stops = {v for v, es in around.items() if len(es) != 2 or major[es[0]] != major[es[1]]}
    done = np.zeros(len(edges), bool)
    chains, majors = [], []
    for start in sorted(stops):
        for number in around[start]:
            if done[number]:
                continue
            chain, edge = [start], number
            while True:
                done[edge] = True
                a, b = edges[edge]
                chain.append(int(b if chain[-1] == a else a))
                if chain[-1] in stops:
                    break
                edge = next(e for e in around[chain[-1]] if e != edge)
            chains.append(np.array(chain))
            majors.append(major[number])
    return chains, np.array(majors, bool)


def _cut_at_hulls(ways: gpd.GeoDataFrame, settlements: list[Settlement]) -> gpd.GeoDataFrame:
    """`ways` cut where they cross a settlement's rim, with the settlement's number or -1 as `settlement`."""
    frames = []
    rest = ways.geometry.to_numpy()
    for s in settlements:
        near = np.flatnonzero(shapely.intersects(rest, s.hull))
        inside = shapely.intersection(rest[near], s.hull)
        for way, parts in zip(near.tolist(), inside, strict=True):
            frames += [(ways["highway"].iloc[way], s.index, line) for line in lines_of([parts])]
        rest[near] = shapely.difference(rest[near], s.hull)
    for way, parts in enumerate(rest):
        frames += [(ways["highway"].iloc[way], -1, line) for line in lines_of([parts])]
    table = pd.DataFrame(frames, columns=["highway", "settlement", "line"])
    lines = rounded(table["line"].to_numpy())
    return gpd.GeoDataFrame(table[["highway", "settlement"]], geometry=lines)[shapely.length(lines) > 0.05]


def _split_at_junctions(lines: np.ndarray) -> np.ndarray:
    return road_graph(lines).lines


def _owner(pieces: np.ndarray, through: gpd.GeoDataFrame) -> np.ndarray:
    """Row of the through road that each piece is part of, -1 for none."""
    owner = np.full(len(pieces), -1)
    middle = shapely.line_interpolate_point(pieces, 0.5, normalized=True)
    for row, line in enumerate(through.geometry):
        owner[shapely.distance(middle, line) < 0.05] = row
    return owner
