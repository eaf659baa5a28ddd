"""Land use at two dates and what changed between them, from a fine image of each date and a series of coarse ones.

Source: Yuan et al., "FUSU: A Multi-temporal-source Land Use Change Segmentation Dataset for Fine-grained Urban Semantic
Understanding" (NeurIPS 2024, arXiv 2405.19055), section 4: FUSU-Net.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from swath.nn.deeplab import ASPP
from swath.nn.hrnet import HRNet
from swath.nn.pyramid_pooling import PyramidPooling
from swath.nn.series_fusion import SeriesFusion
from swath.nn.utae import UTAE

#: What the layers of the two dates are called.
BEFORE, AFTER = "before", "after"


@dataclass(frozen=True)
class BitemporalLogits:
    """What the network says of every pixel.

    Attributes:
        before: Land use at the first date `[B, K, H, W]`.
        after: Land use at the second date `[B, K, H, W]`.
        change: Change `[B, H, W]`.
        series: Land use that the series alone tells `[B, K, H, W]`, which helps training; None without series.
    """

    before: Tensor
    after: Tensor
    change: Tensor
    series: Tensor | None


class SiameseChange(nn.Module):
    """FUSU-Net. Layers `before` and `after` `[B, C, H, W]`, and one series, to `BitemporalLogits`.

    The series is that of one square around the middle of the image; its features are added to those of both dates.

    Args:
        encoder: Name of the HRNet in timm.
        in_channels: Bands of an image.
        classes: Land uses.
        series_channels: Bands of the series; None for a network of the images alone.
        ground: Edge of an image's pixel over that of the series' square.
        heads: Of land use: one convolution of 3 x 3 (`fcn`, as the authors' code), or atrous pyramids (`aspp`, as the
            paper).
        dated: Whether the attention over time sees dates.
        published: As the authors' code computes it, faults included: see `SeriesFusion` and `UTAE`.
    """

    def __init__(
        self,
        encoder: str,
        in_channels: int,
        classes: int,
        series_channels: int | None,
        ground: float,
        heads: Literal["fcn", "aspp"] = "aspp",
        dated: bool = True,
        published: bool = False,
    ) -> None:
        super().__init__()
        self.ground, self.dated, self.published = ground, dated, published
        self.encoder = HRNet(encoder, in_channels)
        width = self.encoder.out_channels
        self.series: UTAE | None = None
        if series_channels is not None:
            self.series = UTAE(series_channels, masked=not published)
            self.fusion = SeriesFusion(32, width, published)
        self.land_use = _fcn_head(width, classes) if heads == "fcn" else _aspp_head(width, classes)
        self.change = nn.Sequential(
            PyramidPooling(width, align_corners=False), *_fcn_head(width + width // 4 * 4, 1, width // 4)
        )

    def forward(
        self, image: Mapping[str, Tensor], series: Mapping[str, Mapping[str, Tensor]] | None = None
    ) -> BitemporalLogits:
        """Logits of normalised images and series."""
        before, after = image[BEFORE], image[AFTER]
        size = before.shape[-2:]
        first, second = self.encoder(before), self.encoder(after)
        alone: Tensor | None = None
        if self.series is not None and series is not None:
            shared = self._shared(next(iter(series.values())), first.shape[-2:], size[-1])
            alone = _enlarged(self.land_use(shared), size)
            first, second = first + shared, second + shared
        return BitemporalLogits(
            _enlarged(self.land_use(first), size),
            _enlarged(self.land_use(second), size),
            _enlarged(self.change((first - second).abs()), size)[:, 0],
            alone,
        )

    def _shared(self, series: Mapping[str, Tensor], size: tuple[int, int], pixels: int) -> Tensor:
        """Features of the series on the grid of the image's features."""
        assert self.series is not None
        counts = series["valid"].flatten(2).any(2)
        maps = self.series(series["values"], counts, series["dates"] if self.dated else None)
        share = _PUBLISHED_SHARE if self.published else self.ground * pixels
        found: Tensor = self.fusion(maps[-1], size, share)
        return found


#: The authors' code cuts 26 of 128 pixels, whatever the image.
_PUBLISHED_SHARE = 26 / 128


def _fcn_head(width: int, classes: int, inner: int | None = None) -> nn.Sequential:
    inner = inner or width // 4
    return nn.Sequential(
        nn.Conv2d(width, inner, 3, padding=1, bias=False),
        nn.BatchNorm2d(inner),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Conv2d(inner, classes, 1),
    )


def _aspp_head(width: int, classes: int) -> nn.Sequential:
    return nn.Sequential(ASPP(width, width // 4, split=False), nn.Conv2d(width // 4, classes, 1))


def _enlarged(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    return functional.interpolate(logits, tuple(size), mode="bilinear", align_corners=False)
