"""U-Net++ with deep supervision: a head on every node of the top row, averaged, or pruned to the nodes of one head.

Source: Zhou et al., "UNet++: A Nested U-Net Architecture for Medical Image Segmentation" (arXiv 1807.10165).
The encoder is timm's; nodes and the last head are those of segmentation_models_pytorch, which has no other heads.

Convention: node `(i, j)` is the j-th of its row, on features of stride `2^(i + 1)`; `(i, 0)` is the encoder's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from swath.errors import ConfigError
from swath.nn.encoders import timm_network

#: Nodes of the top row beside the encoder's, and so heads.
HEADS = 4
#: Height and width that the network takes are multiples of this.
STRIDE = 32
#: Widths of the last nodes of the rows, coarsest first, and of the node of twice the size, as smp has them.
_WIDTHS = (256, 128, 64, 32, 16)


class NestedUNet(nn.Module):
    """U-Net++ of four heads.

    Heads 1 to 3 are 1x1 convolutions on the nodes `(0, 1..3)`, enlarged twofold; head 4 is that of
    segmentation_models_pytorch: a last node of twice the size, and a 3x3 convolution.

    Args:
        encoder: A timm network with features of strides 2, 4, 8, 16 and 32.
        in_channels: Bands.
        classes: Channels of the logits.
        head: Head that answers when the network does not train, 1 to 4; what it does not need is not computed. None
            averages the probabilities of all.

    Raises:
        ConfigError: If timm has no such network, or it has other strides, or there is no such head.
    """

    def __init__(self, encoder: str, in_channels: int, classes: int, head: int | None = None) -> None:
        super().__init__()
        from segmentation_models_pytorch.base import SegmentationHead
        from segmentation_models_pytorch.base.initialization import initialize_decoder, initialize_head
        from segmentation_models_pytorch.decoders.unetplusplus.decoder import UnetPlusPlusDecoder

        if head is not None and head not in range(1, HEADS + 1):
            raise ConfigError("The network has no such head", got=head, expected=f"1 to {HEADS}")
        self.encoder: Any = _encoder(encoder, in_channels)
        widths = self.encoder.feature_info.channels()
        self.decoder = UnetPlusPlusDecoder((in_channels, *widths), _WIDTHS, len(_WIDTHS))
        self.segmentation_head = SegmentationHead(_WIDTHS[-1], classes)
        self.heads = nn.ModuleList(nn.Conv2d(width, classes, 1) for width in [widths[0]] * (HEADS - 1))
        self.head = head
        initialize_decoder(self.decoder)
        initialize_head(self.segmentation_head)
        initialize_head(self.heads)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised `[B, C, H, W]`, height and width multiples of 32, to logits.

        Returns:
            `[4, B, classes, H, W]` of all heads while it trains; else `[B, classes, H, W]` of the chosen head, or the
            logarithm of the mean probabilities of all.
        """
        if self.training:
            return torch.stack(self.logits(x, range(1, HEADS + 1)))
        if self.head is not None:
            return self.logits(x, [self.head])[0]
        every = torch.stack([logits.log_softmax(1) for logits in self.logits(x, range(1, HEADS + 1))])
        return every.logsumexp(0) - torch.log(every.new_tensor(HEADS))

    def logits(self, x: Tensor, heads: Sequence[int]) -> list[Tensor]:
        """Logits `[B, classes, H, W]` of some heads; only the nodes that they need are computed."""
        top = self.top_row(x, max(heads))
        return [self._answer(head, top[head - 1]) for head in heads]

    def top_row(self, x: Tensor, last: int) -> list[Tensor]:
        """Nodes `(0, 1)` to `(0, last)`, from `last (last + 1) / 2` nodes and `last + 1` stages of the encoder."""
        stages = range(last + 1)
        features = self.encoder.model.forward_intermediates(x, indices=stages, stop_early=True, intermediates_only=True)
        rows = [[feature] for feature in features]
        for j in range(1, last + 1):
            for i in range(last - j + 1):
                node = self.decoder.blocks[f"x_{HEADS - i - j}_{HEADS - 1 - i}"]
                rows[i].append(node(rows[i + 1][j - 1], torch.cat(rows[i][::-1], 1)))
        return rows[0][1:]

    def _answer(self, head: int, node: Tensor) -> Tensor:
        if head == HEADS:
            logits: Tensor = self.segmentation_head(self.decoder.blocks[f"x_0_{HEADS}"](node))
            return logits
        return functional.interpolate(self.heads[head - 1](node), scale_factor=2.0, mode="bilinear")


def _encoder(name: str, in_channels: int) -> Any:
    import timm

    with timm_network(name, "U-Net++", _SUITED):
        encoder: Any = timm.create_model(name, features_only=True, feature_cls="getter", in_chans=in_channels)
        strides = encoder.feature_info.reduction()
    if strides != [2, 4, 8, 16, 32]:
        raise ConfigError(f"The encoder {name} does not suit U-Net++", got=f"strides {strides}", fix=_SUITED)
    return encoder


_SUITED = (
    "Take one with features of strides 2, 4, 8, 16 and 32, for example efficientnet_b0, resnet18 or test_efficientnet"
)
