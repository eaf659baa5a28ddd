"""U-TAE: a U-Net over every date of an image series, joined over time by attention found at its coarsest level.

Sources: Garnot and Landrieu, "Panoptic Segmentation of Satellite Image Time Series with Convolutional Temporal
Attention Networks" (ICCV 2021, arXiv 2107.07933), section 3.1 and appendix; the attention is L-TAE (arXiv 2007.00586).
The widths, heads and normalisations are those of the authors' default, 1,089,564 parameters at 14 channels and 20
classes.

Convention: dates are days; where they are given, the attention sees when a date lies in the year, else it does not even
see their order.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Groups of the normalisation of single dates.
_GROUPS = 4
#: Days in a mean year.
_YEAR = 365.2425


class UTAE(nn.Module):
    """`[B, T, C, H, W]` -> features of the decoder, coarsest first; the last are `[B, decoder[0], H, W]`.

    Args:
        in_channels: Bands.
        classes: Channels of `classify`; None leaves it out.
        encoder: Channels of the encoder, finest first.
        decoder: Channels of the decoder, finest first; the last are those of the encoder.
        heads: Attention heads, and groups of channels that they weigh.
        inner: Channels inside of the attention.
        key: Length of keys and queries.
        masked: Whether dates that do not count are left out where features are normalised over time. The authors' code
            normalises over them too, so that the number of padded dates changes the result.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int | None = None,
        *,
        encoder: Sequence[int] = (64, 64, 64, 128),
        decoder: Sequence[int] = (32, 32, 64, 128),
        heads: int = 16,
        inner: int = 256,
        key: int = 4,
        masked: bool = True,
    ) -> None:
        super().__init__()
        levels = range(len(encoder) - 1)
        self.embed = nn.Sequential(_unit(in_channels, encoder[0]), _unit(encoder[0], encoder[0]))
        self.down = nn.ModuleList(_Down(encoder[i], encoder[i + 1]) for i in levels)
        self.temporal = LTAE2d(encoder[-1], heads, inner, key, masked)
        self.up = nn.ModuleList(_Up(decoder[i + 1], encoder[i], decoder[i]) for i in reversed(levels))
        self.classify = None if classes is None else nn.Sequential(
            _unit(decoder[0], decoder[0], "batch"), _unit(decoder[0], classes, "batch")
        )  # fmt: skip

    def forward(self, values: Tensor, counts: Tensor, dates: Tensor | None = None) -> list[Tensor]:
        """Features of the decoder.

        Args:
            values: Normalised `[B, T, C, H, W]`; H and W are multiples of 8 (of 2 a level) and at least 16.
            counts: Which dates count, bool `[B, T]`.
            dates: Days `[B, T]`; None for a series without order.
        """
        batch, length = counts.shape
        features = [self._every_date(self.embed, values.flatten(0, 1), counts)]
        for block in self.down:
            features.append(self._every_date(block, features[-1], counts))
        x, weights = self.temporal(features.pop().unflatten(0, (batch, length)), counts, dates)
        maps = [x]
        for block in self.up:
            skip = weigh(features.pop().unflatten(0, (batch, length)), weights)
            maps.append(block(maps[-1], skip))
        return maps

    @staticmethod
    def _every_date(block: nn.Module, x: Tensor, counts: Tensor) -> Tensor:
        """A block applied to each date that counts; others stay zero."""
        flat = counts.flatten()
        found: Tensor = block(x if flat.all() else x[flat] if flat.any() else x[:1])
        if flat.all():
            return found
        out = found.new_zeros((len(flat), *found.shape[1:]))
        if flat.any():
            out[flat] = found
        return out


