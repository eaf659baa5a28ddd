"""A network that tells one number of a unit from the image of its place and its covariates, and its training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from swath.causal.units import Units


@dataclass(frozen=True)
class NetTraining:
    """How a network of chips is trained.

    Attributes:
        epochs: Passes over the images.
        batch: Images of a step.
        learning_rate: Peak; 5 % of the steps warm up, then it falls by a cosine to a hundredth.
    """

    epochs: int = 60
    batch: int = 32
    learning_rate: float = 1e-3


class ChipNet(nn.Module):
    """An image encoder, covariates beside its features, two layers, one number.

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
        """Numbers `[B]`."""
        return self.head(torch.cat([self.encoder(images), covariates], 1))[:, 0] + self.shift


def train_chip_net(
    make: Callable[[], nn.Module],
    width: int,
    units: Units,
    loss: Callable[[Tensor, np.ndarray], Tensor],
    training: NetTraining,
    seed: int,
    start: float = 0.0,
) -> ChipNet:
    """Fit a network to units with standardised images and covariates.

    Each step draws images, and one unit of each at random.

    Args:
        make: Makes the image encoder.
        width: Number of its features.
        units: To learn from.
        loss: Of the network's numbers and the indices of their units.
        training: How.
        seed: Of the start, the order and the augmentation.
        start: What is added to every number from the start.
    """
    random = np.random.default_rng(seed)
    used = np.unique(units.image_of)
    order = np.argsort(units.image_of, kind="stable")
    first = np.searchsorted(units.image_of[order], used)
    count = np.diff(np.append(first, len(order)))
    steps = training.epochs * -(-len(used) // training.batch)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ChipNet(make(), width, units.covariates.shape[1]).train()
        net.shift.fill_(start)
        optimizer = torch.optim.AdamW(net.parameters(), training.learning_rate, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
        for _ in range(training.epochs):
            drawn = random.permutation(len(used))
            for batch in np.array_split(drawn, -(-len(used) // training.batch)):
                unit = order[first[batch] + random.integers(0, count[batch])]
                images = _augmented(torch.from_numpy(units.images[units.image_of[unit]]), random)
                missed = loss(net(images, torch.from_numpy(units.covariates[unit]).float()), unit)
                optimizer.zero_grad()
                missed.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimizer.step()
                schedule.step()
    return net.eval()


@torch.inference_mode()
def net_values(net: ChipNet, units: Units) -> np.ndarray:
    """Number of each unit."""
    images, covariates = torch.from_numpy(units.images), torch.from_numpy(units.covariates).float()
    parts = [
        net(images[torch.from_numpy(units.image_of[i : i + 256])], covariates[i : i + 256])
        for i in range(0, len(units), 256)
    ]
    return torch.cat(parts).double().numpy()


def gradients(net: ChipNet, images: np.ndarray, covariates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of the number with respect to image and covariates, each of the shape of what is given."""
    given = torch.from_numpy(images).requires_grad_(True)
    beside = torch.from_numpy(covariates).float().requires_grad_(True)
    told = torch.autograd.grad(net(given, beside).sum(), (given, beside))
    return told[0].numpy(), told[1].numpy()


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
