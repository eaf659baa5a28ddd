"""DINOv2 vision transformers at another patch size, as mmsegmentation's users of it resize them.

Kernel and position embedding are resized by plain bicubic interpolation, where timm resizes kernels by a pseudo-inverse
(FlexiViT) and smooths embeddings that shrink.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import timm
import torch
from torch import Tensor
from torch.nn import functional

from swath.errors import ConfigError

#: Sizes of DINOv2 by their names in timm, and a tiny one for tests and for a CPU.
SIZES: Mapping[str, Mapping[str, Any]] = {
    "vit_small_patch14_dinov2": {},
    "vit_base_patch14_dinov2": {},
    "vit_large_patch14_dinov2": {},
    "vit_tiny": {"embed_dim": 64, "depth": 4, "num_heads": 4, "init_values": 1.0},
}


def dino_vit(name: str, image: int, patch: int = 16) -> Any:
    """A DINOv2 transformer with timm's names, drawn at random but always the same.

    Args:
        name: One of `SIZES`.
        image: Edge in pixels of the images that its position embedding is for, a multiple of the patch.
        patch: Edge of a patch in pixels.

    Raises:
        ConfigError: If there is no such transformer, or the edge is no multiple of the patch.
    """
    if name not in SIZES:
        raise ConfigError("There is no such DINOv2", got=name, expected=", ".join(SIZES))
    if image < patch or image % patch:
        raise ConfigError("The edge of the images is no multiple of the patch", got=image, expected=f"{patch} k pixels")
    published = "vit_small_patch14_dinov2" if name == "vit_tiny" else name
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return timm.create_model(published, img_size=image, patch_size=patch, **SIZES[name])


def resized(state: Mapping[str, Tensor], patch: int, grid: int) -> dict[str, Tensor]:
    """Weights with kernels of `patch` pixels and position embeddings of `grid` by `grid` patches.

    Args:
        state: Tensors by the names of DINOv2; what a transformer does not need is left out (`mask_token`, `head`).
        patch: Edge of a patch in pixels.
        grid: Patches along an edge.
    """
    state = {name: tensor for name, tensor in state.items() if name != "mask_token" and not name.startswith("head.")}
    kernel, places = state.get("patch_embed.proj.weight"), state.get("pos_embed")
    if kernel is not None and kernel.shape[-1] != patch:
        state["patch_embed.proj.weight"] = _bicubic(kernel.float(), patch)
    if places is not None and places.shape[1] != grid**2 + 1:
        side = math.isqrt(places.shape[1] - 1)
        square = places[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
        state["pos_embed"] = torch.cat([places[:, :1], _bicubic(square.float(), grid).flatten(2).mT], 1)
    return state


def tokens(vit: Any, image: Tensor) -> Tensor:
    """Tokens `[B, 1 + rows * columns, D]` of normalised images `[B, 3, H, W]` before the first block; the first is cls.

    Position embeddings of other grids are interpolated as DINOv2 does it, by factors a tenth of a patch too large.
    """
    patches = vit.patch_embed.proj(image)
    places, count = vit.pos_embed, patches.shape[-2] * patches.shape[-1]
    if places.shape[1] != count + 1 or image.shape[-2] != image.shape[-1]:
        side = math.isqrt(places.shape[1] - 1)
        square = places[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
        factors = [(length + 0.1) / side for length in patches.shape[-2:]]
        square = functional.interpolate(square, scale_factor=factors, mode="bicubic")
        places = torch.cat([places[:, :1], square.flatten(2).mT], 1)
    first = vit.cls_token.expand(len(image), -1, -1)
    return torch.cat([first, patches.flatten(2).mT], 1) + places


def _bicubic(values: Tensor, size: int) -> Tensor:
    return functional.interpolate(values, size=(size, size), mode="bicubic", align_corners=False)