class LTAE2d(nn.Module):
    """Attention over time at every pixel with one learned query a head: `[B, T, C, h, w]` -> `[B, C, h, w]`.

    Args:
        channels: Channels in and out.
        heads: Attention heads; each gives its share of the values.
        inner: Channels that values have.
        key: Length of keys and queries.
        masked: See `UTAE`.
    """

    def __init__(self, channels: int, heads: int = 16, inner: int = 256, key: int = 4, masked: bool = True) -> None:
        super().__init__()
        self.heads, self.key, self.masked = heads, key, masked
        self.normalise = nn.GroupNorm(heads, channels)
        self.widen = nn.Linear(channels, inner)
        self.query = nn.Parameter(torch.randn(heads, key) * (2 / key) ** 0.5)
        self.keys = nn.Linear(inner, heads * key)
        nn.init.normal_(self.keys.weight, std=(2 / key) ** 0.5)
        self.drop_weights = nn.Dropout(0.1)
        self.mix = nn.Sequential(nn.Linear(inner, channels), nn.BatchNorm1d(channels), nn.ReLU(), nn.Dropout(0.2))
        self.renormalise = nn.GroupNorm(heads, channels)

    def forward(self, x: Tensor, counts: Tensor, dates: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features of the whole series, and the weight of each date `[heads, B, T, h, w]`.

        Args:
            x: `[B, T, C, h, w]`.
            counts: Which dates count, bool `[B, T]`.
            dates: Days `[B, T]`; None for a series without order.
        """
        batch, length, channels, height, width = x.shape
        pixels = x.permute(0, 3, 4, 1, 2).reshape(-1, length, channels)  # [B h w, T, C]
        known = counts[:, None].expand(-1, height * width, -1).reshape(-1, length)
        values = self.widen(self._normalised(pixels, known))
        if dates is not None:
            places = positions(dates, counts, values.shape[-1] // self.heads).repeat(1, 1, self.heads)
            values = values + places.repeat_interleave(height * width, 0)
        keys = self.keys(values).unflatten(-1, (self.heads, self.key))
        likeness = torch.einsum("hk,nthk->hnt", self.query, keys) / self.key**0.5
        weights = self.drop_weights(likeness.masked_fill(~known, -1e3).softmax(-1))
        found = torch.einsum("hnt,nthv->nhv", weights, values.unflatten(-1, (self.heads, -1))).flatten(1)
        out = self.renormalise(self.mix(found))
        return (
            out.unflatten(0, (batch, height, width)).permute(0, 3, 1, 2).contiguous(),
            weights.unflatten(1, (batch, height, width)).permute(0, 1, 4, 2, 3),
        )

    def _normalised(self, pixels: Tensor, known: Tensor) -> Tensor:
        """Group normalisation over the channels of a group and time, of `[N, T, C]`."""
        norm = self.normalise
        if not self.masked or bool(known.all()):
            return norm(pixels.transpose(1, 2)).transpose(1, 2)
        counted = known[..., None, None].to(pixels.dtype)
        groups = pixels.unflatten(-1, (norm.num_groups, -1))  # [N, T, G, C/G]
        total = (counted.sum((1, 3), keepdim=True) * groups.shape[-1]).clamp(min=1)
        mean = (groups * counted).sum((1, 3), keepdim=True) / total
        spread = ((groups - mean).square() * counted).sum((1, 3), keepdim=True) / total
        scaled = ((groups - mean) / (spread + norm.eps).sqrt()).flatten(2)
        return scaled * norm.weight + norm.bias


def positions(dates: Tensor, counts: Tensor, width: int, period: float = 1000.0) -> Tensor:
    """Sines and cosines `[B, T, width]` of dates, in days since New Year of the first date that counts.

    Channel `i` has the denominator `period ** (2 (i // 2) / width)`, even ones the sine, odd ones the cosine
    (arXiv 2007.00586, section 3.2; the authors' code).
    """
    first = torch.where(counts, dates, dates.max()).amin(1, keepdim=True)
    days = (dates - torch.floor(first / _YEAR) * _YEAR).float()
    index = torch.arange(width, device=dates.device)
    angle = days[..., None] / period ** (2 * (index // 2) / width)
    return torch.where(index % 2 == 0, angle.sin(), angle.cos())


def weigh(x: Tensor, weights: Tensor) -> Tensor:
    """Sum over dates of features `[B, T, C, H, W]`, each group of channels by the weights of its head.

    Args:
        x: Features; those of dates that do not count are zero.
        weights: `[heads, B, T, h, w]`, enlarged bilinearly to the features' size.
    """
    heads = len(weights)
    fine = functional.interpolate(weights.flatten(0, 1), x.shape[-2:], mode="bilinear", align_corners=False)
    fine = fine.unflatten(0, (heads, -1))
    return torch.einsum("gbthw,btgchw->bgchw", fine, x.unflatten(2, (heads, -1))).flatten(1, 2)


class _Down(nn.Module):
    """Half the size, then two convolutions, the second around a short cut."""

    def __init__(self, channels: int, wider: int) -> None:
        super().__init__()
        self.shrink = _unit(channels, channels, kernel=4, stride=2)
        self.first, self.second = _unit(channels, wider), _unit(wider, wider)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.shrink(x))
        return x + self.second(x)


class _Up(nn.Module):
    """Twice the size, beside features of the encoder, then two convolutions, the second around a short cut."""

    def __init__(self, channels: int, skip: int, narrower: int) -> None:
        super().__init__()
        self.enlarge = nn.Sequential(
            nn.ConvTranspose2d(channels, narrower, 4, 2, 1), nn.BatchNorm2d(narrower), nn.ReLU()
        )
        self.skip = nn.Sequential(nn.Conv2d(skip, skip, 1), nn.BatchNorm2d(skip), nn.ReLU())
        self.first, self.second = _unit(narrower + skip, narrower, "batch"), _unit(narrower, narrower, "batch")

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.first(torch.cat([self.enlarge(x), self.skip(skip)], 1))
        return x + self.second(x)


def _unit(channels: int, wider: int, norm: str = "group", kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution that mirrors at the edge, normalisation of each image by groups or of the batch, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, wider, kernel, stride, 1, padding_mode="reflect"),
        nn.GroupNorm(_GROUPS, wider) if norm == "group" else nn.BatchNorm2d(wider),
        nn.ReLU(),
    )
