"""Fitting image effect clusters to a trial, and what is drawn from their posterior."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from swath.causal.effect_clusters import ClusterOptions, Draw, EffectClusters, Scale, effect_variance
from swath.causal.units import Units
from swath.errors import ConfigError, DataError


@dataclass(frozen=True)
class ClusterTraining:
    """How image effect clusters are trained.

    Attributes:
        epochs: Passes over the images.
        batch: Images of a step, each with all of its units.
        learning_rate: Peak of the heads and clusters, after a warm-up of 5 % and before a cosine to zero.
        encoder_rate: Peak of the encoder, as a share of `learning_rate`.
        weight_decay: Of AdamW.
        clip: Largest norm of the gradient.
        mixed: Share of the steps, the first, in which assignments are their probabilities. Drawn ones cost the more
            the further clusters are apart, which makes them fall together before the encoder tells images apart.
    """

    epochs: int = 100
    batch: int = 64
    learning_rate: float = 1e-2
    encoder_rate: float = 0.3
    weight_decay: float = 0.01
    clip: float = 1.0
    mixed: float = 0.3

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or not self.learning_rate > 0:
            raise ConfigError(
                "`epochs`, `batch` and the learning rate must be positive",
                got=f"{self.epochs}, {self.batch} and {self.learning_rate}",
            )


def fit_clusters(
    encoder: Callable[[], nn.Module],
    width: int,
    units: Units,
    options: ClusterOptions,
    training: ClusterTraining | None = None,
    seed: int = 0,
) -> EffectClusters:
    """Train the model on all units given.

    Args:
        encoder: Makes the network from `[images, frames, bands, height, width]` to `[images, width]`.
        width: Number of its features.
        units: With treatment and outcome.
        options: Of the model.
        training: How.
        seed: Of the start, the order and the draws.

    Raises:
        DataError: If an arm is empty, outcomes do not vary or are not finite, or there are more clusters than images.
    """
    training = training or ClusterTraining()
    treatment, outcome = units.studied()
    scale = _scale(treatment, outcome)
    used, image_of = np.unique(units.image_of, return_inverse=True)
    if options.clusters > len(used):
        raise DataError("There are more clusters than images", got=f"{options.clusters} and {len(used)}")
    images = torch.from_numpy(np.ascontiguousarray(units.images[used], np.float32))
    treated = torch.from_numpy(treatment.astype(np.float32))
    standard = torch.from_numpy(((outcome - scale.mean) / scale.sd).astype(np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = EffectClusters(encoder(), width, options, scale).train()
        steps = training.epochs * math.ceil(len(used) / training.batch)
        optimizer, schedule = _optimizer(model, training, steps)
        for step, (chosen, members, places) in enumerate(_batches(image_of, training)):
            relaxed = step >= training.mixed * steps
            seen = _turned(images[chosen])
            loss = model.loss(seen, places, treated[members], standard[members], len(units), relaxed)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), training.clip)
            optimizer.step()
            schedule.step()
    return model.eval()


@dataclass(frozen=True)
class Posterior:
    """Draws from the posterior of one fit or of several, in the unit of the outcome.

    Clusters are ordered by their mean effect, smallest first, in each fit by itself: their labels mean nothing else.

    Attributes:
        base: Outcome expected without treatment, `[draws, images]`.
        effect: Effect expected from the image, `[draws, images]`.
        probabilities: Of clusters, `[draws, images, clusters]`.
        effects: Of clusters, `[draws, clusters]`.
        variances: Of a unit's effect in a cluster, `[draws, clusters]`; NaN of variants without spreads.
    """

    base: np.ndarray
    effect: np.ndarray
    probabilities: np.ndarray
    effects: np.ndarray
    variances: np.ndarray


@torch.no_grad()
def draw_posterior(model: EffectClusters, images: np.ndarray, draws: int = 50, seed: int = 0) -> Posterior:
    """Draw parameters, the same for all images, and what they say of each image.

    Args:
        model: As `fit_clusters` left it.
        images: `[images, frames, bands, height, width]`.
        draws: How many.
        seed: Of the draws.

    Returns:
        The posterior; of `tarnet` one cluster whose effect is the mean over the images.
    """
    parts = [model.encoder(torch.from_numpy(np.ascontiguousarray(part))) for part in _chunks(images)]
    features = torch.cat(parts)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        told = [_told(model, model.draw(features)) for _ in range(draws)]
    base, effect, probabilities, effects, variances = (
        torch.stack(parts).double().numpy() for parts in zip(*told, strict=True)
    )
    order = np.argsort(effects.mean(axis=0), kind="stable")
    return Posterior(base, effect, probabilities[:, :, order], effects[:, order], variances[:, order])


def _told(model: EffectClusters, draw: Draw) -> tuple[Tensor, ...]:
    """What a draw says, in the unit of the outcome."""
    probabilities = draw.logits.softmax(dim=1)
    effect = (probabilities * draw.effects).sum(dim=1)
    effects = effect.mean(dim=0, keepdim=True) if model.options.variant == "tarnet" else draw.effects
    variance = effect_variance(draw.sd0, draw.sd1, draw.sd_effect)
    if model.options.variant != "paper":  # the others' loss holds no spreads
        variance = torch.full_like(variance, torch.nan)
    scale = model.scale
    return (
        draw.base * scale.sd + scale.mean,
        effect * scale.sd,
        probabilities,
        effects * scale.sd,
        variance * scale.sd**2,
    )


def salience(model: EffectClusters, images: np.ndarray, draws: int = 10, seed: int = 0) -> np.ndarray:
    """Gradient of the expected probability of the cluster with the largest effect, averaged over draws.

    Of `tarnet`, the gradient of the effect.

    Args:
        model: As `fit_clusters` left it.
        images: `[images, frames, bands, height, width]`.
        draws: Over how many draws of the parameters.
        seed: Of the draws.

    Returns:
        As the images.
    """
    top = int(model.effects.mean.argmax())
    given = torch.from_numpy(np.ascontiguousarray(images, np.float32)).requires_grad_()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        features = model.encoder(given)
        told = [model.draw(features) for _ in range(draws)]
        wanted = [d.effects[:, 0] if model.options.variant == "tarnet" else d.logits.softmax(1)[:, top] for d in told]
        (gradient,) = torch.autograd.grad(torch.stack(wanted).mean(dim=0).sum(), given)
    return gradient.numpy()


def _scale(treatment: np.ndarray, outcome: np.ndarray) -> Scale:
    if not np.isfinite(outcome).all():
        raise DataError("Outcomes are not finite", got=f"{(~np.isfinite(outcome)).sum()} of {len(outcome)}")
    mean, sd = float(outcome.mean()), float(outcome.std())
    if not sd > 1e-12 * max(abs(mean), 1e-300):
        raise DataError("All outcomes are equal", got=mean, expected="outcomes that vary")
    untreated = float(outcome[treatment == 0].mean())
    return Scale(mean, sd, (float(outcome[treatment == 1].mean()) - untreated) / sd, (untreated - mean) / sd)


def _optimizer(
    model: EffectClusters, training: ClusterTraining, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    own = {id(parameter) for parameter in model.encoder.parameters()}
    groups = [
        {"params": list(model.encoder.parameters()), "lr": training.learning_rate * training.encoder_rate},
        {"params": [p for p in model.parameters() if id(p) not in own], "lr": training.learning_rate},
    ]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], weight_decay=training.weight_decay)
    warm = max(1, round(0.05 * steps))

    def share(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share)


def _batches(image_of: np.ndarray, training: ClusterTraining) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Images, their units, and each unit's place in the images of the batch."""
    order = np.argsort(image_of, kind="stable")
    starts = np.searchsorted(image_of[order], np.arange(image_of.max() + 2))
    units_of = [torch.from_numpy(order[a:b]) for a, b in pairwise(starts)]
    for _ in range(training.epochs):
        for chosen in torch.randperm(len(units_of)).split(training.batch):
            members = [units_of[i] for i in chosen.tolist()]
            counts = torch.tensor([len(m) for m in members])
            yield chosen, torch.cat(members), torch.repeat_interleave(torch.arange(len(chosen)), counts)


def _turned(images: Tensor) -> Tensor:
    """Turned and mirrored, all images of a batch alike: places look the same from every side."""
    images = torch.rot90(images, int(torch.randint(4, ())), (-2, -1))
    return images.flip(-1) if torch.rand(()) < 0.5 else images


def _chunks(images: np.ndarray, size: int = 256) -> Iterator[np.ndarray]:
    for start in range(0, len(images), size):
        yield images[start : start + size]
