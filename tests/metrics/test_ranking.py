"""Ranking scores against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from swath.metrics.ranking import average_precision, best_edge, bin_edges, count_by_score


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    present = rng.random(5000) < 0.05
    return np.round(np.maximum(rng.normal(present * 1.5, 1), 0), 2), present


def test_average_precision_of_ties_equals_scikit_learn(data):
    scores, present = data
    counts = count_by_score(scores, present, np.unique(scores)[1:])
    assert average_precision(counts) == pytest.approx(average_precision_score(present, scores), abs=1e-12)
    binned = count_by_score(scores, present, bin_edges(scores, 500))
    assert average_precision(binned) == pytest.approx(average_precision_score(present, scores), abs=0.01)


def test_counts_of_parts_add_up(data):
    scores, present = data
    edges = bin_edges(scores)
    halves = count_by_score(scores[:999], present[:999], edges) + count_by_score(scores[999:], present[999:], edges)
    np.testing.assert_array_equal(halves, count_by_score(scores, present, edges))


def test_best_edge_has_the_best_f1(data):
    scores, present = data
    edges = np.unique(scores)[1:]
    edge = best_edge(count_by_score(scores, present, edges), edges)
    reached = {e: f1_score(present, scores >= e) for e in edges[::7]}
    assert f1_score(present, scores >= edge) >= max(reached.values())


def test_nothing_present_has_no_score():
    assert np.isnan(average_precision(np.array([[3, 4], [0, 0]])))
