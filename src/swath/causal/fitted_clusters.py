"""All that is learned of a trial: image effect clusters over folds, and the baselines of each fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from swath.causal.cluster_fits import ClusterTraining
from swath.causal.cluster_study import CrossFit, cross_fit
from swath.causal.effect_baselines import BandMeansLearner, ClusteredEmbeddings, ConstantEffect
from swath.causal.effect_clusters import ClusterOptions
from swath.causal.orthogonal import covariate_slopes, without_covariates
from swath.causal.representations import random_features
from swath.causal.units import Units
from swath.errors import DataError


@dataclass(frozen=True)
class Rivals:
    """The baselines of one fit, fitted to the same units."""

    constant: ConstantEffect
    band_means: BandMeansLearner
    embedded: ClusteredEmbeddings

    @classmethod
    def fitted(cls, units: Units, features: np.ndarray, clusters: int, seed: int) -> Rivals:
        """To units with treatment and outcome; `features` are those of all images."""
        return cls(
            ConstantEffect.fitted(units),
            BandMeansLearner.fitted(units),
            ClusteredEmbeddings.fitted(units, features, clusters, seed),
        )

    def predict(self, images: np.ndarray, features: np.ndarray) -> dict[str, np.ndarray]:
        """Effect of each image by the name of the baseline."""
        return {
            "constant effect": self.constant.predict(images),
            "T-learner on band means": self.band_means.predict(images),
            "k-means on embeddings": self.embedded.predict(features),
        }

    def state(self) -> dict[str, Tensor]:
        """All that was learned, by name."""
        return {
            f"{part.name}.{field.name}": torch.from_numpy(np.asarray(getattr(getattr(self, part.name), field.name)))
            for part in fields(self)
            for field in fields(getattr(self, part.name))
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor]) -> Rivals:
        """What `state` told."""

        def part(name: str, kind: type) -> Any:
            return kind(*(state[f"{name}.{field.name}"].numpy() for field in fields(kind)))

        return cls(
            part("constant", ConstantEffect),
            part("band_means", BandMeansLearner),
            part("embedded", ClusteredEmbeddings),
        )


@dataclass(frozen=True)
class Fitted:
    """All that was learned of a trial.

    Attributes:
        fits: To the rest of each fold.
        rivals: The baselines of each fit.
        centre: Of each band, by which images are standardised, `[bands, 1, 1]`.
        spread: Of each band, likewise.
        slopes: Of the outcome on covariates, and their means, `[2, covariates]`; None where they are not used.
    """

    fits: CrossFit
    rivals: Sequence[Rivals]
    centre: np.ndarray
    spread: np.ndarray
    slopes: np.ndarray | None

    @classmethod
    def learned(
        cls,
        units: Units,
        encoder: Callable[[], nn.Module],
        width: int,
        fold_of: np.ndarray,
        options: ClusterOptions,
        training: ClusterTraining,
        orthogonalise: bool = False,
        seed: int = 0,
    ) -> Fitted:
        """From units with treatment and outcome, and no images but their own; see `cross_fit`.

        Raises:
            ConfigError: If covariates shall be taken out and there are none.
            DataError: If the units cannot be used.
        """
        bands = (0, 1, 3, 4)
        centre, spread = (v[:, None, None] for v in (units.images.mean(axis=bands), units.images.std(axis=bands)))
        spread = np.where(spread > 0, spread, 1.0)
        slopes = covariate_slopes(units) if orthogonalise else None
        empty = cls(CrossFit((), units.keys[:0], fold_of[:, :0]), (), centre, spread, slopes)
        prepared = empty.prepared(units)
        fits = cross_fit(encoder, width, prepared, fold_of, options, training, seed)
        features = random_features(prepared.images)
        folds = [(row, fold) for row in fold_of for fold in range(row.max() + 1)]
        rivals = [
            Rivals.fitted(prepared.select(row[units.image_of] != fold), features, options.clusters, seed + number)
            for number, (row, fold) in enumerate(folds)
        ]
        return replace(empty, fits=fits, rivals=rivals)

    def prepared(self, units: Units) -> Units:
        """Units with standardised images, and outcomes from which covariates were taken out where they are used.

        Raises:
            DataError: If they have other bands or covariates.
        """
        outcome = units.outcome
        if self.slopes is not None and outcome is not None:
            if units.covariates.shape[1] != self.slopes.shape[1]:
                raise DataError(
                    "The units have other covariates than those fitted to",
                    got=units.covariates.shape[1],
                    expected=self.slopes.shape[1],
                )
            outcome = without_covariates(outcome, units.covariates, self.slopes)
        return replace(units, images=self.standard(units.images), outcome=outcome)

    def standard(self, images: np.ndarray) -> np.ndarray:
        """Images with bands of mean 0 and sd 1 over the study.

        Raises:
            DataError: If they have other bands.
        """
        if images.shape[2] != len(self.centre):
            raise DataError(
                "The images have other bands than those fitted to", got=images.shape[2], expected=len(self.centre)
            )
        return ((images - self.centre) / self.spread).astype(np.float32)

    def baselines(self, keys: np.ndarray, images: np.ndarray) -> dict[str, np.ndarray]:
        """Effect of each image by the name of the baseline, from fits that never saw it.

        Args:
            keys: Of the images.
            images: Standardised, `[images, frames, bands, height, width]`.
        """
        features, fit_of = random_features(images), self.fits.unseen(keys)
        told = [rivals.predict(images, features) for rivals in self.rivals]
        at = np.arange(len(keys))
        return {name: np.stack([one[name] for one in told])[fit_of, at].mean(axis=0) for name in told[0]}


def with_own_images(units: Units) -> Units:
    """Units with no images but their own."""
    used, place = np.unique(units.image_of, return_inverse=True)
    return replace(units, keys=units.keys[used], images=units.images[used], image_of=place)
