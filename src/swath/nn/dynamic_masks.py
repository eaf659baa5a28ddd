"""Instances by dynamic masks: each place on a coarse grid may tell a thing, and makes the filters that draw its mask.

Sources: Tian et al. 2020 (CondInst, arXiv 2003.05664) for masks drawn from shared features and relative positions by a
small network whose weights a place gives; Wang et al. 2020 (SOLO, arXiv 1912.04488) for which places tell a thing:
those of its middle that it covers; and for the score. No box is drawn, so things that are thin, curved and cross stay
apart. The features come from a U-Net, in full resolution. Nothing is normed over a tile, so what a place tells does not
hang on the size of the tile and on what else it holds.

Convention: a cell of the grid covers `STEP` x `STEP` pixels; positions are pixels from the top-left corner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import FeaturePyramidNetwork, masks_to_boxes, sigmoid_focal_loss

from swath.nn.encoders import timm_network

#: Pixels a cell, and of which inputs are padded to multiples.
STEP, STRIDE = 8, 32
#: Widths of the shared features and of the network that draws a mask.
_FEATURES, _HIDDEN = 8, 8
#: Pixels that a relative position of 1 stands for.
_UNIT = 64.0
#: A cell belongs to the middle of a thing within this share of its diagonal.
_MIDDLE = 0.15
#: Cells that learn to draw one thing, at most.
_LEARNERS = 6


class DynamicMasks(nn.Module):
    """The network; it is called as those of `swath.tasks.instances.InstanceSegmentation` are.

    Args:
        encoder: A timm network with features of strides 2 to 32.
        channels: Of the images.
        classes: Without background.
        width: Channels of the grid's features.
        detections: Cells that tell a thing in a picture, at most.
        least_score: Below it nothing is told.

    Raises:
        ConfigError: If timm has no such encoder, or it does not suit a U-Net.
    """

    def __init__(
        self,
        encoder: str,
        channels: int,
        classes: int,
        width: int = 64,
        detections: int = 60,
        least_score: float = 0.05,
    ) -> None:
        super().__init__()
        import segmentation_models_pytorch as smp

        with timm_network(encoder, "a U-Net"):
            # the last channel tells whether there is a thing at all
            self.unet = smp.Unet(f"tu-{encoder}", encoder_weights=None, in_channels=channels, classes=_FEATURES + 1)
        self.pyramid = FeaturePyramidNetwork(self.unet.encoder.out_channels[-3:], width)
        # dilations let a place see from one end of a long thing to the other
        self.tower = nn.Sequential(*(_block(width, rate) for rate in (1, 2, 4, 8)))
        self.tells = nn.Conv2d(width, classes, 3, padding=1)
        self._sizes = [(_FEATURES + 3) * _HIDDEN, _HIDDEN, _HIDDEN**2, _HIDDEN, _HIDDEN, 1]
        # of one cell only: with many inputs a few steps would throw the weights that it makes far off
        self.makes = nn.Conv2d(width, sum(self._sizes), 1)
        self.detections, self.least_score = detections, least_score
        for head in (self.tells, self.makes):
            nn.init.normal_(head.weight, std=0.01)
        # a plain small network to begin with: from weights near zero in three layers nothing would be learned
        plain = (nn.Linear(_FEATURES + 3, _HIDDEN), nn.Linear(_HIDDEN, _HIDDEN), nn.Linear(_HIDDEN, 1))
        biases = {self.makes: torch.cat([p.detach().flatten() for layer in plain for p in layer.parameters()])}
        biases[self.tells] = torch.full((classes,), -4.0)  # few places tell a thing
        for head, bias in biases.items():
            head.bias = nn.Parameter(bias)

    def forward(
        self, images: Tensor | Sequence[Tensor], targets: Sequence[Mapping[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Find things, or learn from them.

        Args:
            images: Normalised `[C, H, W]` of one size each, or `[B, C, H, W]`.
            targets: `masks` `[n, H, W]` and `labels` `[n]` (from 1) of each, for losses.

        Returns:
            Losses by name; or, for each image, `boxes` `[n, 4]`, `labels` `[n]`, `scores` `[n]` and `masks`
            `[n, 1, H, W]`, probabilities, the surest first.
        """
        images = images if isinstance(images, Tensor) else torch.stack(list(images))
        height, width = images.shape[-2:]
        padded = functional.pad(images, (0, -width % STRIDE, 0, -height % STRIDE))
        features = self.unet.encoder(padded)
        shared = self.unet.segmentation_head(self.unet.decoder(features))
        coarse = self.pyramid({str(i): f for i, f in enumerate(features[-3:])})["0"]
        grid = self.tower(coarse)
        tells, makes = self.tells(grid), self.makes(grid)
        if targets is not None:
            return self._losses(shared[..., :height, :width], tells, makes, targets)
        return [
            self._found(one[:, :height, :width], *both)
            for one, *both in zip(shared, tells.sigmoid(), makes, strict=True)
        ]

    def _losses(
        self, shared: Tensor, tells: Tensor, makes: Tensor, targets: Sequence[Mapping[str, Tensor]]
    ) -> dict[str, Tensor]:
        wanted = torch.zeros_like(tells)
        thing = torch.zeros_like(shared[:, -1])
        lost, things = shared.sum() * 0, 0
        for i, (target, one, filters) in enumerate(zip(targets, shared, makes, strict=True)):
            masks = target["masks"].bool()
            if not len(masks):
                continue
            thing[i] = masks.any(0).float()
            owner = owners(masks, (tells.shape[-2], tells.shape[-1]))
            for kind in target["labels"].unique().tolist():
                own = torch.nonzero(target["labels"] == kind)
                wanted[i, kind - 1] = torch.isin(owner, own).float()
            cells, whose = learners(owner, len(masks))
            wrong = dice(self._draw(one, filters, cells).sigmoid(), masks[whose].float())
            share = torch.bincount(whose, minlength=len(masks))
            lost = lost + (wrong / share[whose]).sum()
            things += int((share > 0).sum())
        telling = sigmoid_focal_loss(tells, wanted, alpha=0.5, reduction="sum") / wanted.sum().clamp(min=1)
        presence = functional.binary_cross_entropy_with_logits(shared[:, -1], thing)
        presence = presence + dice(shared[:, -1].sigmoid(), thing)[thing.flatten(1).any(1)].sum() / len(thing)
        drawing = lost / max(things, 1)
        return {"telling": telling, "drawing": 2 * drawing, "presence": presence}

    def _draw(self, shared: Tensor, makes: Tensor, cells: Tensor) -> Tensor:
        """Logits `[n, H, W]` of the masks that cells `[n, 2]` (row, col) draw from features `[C, H, W]`.

        A cell's network says what of all things is its own: its answer is added to the logit of there being a thing.
        """
        height, width = shared.shape[-2:]
        small = functional.avg_pool2d(shared, 2, ceil_mode=True)  # half of the resolution is enough to draw
        rows, cols = (2 * torch.arange(n, device=shared.device, dtype=shared.dtype) + 1 for n in small.shape[-2:])
        at = (cells.to(shared.dtype) + 0.5) * STEP
        count = len(cells)
        down = (rows[None, :, None] - at[:, 0, None, None]) / _UNIT
        across = (cols[None, None, :] - at[:, 1, None, None]) / _UNIT
        size = (count, 1, *small.shape[-2:])
        x = torch.cat([small.expand(count, -1, -1, -1), down[:, None].expand(size), across[:, None].expand(size)], 1)
        x = x.flatten(2)  # [n, features, pixels]
        parts = makes[:, cells[:, 0], cells[:, 1]].T.split(self._sizes, 1)
        for weight, bias, rectified in ((0, 1, True), (2, 3, True), (4, 5, False)):
            out = parts[bias].shape[1]
            x = torch.baddbmm(parts[bias][:, :, None], parts[weight].reshape(count, out, -1), x)
            x = x.relu() if rectified else x
        logits = x.reshape(size) + small[-1]
        return functional.interpolate(logits, scale_factor=2.0, mode="bilinear")[:, 0, :height, :width]

    def _found(self, shared: Tensor, tells: Tensor, makes: Tensor) -> dict[str, Tensor]:
        """Things of one image; all cells of the middle of one tell it, and suppression by masks is for the caller."""
        scores, places = tells.flatten().topk(min(self.detections, tells.numel()))
        places = places[scores >= self.least_score]
        kind, rest = places // tells[0].numel(), places % tells[0].numel()
        cells = torch.stack([rest // tells.shape[-1], rest % tells.shape[-1]], 1)
        drawn = [self._draw(shared, makes, cell[None]).sigmoid() for cell in cells]  # one by one, to spare memory
        masks = torch.cat([shared.new_zeros(0, *shared.shape[-2:]), *drawn])
        inside = masks > 0.5
        # a mask that is unsure of its own pixels is a worse find (SOLO's maskness)
        sure = (masks * inside).sum((1, 2)) / inside.sum((1, 2)).clamp(min=1)
        scores = scores[: len(cells)] * sure
        order = scores.argsort(descending=True)
        order = order[inside.any(2).any(1)[order]]
        boxes = masks_to_boxes(inside[order]) if len(order) else shared.new_zeros(0, 4)
        return {
            "boxes": boxes, "labels": kind[order] + 1, "scores": scores[order], "masks": masks[order][:, None],
        }  # fmt: skip


def owners(masks: Tensor, cells: tuple[int, int]) -> Tensor:
    """The thing that each cell tells.

    A thing is told by the cells that hold a pixel of it and lie near its middle: its pixel nearest to the mean of all.
    Where several things claim a cell, the one whose middle is nearest has it.

    Args:
        masks: Bool `[n, H, W]`, each with a pixel.
        cells: Rows and columns of the grid.

    Returns:
        Place of the thing, int64 `cells`; -1 for none.
    """
    height, width = masks.shape[-2:]
    rows = (torch.arange(cells[0], device=masks.device) + 0.5) * STEP
    cols = (torch.arange(cells[1], device=masks.device) + 0.5) * STEP
    nearest = masks.new_full(cells, float("inf"), dtype=torch.float32)
    owner = masks.new_full(cells, -1, dtype=torch.int64)
    room = functional.pad(masks.float(), (0, cells[1] * STEP - width, 0, cells[0] * STEP - height))
    covered = functional.max_pool2d(room[:, None], STEP)[:, 0] > 0
    for place, mask in enumerate(masks):
        pixels = torch.nonzero(mask).float() + 0.5
        middle = pixels[(pixels - pixels.mean(0)).square().sum(1).argmin()]
        distance = torch.hypot(rows[:, None] - middle[0], cols[None, :] - middle[1])
        spread = pixels.amax(0) - pixels.amin(0)
        reach = torch.clamp(_MIDDLE * spread.norm(), min=float(STEP))
        mine = covered[place] & (distance <= reach) & (distance < nearest)
        owner[mine], nearest[mine] = place, distance[mine]
    return owner


def learners(owner: Tensor, things: int) -> tuple[Tensor, Tensor]:
    """Cells `[m, 2]` (row, col) that learn to draw, of each thing some by chance, and the thing `[m]` of each."""
    cells = [torch.nonzero(owner == place) for place in range(things)]
    chosen = [own[torch.randperm(len(own), device=own.device)[:_LEARNERS]] for own in cells]
    counts = torch.tensor([len(own) for own in chosen], device=owner.device)
    return torch.cat(chosen), torch.arange(things, device=owner.device).repeat_interleave(counts)


def dice(p: Tensor, truth: Tensor) -> Tensor:
    """One minus the Dice index of each of the first axis, with squares below as SOLO has it."""
    p, truth = p.flatten(1), truth.flatten(1)
    return 1 - 2 * (p * truth).sum(1) / (p.square().sum(1) + truth.square().sum(1)).clamp(min=1e-6)


def _block(width: int, rate: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=rate, dilation=rate, bias=False), nn.BatchNorm2d(width), nn.ReLU()
    )
