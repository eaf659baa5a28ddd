"""Networks of timm that give one vector for a whole image."""

from __future__ import annotations

from torch import nn

from swath.errors import ConfigError


def timm_classifier(name: str, in_channels: int, classes: int) -> nn.Module:
    """A timm network without weights: normalised `[B, C, H, W]` -> logits `[B, classes]`.

    Raises:
        ConfigError: If timm has no such network, or it cannot be made for so many bands.
    """
    import timm

    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"*{name.split('.')[0].rstrip('0123456789')}*")[:8])
        raise ConfigError(
            "timm has no such network", got=name, fix=f"Perhaps one of: {close}" if close else "See timm.list_models()"
        )
    try:
        return timm.create_model(name, in_chans=in_channels, num_classes=classes)
    except (TypeError, RuntimeError, AssertionError) as error:
        raise ConfigError(f"The network {name} cannot be made so", got=error) from error
