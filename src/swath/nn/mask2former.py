"""Mask2Former: queries that each give a class and a mask (Cheng et al. 2022, arXiv 2112.01527).

Pixel decoder and transformer are those of the library transformers, built from a configuration: nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Mask2FormerConfig
from transformers.models.mask2former.modeling_mask2former import (
    Mask2FormerPixelDecoder,
    Mask2FormerPreTrainedModel,
    Mask2FormerTransformerModule,
)

from swath.errors import ConfigError

#: Groups of the pixel decoder's norms, as transformers builds them.
_GROUPS = 32


class Queries(NamedTuple):
    """What the queries answer, after each layer of the decoder; the last layer is the result.

    Attributes:
        classes: Logits `[layers, B, queries, K + 1]`; the last class is none.
        masks: Logits `[layers, B, queries, h, w]`, of a quarter of the image's height and width.
    """

    classes: Tensor
    masks: Tensor


@dataclass(frozen=True)
class HeadSize:
    """How large a head is; the default is the published one.

    Attributes:
        width: Channels of features and queries, a multiple of 32.
        heads: Of every attention.
        pixel_layers: Deformable attention layers of the pixel decoder.
        layers: Layers of the query decoder.
        queries: Number of queries.
        pixel_hidden: Hidden channels of the pixel decoder's layers.
        hidden: Hidden channels of the query decoder's layers.
        groups: Of the pixel decoder's norms. A group of one channel forgets how bright a picture is.
    """

    width: int = 256
    heads: int = 8
    pixel_layers: int = 6
    layers: int = 9
    queries: int = 100
    pixel_hidden: int = 1024
    hidden: int = 2048
    groups: int = _GROUPS

    def __post_init__(self) -> None:
        if self.width % _GROUPS or self.width % self.groups or self.width % self.heads:
            raise ConfigError(
                "The width of a Mask2Former head does not divide into its groups and heads",
                got=f"{self.width} channels, {self.groups} groups, {self.heads} heads",
                expected=f"a multiple of {_GROUPS}, of the groups and of the heads",
            )


#: For tests and for a CPU; as many channels in a group of the norms as in the published one.
TINY = HeadSize(32, 4, 1, 2, 16, 64, 64, groups=4)


class Mask2FormerHead(Mask2FormerPreTrainedModel):
    """Features of strides 4, 8, 16 and 32 to queries.

    Args:
        channels: Of the four features, finest first.
        classes: Number of classes, K, without none.
        size: How large the head is.
    """

    def __init__(self, channels: Sequence[int], classes: int, size: HeadSize | None = None) -> None:
        size = size or HeadSize()
        super().__init__(
            Mask2FormerConfig(
                num_labels=classes,  # type: ignore[call-arg]
                feature_size=size.width,
                mask_feature_size=size.width,
                hidden_dim=size.width,
                num_attention_heads=size.heads,
                encoder_layers=size.pixel_layers,
                decoder_layers=size.layers + 1,  # transformers counts the answer before the first layer
                num_queries=size.queries,
                encoder_feedforward_dim=size.pixel_hidden,
                dim_feedforward=size.hidden,
            )
        )
        self.pixel_decoder = Mask2FormerPixelDecoder(self.config, list(channels))
        for module in self.pixel_decoder.modules():
            if isinstance(module, nn.GroupNorm):
                module.num_groups = size.groups
        self.transformer = Mask2FormerTransformerModule(size.width, self.config)
        self.class_predictor = nn.Linear(size.width, classes + 1)
        self.post_init()

    def forward(self, features: Sequence[Tensor]) -> Queries:
        """Queries of features `[B, C, H / stride, W / stride]`, finest first."""
        pixels = self.pixel_decoder(list(features))
        decoded = self.transformer(pixels.multi_scale_features, pixels.mask_features)
        states = torch.stack(decoded.intermediate_hidden_states).transpose(1, 2)
        return Queries(self.class_predictor(states), torch.stack(decoded.masks_queries_logits))


def semantic_scores(queries: Queries, size: tuple[int, int]) -> Tensor:
    """Scores `[B, K, H, W]` of each class: the sum over queries of its probability times that of the mask.

    The probability is a softmax over classes and none, of which none is left out; masks are interpolated to `size`
    before their sigmoid. Scores do not sum to one.
    """
    classes = queries.classes[-1].softmax(-1)[..., :-1]
    masks = functional.interpolate(queries.masks[-1], size=size, mode="bilinear", align_corners=False).sigmoid()
    return torch.einsum("bqk,bqhw->bkhw", classes, masks)
