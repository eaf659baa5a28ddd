"""Scores of counts, by hand."""

import math

import numpy as np
import pytest

from swath.errors import DataError
from swath.metrics.counting import count_scores


def test_errors_by_hand():
    found = count_scores(np.array([3, 0, 2, 5]), np.array([5, 0, 0, 4]))
    assert found == {"count_mae": (2 + 0 + 2 + 1) / 4, "count_bias": (-2 + 0 + 2 + 1) / 4, "empty_right": 1 / 2}


def test_weights_are_repetitions():
    predicted, true = np.array([3, 0, 2, 5]), np.array([5, 0, 0, 4])
    assert count_scores(predicted, true, np.array([2, 0, 1, 1])) == count_scores(
        predicted[[0, 0, 2, 3]], true[[0, 0, 2, 3]]
    )


def test_without_empty_scenes_nothing_is_said_of_them():
    assert count_scores(np.array([3]), np.array([5])) == {"count_mae": 2.0, "count_bias": -2.0}
    drawn = count_scores(np.array([3, 0]), np.array([5, 0]), np.array([2, 0]))
    assert math.isnan(drawn["empty_right"])


@pytest.mark.parametrize(("predicted", "true"), [([1], [1, 2]), ([], []), ([[1]], [[1]])])
def test_counts_that_do_not_belong_together(predicted, true):
    with pytest.raises(DataError, match="do not belong together"):
        count_scores(np.array(predicted), np.array(true))
