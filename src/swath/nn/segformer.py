"""SegFormer as transformers builds it, from its published sizes, without a hub.

Source: Xie et al. 2021 (arXiv 2105.15203), table 6. Names of tensors are those of transformers' published files.
"""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn import functional

from swath.errors import ConfigError, MissingExtraError

Size = Literal["b0", "b1", "b2", "b3", "b4", "b5"]
#: Blocks of each stage, and channels of the decoder.
_DEPTHS = {
    "b0": (2, 2, 2, 2), "b1": (2, 2, 2, 2), "b2": (3, 4, 6, 3), "b3": (3, 4, 18, 3), "b4": (3, 8, 27, 3),
    "b5": (3, 6, 40, 3),
}  # fmt: skip


class SegFormer(nn.Module):
    """Normalised image `[B, C, H, W]` to logits `[B, K, H, W]`, enlarged from a quarter bilinearly.

    Args:
        size: Of the encoder, `b0` to `b5`.
        channels: Of the image.
        classes: Of the logits.

    Raises:
        ConfigError: If there is no such size.
        MissingExtraError: If transformers is not installed.
    """

    def __init__(self, size: Size, channels: int, classes: int) -> None:
        super().__init__()
        if size not in get_args(Size):
            raise ConfigError("SegFormer has no such size", got=size, expected=", ".join(get_args(Size)))
        try:
            from transformers import SegformerConfig, SegformerForSemanticSegmentation
        except ImportError as error:
            raise MissingExtraError("transformers", "transformers") from error
        small = size == "b0"
        config = SegformerConfig(
            num_channels=channels, depths=list(_DEPTHS[size]),
            hidden_sizes=[32, 64, 160, 256] if small else [64, 128, 320, 512],
            decoder_hidden_size=256 if size in ("b0", "b1") else 768,
        )  # fmt: skip
        config.num_labels = classes
        whole = SegformerForSemanticSegmentation(config)
        self.segformer, self.decode_head = whole.segformer, whole.decode_head

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the size of the image."""
        found = self.segformer(image, output_hidden_states=True, return_dict=True)
        logits = self.decode_head(found.hidden_states)
        return functional.interpolate(logits, size=image.shape[-2:], mode="bilinear", align_corners=False)
