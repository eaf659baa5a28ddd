"""DeepLabv3+: an encoder, a context module on its coarsest features, and a decoder that adds its stride-4 features.

Sources: Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation" (ECCV 2018,
arXiv 1802.02611) for the network; Chen et al., "Rethinking Atrous Convolution" (arXiv 1706.05587) for the pyramid.

The parts are composed, not switched: systems that gate the pyramid's branches or the decoder pass their own modules.

Convention: a strided 3x3 convolution with padding 1 puts feature `i` of stride `s` on pixel `s * i`. Interpolation that
aligns corners keeps it there only for inputs of `s * k + 1` pixels (hence DeepLab's 513), so inputs are padded to that.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from swath.errors import ConfigError
from swath.nn.encoders import timm_network

#: Channels of the projected stride-4 features (arXiv 1802.02611, section 4.1).
LOW_LEVEL_CHANNELS = 48


def timm_encoder(name: str, in_channels: int, output_stride: int) -> nn.Module:
    """The feature pyramid of a timm network, without weights: `[B, C, H, W]` -> a list of feature maps.

    Raises:
        ConfigError: If timm has no such network, or it cannot keep this output stride by dilation, or it has no
            stride-4 features.
    """
    import timm

    if output_stride not in (8, 16):
        raise ConfigError("DeepLabv3+ cannot use this output stride", got=output_stride, expected="8 or 16")
    with timm_network(name, "dilation", _DILATED):
        encoder = timm.create_model(name, features_only=True, in_chans=in_channels, output_stride=output_stride)
        reductions, _ = describe(encoder)
    if reductions[-1] != output_stride or 4 not in reductions:
        raise ConfigError(
            f"The encoder {name} gives features of strides {reductions}",
            expected=f"4 and at last {output_stride}",
            fix=_DILATED,
        )
    return encoder


_DILATED = "Take a convolutional encoder, for example xception71, resnet18, mobilenetv3_small_100 or test_resnet"


def describe(encoder: Any) -> tuple[list[int], list[int]]:
    """Strides and channels of the feature maps of a timm encoder, finest first."""
    return encoder.feature_info.reduction(), encoder.feature_info.channels()


def conv_block(in_channels: int, out_channels: int, kernel: int = 1, rate: int | tuple[int, int] = 1) -> nn.Sequential:
    """Convolution without bias, batch normalisation, ReLU; keeps the size."""
    return nn.Sequential(
        OrderedDict(
            conv=_same_size(in_channels, out_channels, kernel, rate),
            norm=nn.BatchNorm2d(out_channels),
            act=nn.ReLU(),
        )
    )


def separable_block(
    in_channels: int, out_channels: int, rate: int | tuple[int, int] = 1, split: bool = True
) -> nn.Sequential:
    """Depthwise 3x3 convolution with atrous `rate`, then pointwise, normalised and rectified; keeps the size.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        rate: Atrous rate of the depthwise convolution, or `(vertical, horizontal)`.
        split: Normalise and rectify after the depthwise convolution as well, as DeepLab's authors do in everything
            after the encoder.
    """
    depthwise = _same_size(in_channels, in_channels, 3, rate, groups=in_channels)
    inner = OrderedDict(depthwise_norm=nn.BatchNorm2d(in_channels), depthwise_act=nn.ReLU()) if split else {}
    return nn.Sequential(
        OrderedDict(
            depthwise=depthwise,
            **inner,
            pointwise=nn.Conv2d(in_channels, out_channels, 1, bias=False),
            norm=nn.BatchNorm2d(out_channels),
            act=nn.ReLU(),
        )
    )


class ImagePool(nn.Module):
    """The mean of every channel over the image, projected and spread over the image again."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.project = conv_block(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` -> `[B, out_channels, H, W]`."""
        pooled: Tensor = self.project(x.mean((2, 3), keepdim=True))
        return pooled.expand(-1, -1, *x.shape[2:])


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: a 1x1 branch, an atrous branch a rate, an image-pooling branch; then 1x1.

    Args:
        in_channels: Channels of the encoder's last features.
        out_channels: Channels of each branch and of the result.
        rates: Atrous rates; (6, 12, 18) belong to output stride 16 and are doubled at 8.
        split: See `separable_block`.
        dropout: Share of the result that training drops.
        gate: Makes a module of `out_channels` channels to put after every branch, for example an attention.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        rates: Sequence[int] = (6, 12, 18),
        split: bool = True,
        dropout: float = 0.1,
        gate: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        branches: list[nn.Module] = [
            conv_block(in_channels, out_channels),
            *(separable_block(in_channels, out_channels, rate, split) for rate in rates),
            ImagePool(in_channels, out_channels),
        ]
        self.branches = nn.ModuleList(
            branches if gate is None else [nn.Sequential(branch, gate(out_channels)) for branch in branches]
        )
        self.project = conv_block(len(branches) * out_channels, out_channels)
        self.dropout = nn.Dropout(dropout)
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> Tensor:
        """`[B, in_channels, h, w]` -> `[B, out_channels, h, w]`."""
        result: Tensor = self.dropout(self.project(torch.cat([branch(x) for branch in self.branches], 1)))
        return result


