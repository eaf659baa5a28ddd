"""Small encoders of image chips, for studies with some hundred of them."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from swath.errors import ConfigError


def chip_encoder(bands: int, width: int, peaks: bool = False) -> nn.Module:
    """Two strided convolutions and their mean: `[B, frames, bands, height, width]` -> `[B, width]`.

    Frames are seen side by side; few hundred images bear no more.

    Args:
        bands: Frames times bands.
        width: Features.
        peaks: Whether the largest response is taken in place of the mean: for things that stand somewhere, where means
            are for what is everywhere.
    """
    return nn.Sequential(
        nn.Flatten(1, 2),
        nn.Conv2d(bands, width, 5, stride=2, padding=2),
        nn.SiLU(),
        nn.Conv2d(width, width, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.AdaptiveMaxPool2d(1) if peaks else nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.LayerNorm(width),
    )


class ChipTransformer(nn.Module):
    """A small vision transformer: `[B, frames, bands, height, width]` -> `[B, width]`.

    With rotary places, SwiGLU, RMS norms before each part and attention pooling, as in Jerzak, Johansson & Daoud's
    package; timm's blocks. Frames are seen side by side. Chips of any size: those that patches do not tile are padded
    with their own border.

    Args:
        bands: Frames times bands.
        width: Features, of tokens too; a multiple of 8.
        patch: Edge of a patch in pixels.
        depth: Number of blocks.

    Raises:
        ConfigError: If the width is not a multiple of 8.
    """

    def __init__(self, bands: int, width: int, patch: int = 8, depth: int = 2) -> None:
        from timm.layers import RmsNorm
        from timm.models.eva import Eva

        super().__init__()
        if width % 8:
            raise ConfigError("The width of a transformer must be a multiple of 8", got=width)
        self.patch = patch
        self.net = Eva(
            img_size=patch,
            patch_size=patch,
            in_chans=bands,
            num_classes=0,
            global_pool="map",
            embed_dim=width,
            depth=depth,
            num_heads=2,
            mlp_ratio=2.0,
            swiglu_mlp=True,
            norm_layer=RmsNorm,
            class_token=False,
            use_abs_pos_emb=False,
            use_rot_pos_emb=True,
            dynamic_img_size=True,
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, images: Tensor) -> Tensor:
        """Features of chips."""
        stacked = images.flatten(1, 2)
        down, right = (-edge % self.patch for edge in stacked.shape[-2:])
        return self.norm(self.net(functional.pad(stacked, (0, right, 0, down), mode="replicate")))
