"""Cloud-Adapter: a frozen vision transformer, led by what a small convolutional network sees (arXiv 2411.13127).

Modules of the adapter have the names of the release (XavierJiezou/Cloud-Adapter at b2fe0274), so that its tensors load
as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from swath.nn.dino import tokens
from swath.nn.mask2former import HeadSize, Mask2FormerHead, Queries, semantic_scores

#: Channels of the context, heads and channels of a head of the attention, and rank of its maps.
CONTEXT, HEADS, HEAD, RANK = 64, 8, 64, 16


class SeparableConv(nn.Module):
    """A convolution that keeps channels, and one of 1 x 1: norm and ReLU after the first, norm alone after the second.

    The release names the first depth-wise; of its 3 x 3 ones each channel sees all channels.

    Args:
        channels: That come in.
        out: That go out.
        kernel: Edge of the first convolution.
        stride: Of the first convolution; with stride 1 and as many channels out as in, the input is added.
        groups: Of the first convolution.
    """

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.short_cut = stride == 1 and channels == out
        self.conv_dw = nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv_pw = nn.Conv2d(channels, out, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        for conv in (self.conv_dw, self.conv_pw):
            fan_out = conv.kernel_size[0] ** 2 * conv.out_channels // conv.groups
            nn.init.normal_(conv.weight, 0, math.sqrt(2 / fan_out))

    def forward(self, x: Tensor) -> Tensor:
        """`[B, channels, H, W]` to `[B, out, H / stride, W / stride]`, rounded up."""
        seen = self.bn2(self.conv_pw(functional.relu(self.bn1(self.conv_dw(x)))))
        return seen + x if self.short_cut else seen


class SpatialPerception(nn.Module):
    """The context of an image: the sum of maps of strides 1, 2, 4 and so on, averaged to the coarsest.

    Args:
        channels: Of the context.
        stride: Of the coarsest map, a power of 2; 16 in the release, which has five maps.
    """

    def __init__(self, channels: int = CONTEXT, stride: int = 16) -> None:
        super().__init__()
        self.proj_1x1 = SeparableConv(3, channels, 1, groups=3)
        strides = [1] + [2] * (stride.bit_length() - 1)
        self.spp_dw = nn.ModuleList(SeparableConv(channels, channels, 3, step) for step in strides)

    def forward(self, image: Tensor) -> Tensor:
        """Context `[B, channels, H / stride, W / stride]` of a normalised image `[B, 3, H, W]`."""
        maps = [self.spp_dw[0](self.proj_1x1(image))]
        for stage in self.spp_dw[1:]:
            maps.append(stage(maps[-1]))
        coarsest = maps[-1].shape[-2:]
        return torch.stack([functional.adaptive_avg_pool2d(values, coarsest) for values in maps]).sum(0)


class LowRank(nn.Module):
    """Two linear maps without bias, through few channels."""

    def __init__(self, channels: int, out: int, rank: int) -> None:
        super().__init__()
        self.loramlp = nn.Sequential(nn.Linear(channels, rank, bias=False), nn.Linear(rank, out, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """`[..., channels]` to `[..., out]`."""
        return self.loramlp(x)


class CrossAttention(nn.Module):
    """Tokens attend to a context, through maps of low rank.

    Args:
        channels: Of the tokens.
        context: Channels of the context.
        rank: Of the maps to queries, keys and values, and back.
    """

    def __init__(self, channels: int, context: int = CONTEXT, rank: int = RANK) -> None:
        super().__init__()
        inner = HEADS * HEAD
        self.to_q = LowRank(channels, inner, rank)
        self.to_k = LowRank(context, inner, rank)
        self.to_v = LowRank(context, inner, rank)
        self.to_out = LowRank(inner, channels, rank)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """What tokens `[B, N, channels]` find in a context `[B, M, context]`, `[B, N, channels]`."""
        query, key, value = (
            part.unflatten(-1, (HEADS, HEAD)).transpose(1, 2)
            for part in (self.to_q(x), self.to_k(context), self.to_v(context))
        )
        found = functional.scaled_dot_product_attention(query, key, value)
        return self.to_out(found.transpose(1, 2).flatten(2))


class Adapting(nn.Module):
    """Adds to each token what it finds in the context; it is not the identity at first.

    Args:
        channels: Of the tokens.
        context: Channels of the context.
        rank: See `CrossAttention`.
    """

    def __init__(self, channels: int, context: int = CONTEXT, rank: int = RANK) -> None:
        super().__init__()
        self.attn = CrossAttention(channels, context, rank)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Tokens `[B, N, channels]` without cls, led by a context `[B, context, h, w]`.

        The context is resized to a square of about N places, whatever the shape of the image, as in the release.
        """
        side = math.isqrt(x.shape[1])
        resized = functional.interpolate(context, (side, side), mode="bilinear", align_corners=False)
        return x + self.attn(x, resized.flatten(2).mT)


class CloudAdapter(nn.Module):
    """What is trained beside the head: one perception, and an adapting module for each block.

    Args:
        channels: Of the tokens.
        blocks: Of the transformer.
        patch: Edge in pixels of the transformer's patches, a power of 2.
    """

    def __init__(self, channels: int, blocks: int, patch: int = 16) -> None:
        super().__init__()
        self.cnn = SpatialPerception(stride=patch)
        self.net = nn.ModuleList(Adapting(channels) for _ in range(blocks))


class CloudAdapterNet(nn.Module):
    """Transformer, adapter and head.

    Args:
        encoder: A transformer with timm's names (`swath.nn.dino`); its patches have an edge of 16 pixels in the
            release, of another power of 2 elsewhere.
        classes: Number of classes.
        size: Of the head.
    """

    encoder: Any

    def __init__(self, encoder: Any, classes: int, size: HeadSize | None = None) -> None:
        super().__init__()
        depth, self.patch = len(encoder.blocks), int(encoder.patch_embed.patch_size[0])
        self.encoder = encoder
        self.adapter = CloudAdapter(encoder.embed_dim, depth, self.patch)
        self.head = Mask2FormerHead([encoder.embed_dim] * 4, classes, size)
        #: Blocks whose tokens go to the head: the release's of 24 blocks, else those after each quarter.
        self.taps: Sequence[int] = (7, 11, 15, 23) if depth == 24 else [depth * n // 4 - 1 for n in range(1, 5)]

    def features(self, image: Tensor) -> list[Tensor]:
        """Features `[B, D, h, w]` of a normalised image, of a quarter, half, once and twice the stride of the tokens.

        Sides of the image are multiples of two patches.
        """
        rows, columns = image.shape[-2] // self.patch, image.shape[-1] // self.patch
        context = self.adapter.cnn(image)
        x = tokens(self.encoder, image)
        taken = []
        for number, (block, adapting) in enumerate(zip(self.encoder.blocks, self.adapter.net, strict=True)):
            x = block(x)
            x = torch.cat([x[:, :1], adapting(x[:, 1:], context)], 1)
            if number in self.taps:
                taken.append(x[:, 1:].mT.unflatten(2, (rows, columns)))
        return [
            values if factor == 1 else functional.interpolate(values, scale_factor=factor, mode="bilinear")
            for values, factor in zip(taken, (4, 2, 1, 0.5), strict=True)
        ]

    def forward(self, image: Tensor) -> Queries | Tensor:
        """Of a normalised image `[B, 3, H, W]`: queries while it trains, after that scores `[B, K, H, W]`."""
        queries = self.head(self.features(image))
        return queries if self.training else semantic_scores(queries, (image.shape[-2], image.shape[-1]))
