"""Terrain: a fractal surface, worn down by running water until it has valleys and rivers.

Water is routed along the minimum spanning tree of the pass heights, rooted in the sea, which is what priority flooding
gives (Barnes, Lehman and Mulla 2014) without a loop over cells. Sums and recurrences along the tree are solved by
pointer doubling in log2(longest path) vectorised steps. Erosion is the implicit stream-power law
dz/dt = -K sqrt(A) dz/dl (Braun and Willett 2013), followed by a little hillslope diffusion.

Convention: fields are `[H, W]` on a north-up grid of square cells; elevations in metres, the sea at 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from swath.simulate import noise


@dataclass(frozen=True)
class Terrain:
    """Terrain on a grid of square cells.

    Attributes:
        height: Ground elevation, m, `[H, W]`; below 0 is sea floor.
        receiver: Flat index of the cell that each cell drains to `[H * W]`; outlets drain to themselves.
        upstream: Area that drains through each cell, km2, `[H, W]`.
        drainage: Height above the nearest river or sea along the flow (HAND), m, `[H, W]`.
        slope: Steepness, m/m, `[H, W]`.
        cell: Size of a cell, m.
    """

    height: np.ndarray
    receiver: np.ndarray
    upstream: np.ndarray
    drainage: np.ndarray
    slope: np.ndarray
    cell: float


def shape_terrain(
    x: np.ndarray,
    y: np.ndarray,
    seed: int,
    relief: float,
    coast: float,
    inflow: float,
    river: float,
    epochs: int = 6,
) -> Terrain:
    """Terrain on the cell centres `x` `[W]` and `y` `[H]`, metres.

    Args:
        x: Easting of the columns, evenly spaced.
        y: Northing of the rows, evenly spaced, north first.
        seed: Which terrain.
        relief: Height of the hills above the plain, m.
        coast: Share of the extent, from the west, that lies under the sea; 0 for none.
        inflow: Area upstream of the river that enters in the east, km2; 0 for none.
        river: Smallest drained area that carries a river, km2.
        epochs: Rounds of erosion.
    """
    cell = float(x[1] - x[0])
    east = (x - x[0]) / (x[-1] - x[0])
    shore = 0.06 * noise.fractal(x, y, 4000, seed + 1, 4)
    # without a coast the land starts above the sea and still falls to the west
    inland = east[None] - coast + shore if coast > 0 else 0.15 + np.tile(east, (len(y), 1))
    hills = noise.fractal(x, y, 5000, seed, 8, 0.5)
    rise = np.clip(inland, 0, 1) ** 1.3
    land = relief * (0.12 + rise) * np.exp(0.55 * hills - 0.3) * np.clip(inland / 0.08, 0, 1) + 60 * inland
    height = np.where(inland > 0, land, 60 * inland - 2.0).astype(np.float64)
    outlet = height < 0 if coast > 0 else np.zeros(height.shape, bool)
    if coast <= 0:
        outlet[:, 0] = True
    sources = np.full(height.shape, cell * cell / 1e6)
    if inflow > 0:
        rows = slice(len(y) // 4, 3 * len(y) // 4)
        sources[rows.start + int(np.argmin(height[rows, -1])), -1] += inflow
    roughness = 0.02 * relief * noise.fractal(x, y, 300, seed + 2, 3)
    for _ in range(epochs):
        receiver = route(height + roughness, outlet)
        upstream = _sum_upstream(sources.ravel(), receiver)
        # K dt / dx chosen so that one epoch lets a 10 km2 stream cut through most of a cell's drop
        speed = 0.9 * np.sqrt(upstream) * (receiver != np.arange(receiver.size))
        height = _follow(height.ravel() / (1 + speed), speed / (1 + speed), receiver).reshape(height.shape)
        height = np.where(outlet, height, np.maximum(ndimage.gaussian_filter(height, 0.7), 0.3))
    height = _floodplains(height, upstream.reshape(height.shape), cell)
    receiver = route(height + 0.1 * roughness, outlet)
    upstream = _sum_upstream(sources.ravel(), receiver)
    wet = (upstream >= river) | outlet.ravel() | (receiver == np.arange(receiver.size))
    down, right = np.gradient(height, cell)
    return Terrain(
        height=height.astype(np.float32),
        receiver=receiver,
        upstream=upstream.reshape(height.shape).astype(np.float32),
        drainage=_hand(height, receiver, wet),
        slope=np.hypot(down, right).astype(np.float32),
        cell=cell,
    )


def _floodplains(height: np.ndarray, upstream: np.ndarray, cell: float) -> np.ndarray:
    """Terrain with valley floors as wide as their rivers made them: about 12 A^0.5 m on each side, nearly flat."""
    for least in (20.0, 200.0):
        main = (upstream >= least) & (height > 0)
        if not main.any():
            continue
        away, nearest = ndimage.distance_transform_edt(~main, return_indices=True)
        # smoothed, because neighbours can be nearest to far-apart reaches
        river = ndimage.gaussian_filter(height[tuple(nearest)], 150 / cell)
        wide = 12 * np.sqrt(np.maximum(upstream[tuple(nearest)], least))
        beyond = np.maximum(away * cell - wide, 0) / wide
        floor = np.maximum(river, 0.0) + 0.6 + 0.004 * away * cell + 12 * beyond**1.5
        lowered = np.minimum(height, np.maximum(floor, 0.3))
        height = np.where((height > 0) & ~main, lowered, height)
    return height


def above_rivers(terrain: Terrain, rivers: np.ndarray) -> np.ndarray:
    """Height above the next of `rivers` (bool `[H, W]`) along the flow, m `[H, W]`; infinite where none is reached."""
    ends = terrain.receiver == np.arange(terrain.receiver.size)
    reached = _follow(np.where(rivers.ravel(), 1.0, 0.0), np.where(rivers.ravel() | ends, 0.0, 1.0), terrain.receiver)
    hand = _hand(terrain.height, terrain.receiver, rivers.ravel() | ends)
    return np.where(reached.reshape(rivers.shape) > 0.5, hand, np.inf)


def _hand(height: np.ndarray, receiver: np.ndarray, wet: np.ndarray) -> np.ndarray:
    """Height of each cell above the first `wet` cell that it drains through."""
    base = _follow(np.where(wet, height.ravel(), 0.0), np.where(wet, 0.0, 1.0), receiver)
    return np.maximum(height.ravel() - base, 0).reshape(height.shape).astype(np.float32)


def route(height: np.ndarray, outlet: np.ndarray) -> np.ndarray:
    """The cell that each cell drains to, so that every cell reaches an outlet over the lowest passes.

    Args:
        height: Elevations `[H, W]`.
        outlet: Cells where water leaves `[H, W]`, bool, at least one.

    Returns:
        Flat indices `[H * W]`; outlets give themselves.
    """
    index = np.arange(height.size).reshape(height.shape)
    # the pass between two cells is the higher one; the lower one decides between equal passes (steepest descent)
    level = (height - height.min()).ravel() + 1.0
    pairs = [
        (index[:, :-1], index[:, 1:]),
        (index[:-1], index[1:]),
        (index[:-1, :-1], index[1:, 1:]),
        (index[:-1, 1:], index[1:, :-1]),
    ]
    a = np.concatenate([p.ravel() for p, _ in pairs])
    b = np.concatenate([q.ravel() for _, q in pairs])
    weight = np.maximum(level[a], level[b]) + 1e-3 * np.minimum(level[a], level[b])
    root = height.size
    leaves = index[outlet]
    graph = sparse.csr_matrix(
        (
            np.concatenate([weight, np.full(len(leaves), 1e-6)]),
            (np.concatenate([a, np.full(len(leaves), root)]), np.concatenate([b, leaves])),
        ),
        (root + 1, root + 1),
    )
    tree = csgraph.minimum_spanning_tree(graph)
    before = csgraph.breadth_first_order(tree, root, directed=False, return_predecessors=True)[1][:root]
    return np.where((before == root) | (before < 0), np.arange(root), before)


def _sum_upstream(values: np.ndarray, receiver: np.ndarray) -> np.ndarray:
    """Sum of `values` over each cell and all cells that drain through it."""
    total, jump = values.astype(np.float64), receiver.copy()
    moving = jump != np.arange(len(jump))
    while moving.any():
        total = total + np.bincount(jump[moving], total[moving], len(total))
        # a cell whose path ends within the next stride has been added to all that lie below it
        jump, moving = jump[jump], moving & moving[jump]
    return total


def _follow(a: np.ndarray, b: np.ndarray, receiver: np.ndarray) -> np.ndarray:
    """Solve z[i] = a[i] + b[i] z[receiver[i]] for all cells; where a cell drains to itself z = a."""
    still = receiver == np.arange(len(receiver))
    a, b, jump = a.astype(np.float64).copy(), np.where(still, 0.0, b), receiver.copy()
    while b.any():
        a, b, jump = a + b * a[jump], b * b[jump], jump[jump]
        b[b < 1e-12] = 0.0
    return a
