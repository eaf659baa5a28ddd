"""Networks of timm that give one vector for a whole image."""

from __future__ import annotations

from torch import nn

from swath.nn.encoders import timm_network


def timm_classifier(name: str, in_channels: int, classes: int) -> nn.Module:
    """A timm network without weights: normalised `[B, C, H, W]` -> logits `[B, classes]`.

    Raises:
        ConfigError: If timm has no such network, or it cannot be made for so many bands.
    """
    import timm

    with timm_network(name, f"{in_channels} bands and {classes} classes"):
        return timm.create_model(name, in_chans=in_channels, num_classes=classes)
