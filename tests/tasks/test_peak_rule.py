"""The rule of peaks by hand."""

import numpy as np

from swath.sensors.bands import Band, Bands
from swath.tasks.peak_rule import PeakRule

BANDS = Bands("s", (Band("B04", "reflectance", aliases=("red",)), Band("B08", "reflectance", aliases=("nir",))))


def _sequences(*peaks, steps=4):
    """Red and infrared of units whose index peaks at the given steps."""
    values = np.full((len(peaks), steps, 2), 0.2)
    values[np.arange(len(peaks)), list(peaks)] = (0.1, 0.5)
    return values.reshape(len(peaks), -1)


def test_the_class_that_peaks_most_often_at_a_step():
    rule = PeakRule(4, BANDS).fit(_sequences(0, 0, 0, 2, 2, 3), np.array([1, 1, 0, 2, 2, 1]))
    # nothing peaked at step 1: classes 1 is the commonest
    assert rule.predict(_sequences(0, 1, 2, 3)).tolist() == [1, 1, 2, 1]


def test_without_red_and_infrared_the_first_number_peaks():
    rule = PeakRule(3, Bands("s", (Band("evi", "1"),)))
    rule.fit(np.array([[0.1, 0.9, 0.2], [0.9, 0.1, 0.1]]), np.array([1, 0]))
    assert rule.predict(np.array([[0.2, 0.3, 0.1], [0.5, 0.0, 0.4]])).tolist() == [1, 0]


def test_bare_and_dark_ground_breaks_nothing():
    rule = PeakRule(4, BANDS).fit(_sequences(0, 2), np.array([0, 1]))
    assert rule.predict(np.zeros((1, 8))).tolist() == [0]
