"""Naive answers to whose effect is larger, beside which a learned one has to stand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from swath.causal.units import Units


@dataclass(frozen=True)
class ConstantEffect:
    """The same effect everywhere: the difference of the arms' means."""

    effect: np.ndarray

    @classmethod
    def fitted(cls, units: Units) -> ConstantEffect:
        """To units with treatment and outcome."""
        treatment, outcome = units.studied()
        return cls(np.array([outcome[treatment == 1].mean() - outcome[treatment == 0].mean()]))

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Effect of each image."""
        return np.repeat(self.effect, len(images))


@dataclass(frozen=True)
class BandMeansLearner:
    """T-learner (Kuenzel et al. 2019): a linear regression on the bands' means in each arm.

    Attributes:
        centre: Of the means, `[features]`.
        scale: Of the means, `[features]`.
        gain: Intercept and slopes with treatment less those without, `[1 + features]`.
    """

    centre: np.ndarray
    scale: np.ndarray
    gain: np.ndarray

    @classmethod
    def fitted(cls, units: Units) -> BandMeansLearner:
        """To units with treatment and outcome; a slight ridge keeps collinear bands apart."""
        treatment, outcome = units.studied()
        means = _band_means(units.images)[units.image_of]
        centre, scale = means.mean(axis=0), means.std(axis=0)
        scale[scale == 0] = 1.0
        design = _with_intercept((means - centre) / scale)
        ridge = 1e-3 * np.eye(design.shape[1])
        ridge[0, 0] = 0.0
        without, treated = (
            np.linalg.solve(x.T @ x + len(x) * ridge, x.T @ outcome[treatment == arm])
            for arm, x in ((arm, design[treatment == arm]) for arm in (0, 1))
        )
        return cls(centre, scale, treated - without)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Effect of each image."""
        return _with_intercept((_band_means(images) - self.centre) / self.scale) @ self.gain


@dataclass(frozen=True)
class ClusteredEmbeddings:
    """Clusters first, effects after: k-means on features of images, and a difference in means in each cluster.

    Attributes:
        centre: Of the features, `[features]`.
        scale: Of the features, `[features]`.
        middles: Of the clusters, `[clusters, features]`, standardised.
        effects: Of the clusters, `[clusters]`; that of all units where one lacks an arm.
    """

    centre: np.ndarray
    scale: np.ndarray
    middles: np.ndarray
    effects: np.ndarray

    @classmethod
    def fitted(cls, units: Units, features: np.ndarray, clusters: int, seed: int = 0) -> ClusteredEmbeddings:
        """To units with treatment and outcome.

        Args:
            units: Of the fit.
            features: Of all images, `[images, features]`, in their order.
            clusters: How many, at most as many as images differ.
            seed: Of the start.
        """
        from sklearn.cluster import KMeans

        treatment, outcome = units.studied()
        used, image_of = np.unique(units.image_of, return_inverse=True)
        own = np.asarray(features[used], np.float64)
        centre, scale = own.mean(axis=0), own.std(axis=0)
        scale[scale == 0] = 1.0
        standard = (own - centre) / scale
        count = min(clusters, len(np.unique(standard, axis=0)))
        found = KMeans(count, n_init=10, random_state=seed).fit(standard)
        overall = outcome[treatment == 1].mean() - outcome[treatment == 0].mean()
        effects = np.full(count, overall)
        for cluster in range(count):
            arms = [outcome[(found.labels_[image_of] == cluster) & (treatment == arm)] for arm in (0, 1)]
            if all(len(arm) for arm in arms):
                effects[cluster] = arms[1].mean() - arms[0].mean()
        return cls(centre, scale, np.asarray(found.cluster_centers_), effects)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Effect of each image, from its features."""
        standard = (np.asarray(features, np.float64) - self.centre) / self.scale
        away = ((standard[:, None] - self.middles) ** 2).sum(axis=2)
        return self.effects[away.argmin(axis=1)]


def _band_means(images: np.ndarray) -> np.ndarray:
    """Of each band of each frame, `[images, frames x bands]`."""
    return images.mean(axis=(-2, -1), dtype=np.float64).reshape(len(images), -1)


def _with_intercept(features: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(features), 1)), features], axis=1)