class DeepLabV3Plus(nn.Module):
    """DeepLabv3+ of given parts.

    Args:
        encoder: Gives a list of feature maps and describes them in `feature_info`, as timm's `features_only` does.
        context: Works on the last features; its result has `channels` channels.
        fuse: Works on `channels + 48` channels at stride 4 and gives `channels`; see `decoder_blocks`.
        classes: Channels of the logits.
        channels: Width of the decoder.
        aligned: Pad inputs to `output stride * k + 1` pixels, so that logits lie on the pixels that they speak of.
            Without it the result is that of common ports, up to one output stride off toward the lower right.
    """

    def __init__(
        self,
        encoder: nn.Module,
        context: nn.Module,
        fuse: nn.Module,
        classes: int,
        channels: int = 256,
        aligned: bool = True,
    ) -> None:
        super().__init__()
        reductions, widths = describe(encoder)
        self.encoder, self.context = encoder, context
        self.low_level, self.output_stride, self.aligned = reductions.index(4), reductions[-1], aligned
        self.project = conv_block(widths[self.low_level], LOW_LEVEL_CHANNELS)
        self.fuse = fuse
        self.classify = nn.Conv2d(channels, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised `[B, C, H, W]` -> logits `[B, classes, H, W]`, any `H` and `W`."""
        height, width = x.shape[2:]
        if self.aligned:
            stride = self.output_stride
            x = functional.pad(x, (0, (1 - width) % stride, 0, (1 - height) % stride), mode="replicate")
        features = self.encoder(x)
        low = self.project(features[self.low_level])
        coarse = _resize(self.context(features[-1]), low.shape[2:])
        logits = self.classify(self.fuse(torch.cat([coarse, low], 1)))
        return _resize(logits, x.shape[2:])[:, :, :height, :width]


def decoder_blocks(channels: int = 256) -> nn.Sequential:
    """The decoder of the paper: two separable 3x3 blocks on the joined features."""
    return nn.Sequential(
        separable_block(channels + LOW_LEVEL_CHANNELS, channels),
        separable_block(channels, channels),
    )


def _resize(x: Tensor, size: Sequence[int]) -> Tensor:
    return functional.interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)


def _same_size(
    in_channels: int, out_channels: int, kernel: int, rate: int | tuple[int, int], groups: int = 1
) -> nn.Conv2d:
    rates = (rate, rate) if isinstance(rate, int) else rate
    padding = (rates[0] * (kernel // 2), rates[1] * (kernel // 2))
    return nn.Conv2d(in_channels, out_channels, kernel, padding=padding, dilation=rates, groups=groups, bias=False)
