"""Scores of things that are told apart: overlap of masks, suppression, matching, average precision.

Source: the rules of COCO (cocodataset.org): of the predictions of one class in one picture, the surest first takes the
free truth that it overlaps most; overlap with a crowd is counted over the prediction alone, and a prediction that fits
none but a crowd does not count. Average precision is the mean of the interpolated precision at 101 recalls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

#: Overlaps at which COCO asks for a match.
THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
_RECALLS = np.linspace(0, 1, 101)


def mask_iou(
    one: np.ndarray | sparse.csr_array, two: np.ndarray | sparse.csr_array, crowd: np.ndarray | None = None
) -> np.ndarray:
    """Intersection over union of masks.

    Args:
        one: Masks `[n, ...]`, bool; or a sparse matrix `[n, pixels]` of ones.
        two: Masks `[m, ...]` on the same pixels, of the same kind.
        crowd: Which of `two` are crowds, bool `[m]`: their overlap is over the area of `one` alone.

    Returns:
        `[n, m]`, float64; 0 where both are empty.
    """
    first, second = (_flat(masks) for masks in (one, two))
    shared = first @ second.T
    common = np.asarray(shared.todense() if sparse.issparse(shared) else shared, np.float64)
    area, other = (np.asarray(m.sum(1), np.float64).ravel() for m in (first, second))
    either = area[:, None] + other[None, :] - common
    if crowd is not None:
        either = np.where(np.asarray(crowd, bool)[None, :], area[:, None], either)
    return np.divide(common, either, out=np.zeros_like(common), where=either > 0)


def mask_nms(iou: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Greedy suppression: the surest stays, and what overlaps it by more than the threshold goes.

    Args:
        iou: Overlap of all with all, `[n, n]`.
        scores: Certainty `[n]`.
        threshold: Overlap that is still allowed.

    Returns:
        Places of those that stay, the surest first.
    """
    kept: list[int] = []
    for place in np.argsort(-np.asarray(scores), kind="stable").tolist():
        if not kept or iou[place, kept].max() <= threshold:
            kept.append(place)
    return np.array(kept, np.int64)


def matrix_nms(iou: np.ndarray, scores: np.ndarray, *, sigma: float | None = 2.0) -> np.ndarray:
    """Scores that decay with the overlap of surer ones, all at once.

    Source: Wang et al. 2020 (SOLOv2, arXiv 2003.10152), equations 4 and 5: a score is multiplied by the least of
    `f(overlap with a surer one) / f(largest overlap of that one with a still surer one)`.

    Args:
        iou: Overlap of all with all, `[n, n]`.
        scores: Certainty `[n]`.
        sigma: Of the decay `exp(-sigma * iou^2)`; None for the linear `1 - iou`.

    Returns:
        Decayed scores `[n]`, in the order given.
    """
    scores = np.asarray(scores, np.float64)
    order = np.argsort(-scores, kind="stable")
    surer = np.triu(np.asarray(iou, np.float64)[np.ix_(order, order)], 1)
    worst = surer.max(0, initial=0)

    def decay(overlap: np.ndarray) -> np.ndarray:
        return np.maximum(1 - overlap, 1e-12) if sigma is None else np.exp(-sigma * overlap**2)

    factor = np.where(np.triu(np.ones_like(surer), 1) > 0, decay(surer) / decay(worst)[:, None], np.inf)
    decayed = np.empty_like(scores)
    decayed[order] = scores[order] * np.minimum(factor.min(0, initial=np.inf), 1)
    return decayed


@dataclass(frozen=True)
class Matches:
    """What the predictions of one class in one picture hit.

    Attributes:
        scores: Certainty `[d]`, falling.
        hit: Which hit a thing at each threshold, bool `[thresholds, d]`.
        ignored: Which do not count, because they fit none but a crowd, bool `[thresholds, d]`.
        things: Things that there were to find.
    """

    scores: np.ndarray
    hit: np.ndarray
    ignored: np.ndarray
    things: int


def match(
    iou: np.ndarray,
    scores: np.ndarray,
    crowd: np.ndarray,
    thresholds: Sequence[float] = THRESHOLDS,
    most: int | None = None,
) -> Matches:
    """Match predictions of one class in one picture to its things.

    Args:
        iou: Overlap `[d, g]` of predictions and truths (`mask_iou` with `crowd`).
        scores: Certainty of predictions `[d]`.
        crowd: Which truths are crowds, bool `[g]`.
        thresholds: Overlaps that are asked for.
        most: Only so many of the surest predictions count; COCO's 100 cuts pictures of many things. None for all.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")[:most]
    crowd = np.asarray(crowd, bool)
    hit = np.zeros((len(thresholds), len(order)), bool)
    ignored = np.zeros_like(hit)
    singles, crowds = np.flatnonzero(~crowd), np.flatnonzero(crowd)
    for row, threshold in enumerate(thresholds):
        free = np.ones(len(singles), bool)
        for place, prediction in enumerate(order):
            overlap = np.where(free, iou[prediction, singles], -1.0)
            # Of equal overlaps the last counts, as in COCO's own evaluation.
            best = len(overlap) - 1 - int(overlap[::-1].argmax()) if len(overlap) else 0
            if len(overlap) and overlap[best] >= min(threshold, 1 - 1e-10):
                free[best], hit[row, place] = False, True
            elif len(crowds) and iou[prediction, crowds].max() >= min(threshold, 1 - 1e-10):
                ignored[row, place] = True
    return Matches(np.asarray(scores, np.float64)[order], hit, ignored, len(singles))


def average_precisions(pictures: Sequence[Matches], weights: np.ndarray | None = None) -> np.ndarray:
    """Average precision of one class at each threshold, over pictures.

    Args:
        pictures: Matches of each picture.
        weights: How often each picture counts, for a bootstrap; by default once.

    Returns:
        `[thresholds]`; NaN where there is no thing to find.
    """
    weights = np.ones(len(pictures)) if weights is None else np.asarray(weights, np.float64)
    things = float(sum(w * p.things for w, p in zip(weights, pictures, strict=True)))
    if not things:
        return np.full(pictures[0].hit.shape[0] if len(pictures) else len(THRESHOLDS), np.nan)
    order = np.argsort(-np.concatenate([p.scores for p in pictures]), kind="stable")
    times = np.repeat(weights, [len(p.scores) for p in pictures])[order]
    hit = np.concatenate([p.hit for p in pictures], 1)[:, order]
    ignored = np.concatenate([p.ignored for p in pictures], 1)[:, order]
    right = np.cumsum(hit * times, 1)
    wrong = np.cumsum((~hit & ~ignored) * times, 1)
    found = np.zeros(len(hit))
    for row in range(len(hit)):
        precision = right[row] / np.maximum(right[row] + wrong[row], np.finfo(float).tiny)
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        places = np.searchsorted(right[row] / things, _RECALLS, side="left")
        found[row] = precision[places[places < len(precision)]].sum() / len(_RECALLS)
    return found


def _flat(masks: np.ndarray | sparse.csr_array) -> np.ndarray | sparse.csr_array:
    """Masks `[n, pixels]`."""
    return (
        masks
        if sparse.issparse(masks)
        else np.asarray(masks, np.float32).reshape(len(masks), np.prod(masks.shape[1:], dtype=int))
    )
