"""SeK and its company by hand, and from the pixels themselves."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, f1_score, jaccard_score

from swath.metrics.confusion import confusion_matrix
from swath.metrics.semantic_change import change_miou, change_scores, second_score, separated_kappa


def test_a_matrix_by_hand():
    """No change: 6 of 6 + 1 + 2 = 9; change: 4 + 1 of 8; without the six, 4 of 8 agree and 21 / 64 do by chance."""
    matrix = np.array([[6, 1, 0], [2, 3, 1], [0, 0, 1]])
    assert change_miou(matrix) == pytest.approx((6 / 9 + 5 / 8) / 2)
    po, pe = 4 / 8, (1 * 2 + 6 * 4 + 1 * 2) / 64
    sek = (po - pe) / (1 - pe) * math.exp(5 / 8 - 1)
    assert separated_kappa(matrix) == pytest.approx(sek)
    assert second_score(matrix) == pytest.approx(0.5 * change_miou(matrix) + 0.5 * sek)
    assert second_score(matrix, 0.3) == pytest.approx(0.3 * change_miou(matrix) + 0.7 * sek)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), classes=st.integers(1, 5))
def test_from_pixels_with_scikit_learn(seed, classes):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes + 1, 300)
    predicted = np.where(rng.random(300) < 0.5, true, rng.integers(0, classes + 1, 300))
    matrix = confusion_matrix(predicted, true, classes + 1)
    changed, said = true > 0, predicted > 0
    ious = jaccard_score(changed, said, average=None, labels=[0, 1])
    assert change_miou(matrix) == pytest.approx(ious.mean())
    counted = changed | said
    agreement = cohen_kappa_score(true[counted], predicted[counted])
    expected = 0.0 if math.isnan(agreement) else agreement * math.exp(ious[1] - 1)
    assert separated_kappa(matrix) == pytest.approx(expected, abs=1e-12)
    two = confusion_matrix(said.astype(int), changed.astype(int), 2)
    assert change_scores(two)["f1"] == pytest.approx(f1_score(changed, said))


def test_a_perfect_map_and_empty_ones():
    assert separated_kappa(np.diag([9, 4, 5])) == pytest.approx(1)
    assert second_score(np.diag([9, 4, 5])) == pytest.approx(1)
    assert separated_kappa(np.diag([9, 0, 0])) == 0
    assert separated_kappa(np.zeros((3, 3), int)) == 0
    assert change_scores(np.array([[5, 0], [0, 0]]))["f1"] == 0
