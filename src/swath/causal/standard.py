"""What standardises images and covariates of a study, and refuses those of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from swath.causal.units import Units
from swath.errors import DataError


@dataclass(frozen=True)
class Standard:
    """Of a study.

    Attributes:
        centre: Of each band of each frame alike, `[bands]`.
        spread: Likewise; 1 where a band is constant.
        covariate_centre: `[covariates]`.
        covariate_spread: Likewise.
        frames: How many, `[1]`.
    """

    centre: np.ndarray
    spread: np.ndarray
    covariate_centre: np.ndarray
    covariate_spread: np.ndarray
    frames: np.ndarray

    @classmethod
    def of(cls, units: Units) -> Self:
        """The standard of units."""
        images, covariates = (0, 1, 3, 4), 0
        return cls(
            units.images.mean(axis=images),
            _or_one(units.images.std(axis=images)),
            units.covariates.mean(axis=covariates),
            _or_one(units.covariates.std(axis=covariates)),
            np.array([units.images.shape[1]]),
        )

    def __call__(self, units: Units) -> Units:
        """Units with images and covariates of mean 0 and sd 1 over the study.

        Raises:
            DataError: If they have other frames, bands or covariates.
        """
        if units.covariates.shape[1] != len(self.covariate_centre):
            raise DataError(
                "The units have other covariates than those fitted to",
                got=units.covariates.shape[1],
                expected=len(self.covariate_centre),
            )
        beside = (units.covariates - self.covariate_centre) / self.covariate_spread
        return replace(units, images=self.images(units.images), covariates=beside)

    def images(self, images: np.ndarray) -> np.ndarray:
        """Images `[images, frames, bands, height, width]` alone.

        Raises:
            DataError: If they have other frames or bands.
        """
        if images.shape[1:3] != (expected := (int(self.frames[0]), len(self.centre))):
            raise DataError(
                "The images have other frames or bands than those fitted to", got=images.shape[1:3], expected=expected
            )
        return ((images - self.centre[:, None, None]) / self.spread[:, None, None]).astype(np.float32)

    def state(self) -> dict[str, Tensor]:
        """All of it, by name."""
        return {f"standard.{f.name}": torch.from_numpy(np.asarray(getattr(self, f.name))) for f in fields(self)}

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor]) -> Self:
        """What `state` told."""
        return cls(*(state[f"standard.{f.name}"].numpy() for f in fields(cls)))


def _or_one(spread: np.ndarray) -> np.ndarray:
    return np.where(spread > 1e-12, spread, np.ones_like(spread))
