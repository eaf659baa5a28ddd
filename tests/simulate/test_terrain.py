"""Flow against plain loops; the shape of the land."""

import heapq

import numpy as np
import pytest

from swath.simulate import terrain

X, Y = np.arange(60) * 20.0, 1200 - np.arange(50) * 20.0


def flooded_levels(height, outlet):
    """Level to which each cell fills before it spills: priority flooding with a heap (Barnes et al. 2014)."""
    level = np.full(height.shape, np.inf)
    heap = [(height[i, j], i, j) for i, j in np.argwhere(outlet)]
    for h, i, j in heap:
        level[i, j] = h
    heapq.heapify(heap)
    while heap:
        h, i, j = heapq.heappop(heap)
        for a in (-1, 0, 1):
            for b in (-1, 0, 1):
                r, c = i + a, j + b
                if 0 <= r < height.shape[0] and 0 <= c < height.shape[1] and level[r, c] == np.inf:
                    level[r, c] = max(h, height[r, c])
                    heapq.heappush(heap, (level[r, c], r, c))
    return level


def path_of(receiver, start):
    path = [start]
    while receiver[path[-1]] != path[-1]:
        path.append(receiver[path[-1]])
    return path


def test_routes_climb_no_higher_than_priority_flooding():
    rng = np.random.default_rng(0)
    height = rng.random((25, 30)) * 10
    outlet = np.zeros(height.shape, bool)
    outlet[:, 0] = True
    receiver = terrain.route(height, outlet)
    level = flooded_levels(height, outlet).ravel()
    for start in rng.integers(0, height.size, 60):
        path = path_of(receiver, start)
        assert outlet.ravel()[path[-1]]
        assert height.ravel()[path].max() == pytest.approx(level[start])


def test_sums_and_recurrences_follow_the_tree():
    rng = np.random.default_rng(1)
    outlet = np.zeros((20, 20), bool)
    outlet[0] = True
    receiver = terrain.route(rng.random((20, 20)), outlet)
    values = rng.random(400)
    expected = np.zeros(400)
    for start in range(400):
        for cell in path_of(receiver, start):
            expected[cell] += values[start]
    assert terrain._sum_upstream(values, receiver) == pytest.approx(expected)
    a, b = rng.random(400), rng.random(400)
    solved = terrain._follow(a, b, receiver)
    moves = receiver != np.arange(400)
    assert solved[moves] == pytest.approx((a + b * solved[receiver])[moves])
    assert solved[~moves] == pytest.approx(a[~moves])


def test_water_is_conserved_and_rivers_run_down():
    land = terrain.shape_terrain(X, Y, 5, relief=120, coast=0.2, inflow=300, river=0.05)
    ends = land.receiver == np.arange(land.receiver.size)
    assert land.upstream.ravel()[ends].sum() == pytest.approx(X.size * Y.size * 20 * 20 / 1e6 + 300, rel=1e-4)
    assert (land.height[:, 0] < 0).mean() > 0.5
    assert land.drainage.min() >= 0
    assert land.drainage.ravel()[land.upstream.ravel() >= 0.05].max() == 0


def test_without_coast_all_is_land():
    land = terrain.shape_terrain(X, Y, 5, relief=120, coast=0.0, inflow=0, river=0.05)
    assert land.height.min() > 0
