"""A U-Net that takes a series of images as one image of many bands.

Source: Ronneberger et al., "U-Net" (arXiv 1505.04597), with padding and batch normalisation, of three levels, as
Sen4AgriNet (JSTARS 2022) takes it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class SeriesUNet(nn.Module):
    """Three levels of 64, 128 and 256 channels.

    Args:
        channels: Bands of all images together.
        classes: Classes.
        width: Channels of the first level.
        levels: Number of levels.
    """

    def __init__(self, channels: int, classes: int, width: int = 64, levels: int = 3) -> None:
        super().__init__()
        widths = [width * 2**n for n in range(levels)]
        self.down = nn.ModuleList(
            _double(inside, outside) for inside, outside in zip([channels, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(_Up(inside) for inside in reversed(widths[1:]))
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, series: Tensor) -> Tensor:
        """Log-probabilities `[B, K, H, W]` of `series` `[B, T, C, H, W]`, or `[B, T C, H, W]`, of any size."""
        x = self.down[0](series.flatten(1, -3))
        seen = []
        for block in self.down[1:]:
            seen.append(x)
            x = block(functional.max_pool2d(x, 2))
        for block, skip in zip(self.up, reversed(seen), strict=True):
            x = block(x, skip)
        return self.head(x).log_softmax(1)


class _Up(nn.Module):
    """Twice the size and half the channels, padded to its companion, joined to it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.upsample = nn.ConvTranspose2d(channels, channels // 2, 2, stride=2)
        self.conv = _double(channels, channels // 2)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.upsample(x)
        down, across = (wanted - got for wanted, got in zip(skip.shape[-2:], x.shape[-2:], strict=True))
        x = functional.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
        return self.conv(torch.cat([skip, x], 1))


def _double(inside: int, outside: int) -> nn.Sequential:
    """Convolution, batch normalisation and ReLU, twice."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
        nn.Conv2d(outside, outside, 3, padding=1),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
    )
