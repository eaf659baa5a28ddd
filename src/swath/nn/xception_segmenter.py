"""A residual encoder and decoder of separable convolutions, without connections between encoder and decoder.

The encoder follows Xception's blocks (Chollet, arXiv 1610.02357); each block of encoder and decoder adds a projection
of the previous block's output. What the decoder knows of fine detail has passed the bottleneck.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional

from swath.nn.keras import SeparableConv2d, batch_norm, initialise
from swath.nn.same_padding import SameConv2d, SameMaxPool2d

if TYPE_CHECKING:
    from torch import Tensor


class DownBlock(nn.Module):
    """Two rectified separable convolutions and a maximum over 3 x 3, all halved, plus a projection of the input."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(),
            SeparableConv2d(channels, filters),
            batch_norm(filters),
            nn.ReLU(),
            SeparableConv2d(filters, filters),
            batch_norm(filters),
            SameMaxPool2d(3, 2),
        )
        self.project = SameConv2d(channels, filters, 1, stride=2)

    def forward(self, image: Tensor) -> Tensor:
        """`[B, channels, H, W]` to `[B, filters, ceil(H / 2), ceil(W / 2)]`."""
        return self.body(image) + self.project(image)


class UpBlock(nn.Module):
    """Two rectified transposed convolutions, doubled by nearest neighbour, plus a projection of the doubled input."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(channels, filters, 3, padding=1),
            batch_norm(filters),
            nn.ReLU(),
            nn.ConvTranspose2d(filters, filters, 3, padding=1),
            batch_norm(filters),
        )
        self.project = nn.Conv2d(channels, filters, 1)

    def forward(self, image: Tensor) -> Tensor:
        """`[B, channels, H, W]` to `[B, filters, 2 H, 2 W]`."""
        # A 1 x 1 projection and doubling commute, so the projection runs on a quarter of the pixels.
        return functional.interpolate(self.body(image) + self.project(image), scale_factor=2, mode="nearest")


class XceptionSegmenter(nn.Module):
    """The network: `[B, channels, H, W]` to logits `[B, classes, H, W]`; H and W are multiples of 16 as published.

    Args:
        channels: Bands.
        classes: Classes.
        stem: Filters of the first, strided convolution.
        down: Filters of each halving block.
        up: Filters of each doubling block, one more than `down`.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        stem: int = 32,
        down: Sequence[int] = (64, 128, 256),
        up: Sequence[int] = (256, 128, 64, 32),
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(SameConv2d(channels, stem, 3, stride=2), batch_norm(stem), nn.ReLU())
        widths = (stem, *down, *up)
        blocks = (DownBlock,) * len(down) + (UpBlock,) * len(up)
        self.blocks = nn.Sequential(*(block(*pair) for block, pair in zip(blocks, pairwise(widths), strict=True)))
        self.head = nn.Conv2d(widths[-1], classes, 3, padding=1)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of a normalised image."""
        return self.head(self.blocks(self.stem(image)))
