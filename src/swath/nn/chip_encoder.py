"""A small encoder of image chips, for studies with some hundred of them."""

from __future__ import annotations

from torch import nn


def chip_encoder(bands: int, width: int) -> nn.Module:
    """Two strided convolutions and their mean: `[B, frames, bands, height, width]` -> `[B, width]`.

    Frames are seen side by side; few hundred images bear no more.

    Args:
        bands: Frames times bands.
        width: Features.
    """
    return nn.Sequential(
        nn.Flatten(1, 2),
        nn.Conv2d(bands, width, 5, stride=2, padding=2),
        nn.SiLU(),
        nn.Conv2d(width, width, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.LayerNorm(width),
    )
