"""Random tensors as published heads have them."""

import torch

from swath.nn.mask2former import HeadSize


def published_head(channels: int, classes: int, size: HeadSize) -> dict[str, torch.Tensor]:
    """Random tensors in the names and shapes of mmdetection's Mask2FormerHead, for features of `channels`."""
    width, shapes = size.width, {}

    def linear(name: str, out: int, into: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (out, into), (out,)

    def norm(name: str) -> None:
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (width,)

    for level in range(3):
        shapes[f"pixel_decoder.input_convs.{level}.conv.weight"] = (width, channels, 1, 1)
        shapes[f"pixel_decoder.input_convs.{level}.conv.bias"] = (width,)
        norm(f"pixel_decoder.input_convs.{level}.gn")
    for kind, edge, into in (("lateral", 1, channels), ("output", 3, width)):
        shapes[f"pixel_decoder.{kind}_convs.0.conv.weight"] = (width, into, edge, edge)
        norm(f"pixel_decoder.{kind}_convs.0.gn")
    shapes["pixel_decoder.level_encoding.weight"] = (3, width)
    shapes["pixel_decoder.mask_feature.weight"] = (width, width, 1, 1)
    shapes["pixel_decoder.mask_feature.bias"] = (width,)
    for layer in range(size.pixel_layers):
        name = f"pixel_decoder.encoder.layers.{layer}"
        linear(f"{name}.self_attn.sampling_offsets", size.heads * 3 * 4 * 2, width)
        linear(f"{name}.self_attn.attention_weights", size.heads * 3 * 4, width)
        linear(f"{name}.self_attn.value_proj", width, width)
        linear(f"{name}.self_attn.output_proj", width, width)
        linear(f"{name}.ffn.layers.0.0", size.pixel_hidden, width)
        linear(f"{name}.ffn.layers.1", width, size.pixel_hidden)
        norm(f"{name}.norms.0")
        norm(f"{name}.norms.1")
    for layer in range(size.layers):
        name = f"transformer_decoder.layers.{layer}"
        for kind in ("self_attn", "cross_attn"):
            shapes[f"{name}.{kind}.attn.in_proj_weight"] = (3 * width, width)
            shapes[f"{name}.{kind}.attn.in_proj_bias"] = (3 * width,)
            linear(f"{name}.{kind}.attn.out_proj", width, width)
        linear(f"{name}.ffn.layers.0.0", size.hidden, width)
        linear(f"{name}.ffn.layers.1", width, size.hidden)
        for number in range(3):
            norm(f"{name}.norms.{number}")
    norm("transformer_decoder.post_norm")
    shapes["query_embed.weight"] = shapes["query_feat.weight"] = (size.queries, width)
    shapes["level_embed.weight"] = (3, width)
    linear("cls_embed", classes + 1, width)
    for number in (0, 2, 4):
        linear(f"mask_embed.{number}", width, width)
    generator = torch.Generator().manual_seed(7)
    return {name: 0.1 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
