"""Scores of semantic change: what changed, from what to what.

Source: Yang et al., "Asymmetric Siamese Networks for Semantic Change Detection in Aerial Images" (TGRS 2022, arXiv
2010.05687), section V: the SECOND benchmark. FUSU (arXiv 2405.19055) takes the same.

Convention: a matrix `[K + 1, K + 1]` has the truth in its rows; index 0 is a pixel without change, others the land use
at one of two dates of a pixel that changed. Pixels of both dates are counted in one matrix.
"""

from __future__ import annotations

import numpy as np

from swath.metrics.confusion import kappa, per_class


def change_miou(matrix: np.ndarray) -> float:
    """Mean of the IoU of unchanged and of changed pixels, whatever their land use."""
    return float(np.mean(_two_ious(matrix)))


def separated_kappa(matrix: np.ndarray) -> float:
    """SeK: kappa without the agreement on no change, times `exp(IoU of change - 1)`; 0 of an empty matrix."""
    rest = matrix.copy()
    rest[0, 0] = 0
    agreement = kappa(rest) if rest.sum() else 0.0
    return float(np.nan_to_num(agreement) * np.exp(_two_ious(matrix)[1] - 1))


def second_score(matrix: np.ndarray, weight: float = 0.5) -> float:
    """`weight * mIoU + (1 - weight) * SeK`; SECOND weighs 0.3 to 0.7, FUSU's code a half each."""
    return weight * change_miou(matrix) + (1 - weight) * separated_kappa(matrix)


def change_scores(matrix: np.ndarray) -> dict[str, float]:
    """IoU, F1, precision and recall of change from a matrix `[2, 2]`; 0 where nothing changed and nothing was found."""
    found = per_class(matrix)
    return {name: float(np.nan_to_num(values[1])) for name, values in found.items()}


def _two_ious(matrix: np.ndarray) -> np.ndarray:
    """IoU of no change and of change, `[2]`; 0 where undefined."""
    two = np.array([[matrix[0, 0], matrix[0, 1:].sum()], [matrix[1:, 0].sum(), matrix[1:, 1:].sum()]])
    return np.nan_to_num(per_class(two)["iou"])
