"""HRNet as an encoder of dense tasks: its four resolutions side by side at stride 4.

Source: Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition" (TPAMI 2021, arXiv
1908.07919), section 3: HRNetV2. The network is timm's, whose keys are those of the authors' weights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from swath.errors import ConfigError


class HRNet(nn.Module):
    """`[B, C, H, W]` -> `[B, out_channels, H / 4, W / 4]`; H and W are multiples of 32.

    Args:
        name: A HRNet of timm: `hrnet_w18`, `hrnet_w18_small`, ...
        in_channels: Bands.
        smooth: Enlarge bilinearly, with aligned corners, inside of the network too, as the authors do for dense tasks;
            timm repeats pixels there, as they do for classification.

    Raises:
        ConfigError: If timm has no such network.
    """

    def __init__(self, name: str, in_channels: int, smooth: bool = True) -> None:
        super().__init__()
        import timm

        known = timm.list_models("hrnet*")
        if name not in known:
            raise ConfigError("timm has no such HRNet", got=name, expected=", ".join(known))
        self.net: Any = timm.create_model(
            name, features_only=True, feature_location="", in_chans=in_channels, out_indices=(1, 2, 3, 4)
        )
        described: Any = self.net.feature_info
        self.out_channels = sum(described.channels())
        for module in self.net.modules() if smooth else ():
            if isinstance(module, nn.Upsample):
                module.mode, module.align_corners = "bilinear", True

    def forward(self, image: Tensor) -> Tensor:
        """Features of a normalised image."""
        finest, *coarser = self.net(image)
        enlarged = [functional.interpolate(x, finest.shape[-2:], mode="bilinear", align_corners=True) for x in coarser]
        return torch.cat([finest, *enlarged], 1)
