"""Propensities: how likely a unit was treated, as told by its image and covariates, by models that never saw the image.

Folds are of images, so that units which share one are never taken apart. Two ways: a ridge logistic regression on
frozen features of the image, or a network trained from pixels (Jerzak, Johansson & Daoud 2023).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch import Tensor, nn

from swath.causal.chip_net import ChipNet, NetTraining, net_values, train_chip_net
from swath.causal.folds import image_folds
from swath.causal.units import Units
from swath.errors import DataError

#: Propensities are kept this far from 0 and 1.
CLIP = 1e-3
#: Inverse strengths of the ridge that are tried, and folds of images in which they are compared.
_STRENGTHS, _INNER = np.logspace(-4, 2, 13), 5
#: Labels are smoothed by so much.
_SMOOTHING = 0.05


@dataclass(frozen=True)
class RidgeLogistic:
    """A logistic regression on standardised columns.

    Attributes:
        centre: Of each column.
        spread: Of each column; 1 where it is constant.
        slopes: Of the standardised columns.
        intercept: Added.
    """

    centre: np.ndarray
    spread: np.ndarray
    slopes: np.ndarray
    intercept: float

    @classmethod
    def fitted(
        cls, columns: np.ndarray, treatment: np.ndarray, strength: float, weights: np.ndarray | None = None
    ) -> RidgeLogistic:
        """From columns `[units, columns]`; `strength` is scikit-learn's `C`, weights count units.

        Raises:
            DataError: If an arm is empty.
        """
        counted = np.ones(len(treatment)) if weights is None else weights
        if len(np.unique(treatment[counted > 0])) < 2:
            raise DataError("A propensity needs units of both arms", got=f"{len(treatment)} units of one")
        centre = np.average(columns, axis=0, weights=counted)
        spread = np.sqrt(np.average((columns - centre) ** 2, axis=0, weights=counted))
        spread = np.where(spread > 1e-12, spread, 1.0)
        model = LogisticRegression(C=strength, max_iter=1000)
        model.fit((columns - centre) / spread, treatment, counted)
        return cls(centre, spread, model.coef_[0], float(model.intercept_[0]))

    def predict(self, columns: np.ndarray) -> np.ndarray:
        """Probability of treatment, clipped."""
        return clipped(expit((columns - self.centre) / self.spread @ self.slopes + self.intercept))


def clipped(probability: np.ndarray) -> np.ndarray:
    """Probabilities that weights can be made of."""
    return np.clip(probability, CLIP, 1 - CLIP)


def choose_strength(columns: np.ndarray, treatment: np.ndarray, image_of: np.ndarray, seed: int = 0) -> float:
    """The strength with the least out-of-fold cross entropy, over image folds.

    Weights are made of probabilities, so they must be right, and not only rank treatments well: the area under the ROC
    curve, by which the authors' package chooses, is blind to a propensity of 0.999 that should be 0.6.
    """
    _, images = np.unique(image_of, return_inverse=True)
    fold = image_folds(int(images.max()) + 1, _INNER, seed)[images]
    return float(
        min(_STRENGTHS, key=lambda strength: log_loss(treatment, out_of_fold(columns, treatment, fold, strength)))
    )


def out_of_fold(
    columns: np.ndarray, treatment: np.ndarray, fold: np.ndarray, strength: float, weights: np.ndarray | None = None
) -> np.ndarray:
    """Propensity of each unit by a regression on the other folds; `weights` count the units that are fitted to."""
    told = np.empty(len(treatment))
    for number in np.unique(fold):
        rest = fold != number
        model = RidgeLogistic.fitted(
            columns[rest], treatment[rest], strength, None if weights is None else weights[rest]
        )
        told[~rest] = model.predict(columns[~rest])
    return told


def train_net(make: Callable[[], nn.Module], width: int, units: Units, training: NetTraining, seed: int) -> ChipNet:
    """A network that tells the logit of treatment, fitted to units with standardised images and covariates.

    That a step draws images, and one unit of each, changes how often treatment is seen, so the logit is shifted in the
    end until mean propensity and share of the treated agree on the units learned from.
    """
    treatment, _ = units.studied()
    smoothed = treatment * (1 - _SMOOTHING) + _SMOOTHING / 2

    def loss(logits: Tensor, unit: np.ndarray) -> Tensor:
        target = torch.from_numpy(smoothed[unit]).float()
        return nn.functional.binary_cross_entropy_with_logits(logits, target)

    net = train_chip_net(make, width, units, loss, training, seed)
    net.shift.fill_(recalibration(net_values(net, units), float(treatment.mean())))
    return net


def recalibration(logits: np.ndarray, share: float) -> float:
    """What must be added to logits so that mean probability is `share`."""
    if not 0 < share < 1:
        raise DataError("A propensity needs units of both arms", got=f"share of the treated {share}")
    reach = np.abs(logits).max() + abs(float(logit(share))) + 1
    return float(brentq(lambda shift: expit(logits + shift).mean() - share, -reach, reach))
