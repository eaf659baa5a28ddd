"""The networks that the scenes are predicted with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from torch import Tensor, nn

from benchmarks.world import BANDS
from swath.files import replacing

CLASSES = 8
#: Stored numbers are divided by this before a network sees them.
SCALE = 5000.0


class Network(nn.Module):
    """A network as a task gives it to the engine: physical values in, class probabilities out."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        """Probabilities `[B, K, height, width]`."""
        return self.net(batch["image"] / SCALE).float().softmax(1)


def unet(weights: Path | None = None) -> nn.Module:
    """A U-Net with a ResNet-18 encoder, 6 bands in and 8 classes out."""
    import segmentation_models_pytorch as smp

    torch.manual_seed(0)
    net = smp.Unet("resnet18", encoder_weights=None, in_channels=BANDS, classes=CLASSES)
    if weights is not None:
        net.load_state_dict(torch.load(weights, weights_only=True))
    return net.eval()


def tiny(_weights: Path | None = None) -> nn.Module:
    """A network that costs next to nothing: what remains is the engine."""
    torch.manual_seed(0)
    return nn.Conv2d(BANDS, CLASSES, 1).eval()


def train(scene: Path, weights: Path, steps: int = 80) -> None:
    """Train the U-Net for a minute, so that its answers are as decisive as a real network's.

    Precision changes the class where two are about equally probable; to a network of random weights all are.

    Args:
        scene: The truth is the wave that its first band is made of, cut into classes.
        weights: Where they go.
        steps: Of eight patches of 128 px.
    """
    net = unet().train()
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    generator = np.random.default_rng(0)
    with rasterio.open(scene) as file:
        image = torch.from_numpy(file.read(window=((0, 1024), (0, 1024))).astype(np.float32))
    y, x = np.mgrid[:1024, :1024] / 97.0
    edges = np.linspace(-0.75, 0.75, CLASSES - 1)
    truth = torch.from_numpy(np.digitize(np.sin(x) * np.cos(y), edges))
    for _ in range(steps):
        corners = generator.integers(0, 1024 - 128, (8, 2))
        patches = torch.stack([image[:, r : r + 128, c : c + 128] for r, c in corners])
        masks = torch.stack([truth[r : r + 128, c : c + 128] for r, c in corners])
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(patches / SCALE), masks).backward()
        optimiser.step()
    with replacing(weights) as unfinished:
        torch.save(net.state_dict(), unfinished)
