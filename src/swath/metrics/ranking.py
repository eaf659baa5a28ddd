"""Scores of rare pixels: precision over recall, pooled over a data set.

Convention: pixels are counted in bins of the score, `[2, bins]`: row 0 without the thing, row 1 with it, bins rising.
Counts of scenes add up, so a bootstrap draws scenes again without their pixels.
"""

from __future__ import annotations

import numpy as np


def bin_edges(scores: np.ndarray, bins: int = 2048) -> np.ndarray:
    """Inner edges of at most `bins` bins of about equal counts."""
    return np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1]))


def count_by_score(scores: np.ndarray, present: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """int64 `[2, bins]` of the pixels of `scores` `[n]`, told apart by `present` `[n]` (bool)."""
    places = np.searchsorted(edges, scores, side="right")
    return np.stack([np.bincount(places[present == flag], minlength=len(edges) + 1) for flag in (False, True)])


def average_precision(counts: np.ndarray) -> float:
    """Area under precision and recall (the step sum over bins); NaN where nothing is present."""
    hits = np.cumsum(counts[1, ::-1])
    precision = hits / np.maximum(hits + np.cumsum(counts[0, ::-1]), 1)
    if not hits[-1]:
        return float("nan")
    return float((np.diff(hits, prepend=0) * precision).sum() / hits[-1])


def best_edge(counts: np.ndarray, edges: np.ndarray) -> float:
    """The edge above which F1 is largest."""
    hits, false = (np.cumsum(row[::-1])[::-1][1:] for row in (counts[1], counts[0]))
    return float(edges[(2 * hits / np.maximum(hits + false + counts[1].sum(), 1)).argmax()])
