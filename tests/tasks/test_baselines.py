"""A threshold of excess green, by brute force."""

import numpy as np
from sklearn.metrics import f1_score

from swath.tasks.baselines import GreenThreshold, vegetation_classifiers


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
