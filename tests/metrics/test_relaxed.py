"""Relaxed scores against scikit-image's dilation, and by hand."""

import numpy as np
import pytest
from skimage.morphology import dilation, disk

from swath.metrics.relaxed import Relaxed, relaxed_counts, relaxed_scores

_ALL = (slice(None), slice(None))


def test_counts_are_those_of_dilation_by_a_disk():
    rng = np.random.default_rng(0)
    predicted, true = rng.random((2, 60, 50)) < 0.02
    found = relaxed_counts(predicted, true, _ALL, 3)
    wide = [dilation(mask, disk(3)) for mask in (predicted, true)]
    assert found.tolist() == [(predicted & wide[1]).sum(), predicted.sum(), (true & wide[0]).sum(), true.sum()]


def test_a_roof_moved_by_the_slack_is_right_and_by_more_is_not():
    true = np.zeros((20, 20), bool)
    true[5, 5] = True
    assert relaxed_scores(relaxed_counts(np.roll(true, 3, 1), true, _ALL, 3))["relaxed_f1"] == 1.0
    assert relaxed_scores(relaxed_counts(np.roll(true, 4, 1), true, _ALL, 3))["relaxed_f1"] == 0.0
    diagonal = np.roll(true, (3, 3), (0, 1))  # 4.2 pixels away
    assert relaxed_scores(relaxed_counts(diagonal, true, _ALL, 3))["relaxed_f1"] == 0.0


def test_by_hand():
    """Of 4 predicted pixels 3 are near, of 2 true ones 1: precision 3/4, recall 1/2, F1 3/5."""
    found = relaxed_scores(np.array([3, 4, 1, 2]))
    assert found == pytest.approx({"relaxed_precision": 0.75, "relaxed_recall": 0.5, "relaxed_f1": 0.6})


def test_what_is_around_the_core_helps_but_does_not_count():
    true, predicted = np.zeros((2, 10, 10), bool)
    true[4, 1], predicted[4, 3], predicted[9, 9] = True, True, True
    core = (slice(2, 8), slice(2, 8))
    assert relaxed_counts(predicted, true, core, 3).tolist() == [1, 1, 0, 0]


def test_unknown_truth_does_not_count():
    true, predicted = np.zeros((2, 5, 5), bool)
    predicted[0], known = True, np.ones((5, 5), bool)
    known[0, :3] = False
    assert relaxed_counts(predicted, true, _ALL, 1, known).tolist() == [0, 2, 0, 0]


def test_units_add_up_and_are_drawn_again():
    rng = np.random.default_rng(1)
    tally, whole = Relaxed(2), np.zeros(4, int)
    for unit in range(6):
        predicted, true = rng.random((2, 20, 20)) < 0.05
        tally.update(predicted, true, _ALL, unit=unit // 2)
        whole += relaxed_counts(predicted, true, _ALL, 2)
    assert tally.counts.tolist() == whole.tolist()
    low, high = tally.intervals(level=0.9, resamples=200, seed=0)["relaxed_f1"]
    assert low <= relaxed_scores(whole)["relaxed_f1"] <= high


def test_without_the_class_there_is_no_score():
    found = relaxed_scores(np.zeros(4, int))
    assert np.isnan(list(found.values())).all()
