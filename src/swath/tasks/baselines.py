"""Naive baselines: what a network has to beat before anyone should believe it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import precision_recall_curve
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

#: Values `[pixels, bands]`, classes `[pixels]` and a seed to fitted classifiers by name.
Classifiers = Callable[[np.ndarray, np.ndarray, int], Mapping[str, ClassifierMixin]]


def pixel_classifiers(features: np.ndarray, classes: np.ndarray, seed: int) -> dict[str, ClassifierMixin]:
    """Classifiers of single pixels, fitted: they see bands, but no neighbourhood.

    Args:
        features: Physical values `[pixels, bands]` of labelled training pixels.
        classes: Their class indices `[pixels]`.
        seed: Of the forest.

    Returns:
        Fitted estimators by name: `majority`, `nearest centroid` (on standardised bands), `random forest`.
    """
    estimators = {
        "majority": DummyClassifier(strategy="most_frequent"),
        "nearest centroid": make_pipeline(StandardScaler(), NearestCentroid()),
        "random forest": RandomForestClassifier(100, min_samples_leaf=2, n_jobs=-1, random_state=seed),
    }
    with warnings.catch_warnings():
        # a feature may be the same throughout, such as the deviation within coarse pixels
        warnings.filterwarnings("ignore", "self.within_class_std_dev_ has at least 1 zero", UserWarning)
        return {name: estimator.fit(features, classes) for name, estimator in estimators.items()}


class GreenThreshold(ClassifierMixin, BaseEstimator):
    """Excess green, `2 G - R - B` over their sum, above the threshold with the best F1 on the training pixels.

    Source: Woebbecke et al. 1995 (Transactions of the ASAE 38). Classes are 0 and 1; bands are red, green, blue.
    """

    def fit(self, features: np.ndarray, classes: np.ndarray) -> GreenThreshold:
        """Find the threshold."""
        precision, recall, at = precision_recall_curve(classes == 1, self._excess(features))
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
        self.at_ = float(at[f1[:-1].argmax()])
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Class of each pixel."""
        return (self._excess(features) >= self.at_).astype(np.int64)

    def _excess(self, features: np.ndarray) -> np.ndarray:
        red, green, blue = features.T
        return (2 * green - red - blue) / np.maximum(red + green + blue, 1e-9)


def vegetation_classifiers(features: np.ndarray, classes: np.ndarray, seed: int) -> Mapping[str, ClassifierMixin]:
    """As `pixel_classifiers`, of two classes in RGB, with a threshold of excess green."""
    return {**pixel_classifiers(features, classes, seed), "excess green": GreenThreshold().fit(features, classes)}


class BrightnessThresholds(ClassifierMixin, BaseEstimator):
    """Thresholds of brightness, the mean of the bands, that are right for most training pixels.

    Classes follow each other from the darkest on average to the brightest, with a threshold between each two; one that
    nothing is gained by has no room.
    """

    def fit(self, features: np.ndarray, classes: np.ndarray) -> BrightnessThresholds:
        """Find the thresholds; of all places where classes could follow each other the best ones, exactly."""
        bright = features.mean(1)
        ranks = sorted(np.unique(classes), key=lambda k: bright[classes == k].mean())
        order = np.argsort(bright)
        places = np.arange(len(bright) + 1)
        possible = np.concatenate([[True], np.diff(bright[order]) > 0, [True]])
        # pixels that are right before each place, if the class so far ends there; the first class begins at the first
        right, begins = np.where(places == 0, 0.0, -np.inf), []
        for rank in ranks:
            of_class = np.concatenate([[0], np.cumsum(classes[order] == rank)])
            gained = np.where(possible, right - of_class, -np.inf)
            best = np.maximum.accumulate(gained)
            begins.append(np.maximum.accumulate(np.where(gained == best, places, 0)))
            right = of_class + best
        ends = [len(bright)]
        for begin in begins[:0:-1]:
            ends.append(begin[ends[-1]])
        self.classes_ = np.array(ranks)
        self.at_ = np.append(bright[order], np.inf)[ends[:0:-1]]
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Class of each pixel."""
        return self.classes_[np.searchsorted(self.at_, features.mean(1), side="right")]


def cloud_classifiers(features: np.ndarray, classes: np.ndarray, seed: int) -> Mapping[str, ClassifierMixin]:
    """As `pixel_classifiers`, with thresholds of brightness."""
    fitted = BrightnessThresholds().fit(features, classes)
    return {**pixel_classifiers(features, classes, seed), "brightness": fitted}
