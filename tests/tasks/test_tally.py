"""Tallies of a segmentation, by hand and beside what they are made of."""

import numpy as np
import pytest

from swath.data.classes import IGNORE, Classes
from swath.tasks.tally import Tally

_CLASSES = Classes.of(("other", "roof"))
_CORE = (slice(1, 5), slice(1, 5))


def _patch():
    """In a core of 16 pixels: 4 of roof, one found where it is, one a pixel beside; two pixels are unknown."""
    true = np.zeros((6, 6), int)
    true[1:3, 1:3] = 1
    true[4, 1:3] = IGNORE
    predicted = np.zeros((6, 6), int)
    predicted[1, 1] = predicted[1, 3] = predicted[4, 1] = predicted[0, 0] = 1
    return predicted, true


def test_the_core_of_a_patch_counts_and_unknown_pixels_do_not():
    tally = Tally(_CLASSES)
    tally.update(*_patch(), _CORE, unit=0)
    assert tally.confusion.matrix.tolist() == [[9, 1], [3, 1]]
    found = tally.scores(0.95, 10, 0)
    assert found["accuracy"].value == pytest.approx(10 / 14)
    assert "roof_iou" not in found


def test_the_class_of_most_interest_has_scores_of_its_own():
    tally = Tally(_CLASSES, "roof")
    for unit in range(2):
        tally.update(*_patch(), _CORE, unit)
    found = tally.scores(0.95, 50, 0)
    assert found["roof_iou"].value == pytest.approx(1 / 5)
    assert found["roof_f1"].value == pytest.approx(1 / 3)
    assert found["relaxed_precision"].value == 1.0  # both within three pixels
    assert found["relaxed_recall"].value == 1.0
    assert (found["roof_iou"].low, found["roof_iou"].high) == pytest.approx((0.2, 0.2))  # two units alike
