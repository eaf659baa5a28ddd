"""An encoder of images that is quick to train."""

from torch import nn


def small_encoder(bands: int = 3, width: int = 16) -> nn.Module:
    """Two convolutions and a mean over `[images, 1, bands, height, width]`: enough to tell stripes."""
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
