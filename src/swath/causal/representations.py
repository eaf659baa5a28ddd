"""Frozen features of image sequences: nothing of treatment or outcome is learned in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from swath.errors import ConfigError
from swath.nn.chip_sequence import Fixed, aggregate
from swath.nn.timm_classifier import timm_classifier

#: Edge to which small chips are enlarged for encoders that take images of any size, pixels.
_LEAST_EDGE = 64


@dataclass(frozen=True)
class Representation:
    """How images become columns: `__call__` of standardised images `[images, frames, bands, height, width]`.

    Attributes:
        kind: `means`, mean and standard deviation of each band; `random`, rectified responses to random filters;
            `encoder`, the features of `net`.
        how: How frames are put together.
        count: Number of random filters.
        size: Their edge in pixels.
        net: From `[B, bands, height, width]` to `[B, features]`.
    """

    kind: str = "random"
    how: Fixed = "concatenate"
    count: int = 64
    size: int = 3
    net: nn.Module | None = None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Columns `[images, features]`, float64."""
        frames = images.reshape(-1, 1, *images.shape[2:])
        told = self._frames(frames).reshape(len(images), images.shape[1], -1)
        return aggregate(torch.from_numpy(told), self.how).numpy()

    def _frames(self, frames: np.ndarray) -> np.ndarray:
        if self.kind == "means":
            parts = [frames.mean(axis=(-2, -1), dtype=np.float64), frames.std(axis=(-2, -1), dtype=np.float64)]
            return np.concatenate(parts, axis=2)
        if self.kind == "random":
            return random_features(frames, self.count, self.size).astype(np.float64)
        assert self.net is not None
        return encoded(self.net, frames[:, 0]).astype(np.float64)


def frozen_encoder(name: str, bands: int, seed: int = 0) -> nn.Module:
    """A network of timm without its classifier, in evaluation; weights are random until some are loaded.

    Raises:
        ConfigError: If timm has no such network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return timm_classifier(name, bands, classes=0).eval().requires_grad_(False)


@torch.inference_mode()
def encoded(net: nn.Module, images: np.ndarray) -> np.ndarray:
    """Features `[images, features]` of images `[images, bands, height, width]`, enlarged to what the network takes."""
    config = getattr(net, "pretrained_cfg", {})
    fixed = config.get("input_size", (0, 0, 0))[-1] if config.get("fixed_input_size") else 0
    edge = fixed or max(_LEAST_EDGE, *images.shape[-2:])

    def features(part: Tensor) -> Tensor:
        told = net(functional.interpolate(part, (edge, edge), mode="bilinear", antialias=True))
        if told.ndim != 2:
            raise ConfigError("The encoder gives no vector for an image", got=tuple(told.shape))
        return told

    return torch.cat([features(part) for part in torch.from_numpy(np.ascontiguousarray(images)).split(64)]).numpy()


def random_features(images: np.ndarray, count: int = 64, size: int = 3, seed: int = 0) -> np.ndarray:
    """Responses to random filters, rectified and averaged over the image (Rolf et al. 2021), `[images, count]`.

    Args:
        images: Standardised, `[images, frames, bands, height, width]`; frames count as bands.
        count: Number of features.
        size: Edge of a filter, at most that of the image.
        seed: Of the filters.
    """
    stacked = images.reshape(len(images), -1, *images.shape[-2:])
    edge = min(size, *images.shape[-2:])
    filters = np.random.default_rng(seed).normal(size=(count, stacked.shape[1], edge, edge))
    filters /= np.sqrt((filters**2).sum(axis=(1, 2, 3), keepdims=True))
    weight = torch.from_numpy(filters.astype(np.float32))
    with torch.no_grad():
        parts = [
            functional.conv2d(torch.from_numpy(np.ascontiguousarray(stacked[i : i + 256])), weight).relu().mean((2, 3))
            for i in range(0, len(stacked), 256)
        ]
    return torch.cat(parts).numpy()
