"""The loss of a set of queries: each target is given to one query, which learns its class and its mask.

Mask2Former (Cheng et al. 2022, arXiv 2112.01527, section 3.3): Hungarian matching and mask losses on random points,
with more of the points where the answer is uncertain, after every layer of the decoder. It is the loss of the library
transformers, but that pixels where no label counts neither match nor teach.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.mask2former.modeling_mask2former import (
    pair_wise_dice_loss,
    pair_wise_sigmoid_cross_entropy_loss,
    sample_point,
)

if TYPE_CHECKING:
    from swath.nn.mask2former import Queries

_IGNORE = -1


class Target(NamedTuple):
    """What is true of one image.

    Attributes:
        classes: Class of each mask `[n]`, int64.
        masks: Masks `[n, H, W]`, float32, 0 or 1.
    """

    classes: Tensor
    masks: Tensor


def semantic_targets(mask: Tensor) -> list[Target]:
    """A target for each image of class indices `[B, H, W]`, with one mask for each class in it; -1 is no class."""
    targets = []
    for one in mask:
        classes = one.unique()
        classes = classes[classes != _IGNORE]
        targets.append(Target(classes, (one == classes[:, None, None]).float()))
    return targets


class SetLoss(nn.Module):
    """The loss of queries.

    Args:
        classes: Number of classes, without none.
        points: Points at which masks are compared.
        weights: Of the class, of the cross entropy of masks and of their Dice, in the loss and in the matching.
        none: Weight of the class none.
        oversampling: Points drawn for one that is kept, where uncertain ones are sought.
        uncertain: Share of the points that are uncertain ones.
    """

    class_weights: Tensor

    def __init__(
        self,
        classes: int,
        points: int = 12544,
        weights: tuple[float, float, float] = (2.0, 5.0, 5.0),
        none: float = 0.1,
        oversampling: float = 3.0,
        uncertain: float = 0.75,
    ) -> None:
        super().__init__()
        self.classes, self.points, self.weights = classes, points, weights
        self.oversampling, self.uncertain = oversampling, uncertain
        self.register_buffer("class_weights", torch.tensor([1.0] * classes + [none]), persistent=False)

    def forward(self, queries: Queries, targets: Sequence[Target], counted: Tensor | None = None) -> Tensor:
        """The loss, summed over the layers of the decoder.

        Args:
            queries: Answers, of B images.
            targets: What is true of each image.
            counted: Where labels count `[B, H, W]`, bool; by default everywhere. An image in which nothing counts is
                left out.
        """
        if counted is None:
            height, width = targets[0].masks.shape[-2:]
            counted = torch.ones(len(targets), height, width, dtype=torch.bool, device=queries.masks.device)
        kept = [number for number in range(len(targets)) if bool(counted[number].any())]
        if not kept:
            return 0 * (queries.classes.sum() + queries.masks.sum())
        told, where = [targets[number] for number in kept], counted[kept].float()[:, None]
        layers = zip(*queries, strict=True)
        return torch.stack([self._layer(c[kept], m[kept], told, where) for c, m in layers]).sum()

    def _layer(self, classes: Tensor, masks: Tensor, targets: Sequence[Target], counted: Tensor) -> Tensor:
        """The loss of one layer: `classes` `[B, Q, K + 1]`, `masks` `[B, Q, h, w]`, `counted` `[B, 1, H, W]`."""
        pairs = [self._match(classes[i], masks[i], target, counted[i : i + 1]) for i, target in enumerate(targets)]
        wanted = torch.full(classes.shape[:2], self.classes, device=classes.device)
        for i, (query, target) in enumerate(pairs):
            wanted[i, query] = targets[i].classes[target]
        of_class, of_mask, of_dice = self.weights
        loss = of_class * functional.cross_entropy(classes.flatten(0, 1), wanted.flatten(), self.class_weights)
        answered = torch.cat([masks[i, query] for i, (query, _) in enumerate(pairs)])[:, None]
        true = torch.cat([targets[i].masks[target] for i, (_, target) in enumerate(pairs)])[:, None]
        images = torch.cat([torch.full_like(query, i) for i, (query, _) in enumerate(pairs)])
        entropy, dice = self._compare(answered, true, counted[images])
        number = max(sum(len(target.classes) for target in targets), 1)
        return loss + (of_mask * entropy + of_dice * dice) / number

    @torch.no_grad()
    def _match(self, classes: Tensor, masks: Tensor, target: Target, counted: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers of the queries and targets of one image that belong together."""
        places = torch.rand(1, self.points, 2, device=masks.device)
        places = places[:, _at(counted, places)[0, 0] > 0.5]

        def at(values: Tensor) -> Tensor:
            return sample_point(values[None], places, align_corners=False)[0]

        answered, true = at(masks), at(target.masks)
        of_class, of_mask, of_dice = self.weights
        cost = (
            -of_class * classes.softmax(-1)[:, target.classes]
            + of_mask * pair_wise_sigmoid_cross_entropy_loss(answered, true)
            + of_dice * pair_wise_dice_loss(answered, true)
        )
        query, true_one = linear_sum_assignment(torch.nan_to_num(cost, nan=1e9, posinf=1e9, neginf=1e9).cpu())
        return torch.as_tensor(query, device=masks.device), torch.as_tensor(true_one, device=masks.device)

    def _compare(self, answered: Tensor, true: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
        """Cross entropy and Dice of masks `[n, 1, h, w]` with those that are true `[n, 1, H, W]`, summed over masks."""
        with torch.no_grad():
            places = self._places(answered, counted)
            truth = sample_point(true, places, align_corners=False)[:, 0]
            counts = (_at(counted, places)[:, 0] > 0.5).float()
        logits = sample_point(answered, places, align_corners=False)[:, 0]
        each = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none") * counts
        entropy = each.sum(1) / counts.sum(1).clamp(min=1)
        shares, truth = logits.sigmoid() * counts, truth * counts
        dice = 1 - (2 * (shares * truth).sum(1) + 1) / (shares.sum(1) + truth.sum(1) + 1)
        return entropy.sum(), dice.sum()

    def _places(self, answered: Tensor, counted: Tensor) -> Tensor:
        """Points `[n, points, 2]` (x, y in 0..1): the most uncertain of many, and some that are drawn evenly."""
        sought = int(self.uncertain * self.points)
        drawn = torch.rand(len(answered), int(self.oversampling * self.points), 2, device=answered.device)
        certainty = sample_point(answered, drawn, align_corners=False)[:, 0].abs()
        certainty = certainty.masked_fill(_at(counted, drawn)[:, 0] < 0.5, torch.inf)
        chosen = (-certainty).topk(sought, dim=1).indices[..., None].expand(-1, -1, 2)
        evenly = torch.rand(len(answered), self.points - sought, 2, device=answered.device)
        return torch.cat([drawn.gather(1, chosen), evenly], 1)


def _at(counted: Tensor, places: Tensor) -> Tensor:
    """Whether the pixel at each place counts `[n, 1, points]`."""
    return sample_point(counted, places, mode="nearest", align_corners=False)
