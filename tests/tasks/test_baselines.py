"""Thresholds of excess green and of brightness, by brute force."""

from itertools import combinations_with_replacement

import numpy as np
import pytest
from sklearn.metrics import f1_score

from swath.tasks.baselines import BrightnessThresholds, GreenThreshold, cloud_classifiers, vegetation_classifiers


def pixels(count=400):
    generator = np.random.default_rng(0)
    classes = generator.integers(0, 2, count)
    features = generator.uniform(20, 120, (count, 3))
    features[:, 1] += 25 * classes
    return features, classes


def test_no_other_threshold_has_a_better_f1():
    features, classes = pixels()
    found = f1_score(classes, GreenThreshold().fit(features, classes).predict(features))
    red, green, blue = features.T
    excess = (2 * green - red - blue) / features.sum(1)
    assert found == max(f1_score(classes, excess >= at) for at in excess)


def test_it_stands_beside_the_other_classifiers_and_takes_black():
    features, classes = pixels()
    rivals = vegetation_classifiers(features, classes, 0)
    assert set(rivals) == {"majority", "nearest centroid", "random forest", "excess green"}
    assert rivals["excess green"].predict(np.zeros((2, 3))).shape == (2,)


@pytest.mark.parametrize("seed", range(4))
def test_no_other_thresholds_of_brightness_are_right_more_often(seed):
    generator = np.random.default_rng(seed)
    classes = generator.choice([1, 2, 0], 60, p=[0.2, 0.5, 0.3])
    # few levels, so that many pixels are as bright as others; classes from dark to bright: 1, 2, 0
    dark = np.array([6, 3, 4])[classes] + generator.integers(-3, 4, 60)
    features = np.stack([dark - 1, dark, dark + 1], 1).astype(float)
    fitted = BrightnessThresholds().fit(features, classes)
    order = sorted(range(3), key=lambda k: dark[classes == k].mean())
    levels = [*np.unique(dark), np.inf]
    best = max(
        (np.array(order)[(dark >= low).astype(int) + (dark >= high)] == classes).mean()
        for low, high in combinations_with_replacement(levels, 2)
    )
    assert (fitted.predict(features) == classes).mean() == best


def test_brightness_stands_beside_the_other_classifiers():
    features, classes = pixels()
    rivals = cloud_classifiers(features, classes, 0)
    assert set(rivals) == {"majority", "nearest centroid", "random forest", "brightness"}
    assert rivals["brightness"].predict(np.array([[0.0] * 3, [200.0] * 3])).tolist() == [0, 1]
