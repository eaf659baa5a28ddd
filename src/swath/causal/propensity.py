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
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import log_loss
from torch import Tensor, nn

from swath.causal.units import Units
from swath.errors import DataError

#: Propensities are kept this far from 0 and 1.
CLIP = 1e-3
#: Inverse strengths of the ridge that are tried, and folds of images in which they are compared.
_STRENGTHS, _INNER = np.logspace(-4, 2, 13), 5
#: Ridge of the outcome models.
_OUTCOME_RIDGES = np.logspace(-1, 4, 11)
#: Labels are smoothed by so much.
_SMOOTHING = 0.05


def image_folds(count: int, folds: int, seed: int) -> np.ndarray:
    """Fold of each of `count` images, equal in size but for one.

    Raises:
        DataError: If there are fewer images than folds.
    """
    if count < folds:
        raise DataError("There are fewer images than folds", got=f"{count} and {folds}")
    return np.random.default_rng(seed).permutation(np.arange(count) * folds // count)


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


def outcome_surfaces(
    columns: np.ndarray, treatment: np.ndarray, outcome: np.ndarray, fold: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Expected outcome of each unit without and with treatment, by ridge regressions on each arm of the other folds."""
    centre, spread = columns.mean(axis=0), columns.std(axis=0)
    standard = (columns - centre) / np.where(spread > 1e-12, spread, 1.0)
    told = np.empty((2, len(outcome)))
    for number in np.unique(fold):
        for arm in (0, 1):
            learned = (fold != number) & (treatment == arm)
            if not learned.any():
                raise DataError("A fold leaves no unit of an arm to learn from", fix="Use fewer folds")
            model = RidgeCV(_OUTCOME_RIDGES).fit(standard[learned], outcome[learned])
            told[arm, fold == number] = model.predict(standard[fold == number])
    return told[0], told[1]


@dataclass(frozen=True)
class NetTraining:
    """How a propensity network is trained.

    Attributes:
        epochs: Passes over the images.
        batch: Images of a step.
        learning_rate: Peak; 5 % of the steps warm up, then it falls by a cosine to a hundredth.
    """

    epochs: int = 60
    batch: int = 32
    learning_rate: float = 1e-3


class PropensityNet(nn.Module):
    """An image encoder, covariates beside its features, two layers, the logit of treatment.

    Args:
        encoder: Images `[B, frames, bands, height, width]` to features `[B, width]`.
        width: Number of features.
        covariates: Number of covariates.
    """

    def __init__(self, encoder: nn.Module, width: int, covariates: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(nn.Linear(width + covariates, width), nn.SiLU(), nn.Linear(width, 1))
        self.shift = nn.Buffer(torch.zeros(()))

    def forward(self, images: Tensor, covariates: Tensor) -> Tensor:
        """Logits `[B]`."""
        return self.head(torch.cat([self.encoder(images), covariates], 1))[:, 0] + self.shift


def train_net(
    make: Callable[[], nn.Module], width: int, units: Units, training: NetTraining, seed: int
) -> PropensityNet:
    """Fit a network to units with standardised images and covariates.

    Each step draws images, and one unit of each at random. That changes how often treatment is seen, so the logit is
    shifted in the end until mean propensity and share of the treated agree on the units learned from.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    treatment, _ = units.studied()
    net = PropensityNet(make(), width, units.covariates.shape[1])
    used = np.unique(units.image_of)
    order = np.argsort(units.image_of, kind="stable")
    first = np.searchsorted(units.image_of[order], used)
    count = np.diff(np.append(first, len(order)))
    steps = training.epochs * -(-len(used) // training.batch)
    optimizer = torch.optim.AdamW(net.parameters(), training.learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    net.train()
    for _ in range(training.epochs):
        drawn = random.permutation(len(used))
        for batch in np.array_split(drawn, -(-len(used) // training.batch)):
            unit = order[first[batch] + random.integers(0, count[batch])]
            images = _augmented(torch.from_numpy(units.images[units.image_of[unit]]), random)
            target = torch.from_numpy(treatment[unit]).float() * (1 - _SMOOTHING) + _SMOOTHING / 2
            logits = net(images, torch.from_numpy(units.covariates[unit]).float())
            loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    net.eval()
    logits = net_logits(net, units)
    net.shift.fill_(recalibration(logits, float(treatment.mean())))
    return net


def recalibration(logits: np.ndarray, share: float) -> float:
    """What must be added to logits so that mean probability is `share`."""
    if not 0 < share < 1:
        raise DataError("A propensity needs units of both arms", got=f"share of the treated {share}")
    reach = np.abs(logits).max() + abs(float(logit(share))) + 1
    return float(brentq(lambda shift: expit(logits + shift).mean() - share, -reach, reach))


@torch.inference_mode()
def net_logits(net: PropensityNet, units: Units) -> np.ndarray:
    """Logit of each unit."""
    images, covariates = torch.from_numpy(units.images), torch.from_numpy(units.covariates).float()
    parts = [
        net(images[torch.from_numpy(units.image_of[i : i + 256])], covariates[i : i + 256])
        for i in range(0, len(units), 256)
    ]
    return torch.cat(parts).double().numpy()


def salience(net: PropensityNet, images: np.ndarray, covariates: np.ndarray) -> np.ndarray:
    """Gradient of the logit with respect to the image, by the norm over frames and bands, `[images, height, width]`."""
    given = torch.from_numpy(images).requires_grad_(True)
    net(given, torch.from_numpy(covariates).float()).sum().backward()
    assert given.grad is not None
    return given.grad.flatten(1, 2).norm(dim=1).numpy()


def _rate(step: int, steps: int) -> float:
    warm = max(steps // 20, 1)
    if step < warm:
        return (step + 1) / warm
    return 0.01 + 0.99 * (1 + float(np.cos(np.pi * (step - warm) / max(steps - warm, 1)))) / 2


def _augmented(images: Tensor, random: np.random.Generator) -> Tensor:
    """Flips of both axes, brightness, contrast and noise, each with a chance of its own."""
    for axis in (-1, -2):
        if random.random() < 0.5:
            images = images.flip(axis)
    if random.random() < 0.25:
        images = images + float(random.uniform(-0.1, 0.1))
    if random.random() < 0.25:
        images = images * float(random.uniform(0.8, 1.2))
    if random.random() < 0.25:
        images = images + 0.05 * torch.from_numpy(random.standard_normal(images.shape).astype(np.float32))
    return images
