"""Losses of dense classification as pure functions.

Convention: logits are `[B, K, H, W]`, targets `[B, H, W]` int64 with -1 where no label counts. Means and sums run over
the pixels that count; where none does, the loss is zero and has a gradient (of zero).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_IGNORE = -1


def cross_entropy(logits: Tensor, target: Tensor, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Mean cross entropy over the pixels that count, each weighted by its class.

    Args:
        logits: See the module.
        target: See the module.
        weights: Weight of each class, `[K]`; the mean is over weights, as torch's.
        smoothing: Probability given to all classes alike.
    """
    if not bool((target != _IGNORE).any()):
        return 0 * logits.sum()
    return functional.cross_entropy(logits, target, weights, ignore_index=_IGNORE, label_smoothing=smoothing)


def parcel_cross_entropy(logits: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross entropy, each pixel weighted by its class, summed and divided by the number of pixels that count.

    Pixels of a class of weight 0 add nothing to the sum, but count: they lie in parcels whose crop is not learned
    (Sykas et al., JSTARS 2022, "parcel loss").

    Args:
        logits: See the module.
        target: See the module.
        weights: Weight of each class, `[K]`.
    """
    loss = functional.cross_entropy(logits, target, weights, ignore_index=_IGNORE, reduction="sum")
    return loss / (target != _IGNORE).sum().clamp(min=1)


def focal(
    logits: Tensor,
    target: Tensor,
    gamma: float = 2.0,
    weights: Tensor | None = None,
    normalised: bool = False,
) -> Tensor:
    """Mean of `-(1 - p)^gamma log p` of the true class, times its weight (Lin et al. 2017, eq. 4).

    Args:
        logits: See the module.
        target: See the module.
        gamma: Of the factor that weighs pixels down of which the network is sure.
        weights: Weight of each class, `[K]`.
        normalised: Whether the mean is weighted by that factor, instead of over all pixels alike.
    """
    counted = target != _IGNORE
    log_p = logits.log_softmax(1).gather(1, target.clamp(min=0)[:, None])[:, 0]
    factor = (1 - log_p.exp()) ** gamma
    loss = -factor * log_p
    if weights is not None:
        loss = loss * weights[target.clamp(min=0)]
    if normalised:
        return (loss * counted).sum() / (factor * counted).sum().clamp(min=1e-7)
    return (loss * counted).sum() / counted.sum().clamp(min=1)


def tversky(logits: Tensor, target: Tensor, alpha: float, beta: float, gamma: float = 1.0) -> Tensor:
    """One minus the Tversky index of each class, to the power `gamma`, averaged over the classes that occur.

    The index is `TP / (TP + alpha FP + beta FN)` of soft counts over the whole batch (Salehi et al. 2017, eq. 2).
    `alpha = beta = 1/2` is Dice, `alpha = beta = 1` is Jaccard; `gamma = 3/4` is focal Tversky (Abraham and Khan 2019).
    """
    classes = logits.shape[1]
    counted = (target != _IGNORE)[:, None]
    p = logits.softmax(1) * counted
    truth = functional.one_hot(target.clamp(min=0), classes).permute(0, 3, 1, 2) * counted
    over = (0, 2, 3)
    hit, predicted, true = (p * truth).sum(over), p.sum(over), truth.sum(over)
    index = hit / (hit + alpha * (predicted - hit) + beta * (true - hit)).clamp(min=1e-7)
    occurs = true > 0
    # The slope of x^gamma is infinite at 0 for gamma < 1.
    miss = (1 - index).clamp(min=1e-7) ** gamma
    return (miss * occurs).sum() / occurs.sum().clamp(min=1)


def foreground_jaccard(logits: Tensor, target: Tensor, smooth: float = 1e-5) -> Tensor:
    """One minus the soft Jaccard index of each class but the first, of the whole batch, averaged over these classes.

    `smooth` is added to intersection and union, so that a batch without a class asks for no prediction of it, where
    `tversky` leaves the class out (after segmentation_models, whose `bce_jaccard_loss` does so for its one class).
    """
    counted = (target != _IGNORE)[:, None]
    p = (logits.softmax(1) * counted)[:, 1:]
    truth = (functional.one_hot(target.clamp(min=0), logits.shape[1]).permute(0, 3, 1, 2) * counted)[:, 1:]
    over = (0, 2, 3)
    hit = (p * truth).sum(over)
    return (1 - (hit + smooth) / (p.sum(over) + truth.sum(over) - hit + smooth)).mean()


def lovasz(logits: Tensor, target: Tensor) -> Tensor:
    """Lovász-softmax: the convex extension of the Jaccard loss, averaged over the classes that occur.

    Over the pixels of the batch that count (Berman et al. 2018, eqs. 8 and 9).
    """
    counted = target != _IGNORE
    p = logits.softmax(1).movedim(1, -1)[counted]
    truth = target[counted]
    losses = []
    for label in truth.unique():
        own = (truth == label).to(p.dtype)
        errors, order = (own - p[:, label]).abs().sort(descending=True)
        own = own[order]
        true = own.sum()
        jaccard = 1 - (true - own.cumsum(0)) / (true + (1 - own).cumsum(0))
        slope = torch.cat([jaccard[:1], jaccard.diff()])
        losses.append(errors @ slope)
    return torch.stack(losses).mean() if losses else 0 * logits.sum()


def half_cross_entropy_and_dice(logits: Tensor, target: Tensor) -> Tensor:
    """The loss of U-Net++: half the cross entropy, and one minus soft Dice (Zhou et al. 2018, arXiv 1807.10165, eq. 3).

    Each image's Dice is `2 sum(y p) / (sum(y) + sum(p))`, averaged over the classes that occur in it, then over images;
    the cross entropy is the mean over pixels. The paper leaves out the one, so that its least value is -1.
    """
    each = torch.stack([tversky(one[None], truth[None], 0.5, 0.5) for one, truth in zip(logits, target, strict=True)])
    return 0.5 * cross_entropy(logits, target) + each.mean()
