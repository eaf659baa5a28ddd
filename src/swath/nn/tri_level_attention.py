"""Tri-level attention: a gate for each channel, one for each place, and one for each number.

Source: the levels are those of CovTANet (Mahmud et al. 2021, arXiv 2101.00691), from which DeepTriNet (arXiv
2310.06848) has them. How wide the gates are and how they are joined is not known to us; both forms are our reading.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from swath.errors import ConfigError
from swath.nn.deeplab import conv_block

Fusion = Literal["sum_conv", "sequential"]


class TriLevelAttention(nn.Module):
    """Channel, spatial and pixel attention, joined.

    With gates `c` `[B, C, 1, 1]`, `s` `[B, 1, H, W]` and `p` `[B, C, H, W]` in 0..1, all of `x`:
    `sum_conv` is `x + block(x c, x s, x p)` with a 1x1 convolution, normalised and rectified; `sequential` is
    `x c s p`.

    Args:
        channels: Channels in and out.
        fusion: How the levels are joined.
        reduction: Channels a hidden channel of the channel gate.

    Raises:
        ConfigError: If there is no such fusion.
    """

    def __init__(self, channels: int, fusion: Fusion = "sum_conv", reduction: int = 8) -> None:
        super().__init__()
        if fusion not in ("sum_conv", "sequential"):
            raise ConfigError("Tri-level attention has no such fusion", got=fusion, expected="sum_conv or sequential")
        hidden = max(channels // reduction, 1)
        self.channel = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1))
        self.spatial = nn.Conv2d(channels, 1, 1)
        self.pixel = nn.Conv2d(channels, channels, 1)
        self.join = conv_block(3 * channels, channels) if fusion == "sum_conv" else None

    def gates(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The gates of channels `[B, C, 1, 1]`, of places `[B, 1, H, W]` and of numbers `[B, C, H, W]`."""
        channel = self.channel(x.mean((2, 3), keepdim=True)).sigmoid()
        return channel, self.spatial(x).sigmoid(), self.pixel(x).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to the same."""
        channel, spatial, pixel = self.gates(x)
        if self.join is None:
            return x * channel * spatial * pixel
        joined: Tensor = self.join(torch.cat([x * channel, x * spatial, x * pixel], 1))
        return x + joined
