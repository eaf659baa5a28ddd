"""Naive baselines: what a network has to beat before anyone should believe it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

if TYPE_CHECKING:
    import numpy as np
    from sklearn.base import ClassifierMixin


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
    return {name: estimator.fit(features, classes) for name, estimator in estimators.items()}
