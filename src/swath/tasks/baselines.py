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
