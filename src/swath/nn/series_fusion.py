"""Features of an image series beside those of a fine image: as a map of the ground that both show, and as one number.

Source: Garioud et al., "FLAIR: a Country-Scale Land Cover Semantic Segmentation Dataset" (NeurIPS 2023, arXiv
2310.13336), section 4: the two branches of its U-T&T, as FUSU (arXiv 2405.19055) takes them.
"""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

#: Share of the hidden numbers that training drops.
_DROPPED = 0.3


class SeriesFusion(nn.Module):
    """Features `[B, C, h, w]` of a series to `[B, out_channels, height, width]`, to be added to those of the image.

    Args:
        in_channels: Channels of the series.
        out_channels: Channels of the image's features.
        published: As the authors' code: the map is cut at whole pixels of the series, and the mean of the first patch
            of a batch is taken for all.
    """

    def __init__(self, in_channels: int, out_channels: int, published: bool = False) -> None:
        super().__init__()
        self.published = published
        self.cropped = nn.Conv2d(in_channels, out_channels, 1)
        step = abs(in_channels - out_channels) // 3
        hidden = [in_channels + math.copysign(step, out_channels - in_channels) * n for n in (1, 2)]
        widths = [in_channels, *(map(int, hidden) if step else (2 * in_channels, 2 * in_channels)), out_channels]
        layers: list[nn.Module] = []
        for narrow, wide in pairwise(widths[:-1]):
            layers += [nn.Linear(narrow, wide), nn.Dropout(_DROPPED), nn.ReLU()]
        self.collapsed = nn.Sequential(*layers, nn.Linear(*widths[-2:]))

    def forward(self, x: Tensor, size: tuple[int, int], share: float) -> Tensor:
        """The sum of both branches on a grid of `size`, over the middle `share` of the edge of the series' ground."""
        mean = x.mean((2, 3))
        everywhere = self.collapsed(mean[:1] if self.published else mean)[:, :, None, None]
        found: Tensor = self._cut(self.cropped(x), size, share) + everywhere
        return found

    def _cut(self, x: Tensor, size: tuple[int, int], share: float) -> Tensor:
        height, width = x.shape[-2:]
        if self.published:
            down, across = (max(1, round(share * n)) for n in (height, width))
            top, left = round((height - down) / 2), round((width - across) / 2)
            cut = x[..., top : top + down, left : left + across]
            return functional.interpolate(cut, size, mode="bilinear", align_corners=False)
        scale = x.new_tensor([[share, 0.0, 0.0], [0.0, share, 0.0]]).expand(len(x), -1, -1)
        places = functional.affine_grid(scale, [len(x), 1, *size], align_corners=False)
        return functional.grid_sample(x, places, padding_mode="border", align_corners=False)
