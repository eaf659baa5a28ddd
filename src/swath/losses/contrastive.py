"""Contrastive losses of pairs of vectors.

Convention: vectors are `[B, D]`; row `i` of both sides belongs together. They are brought to unit length here.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def info_nce(
    first: Tensor, second: Tensor, temperature: float = 0.07, groups: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Symmetric InfoNCE: each vector has to find its partner among the batch, from both sides.

    The mean of both cross entropies of `cos / temperature` (van den Oord et al. 2018, arXiv 1807.03748, eq. 4; both
    ways as in Radford et al. 2021, arXiv 2103.00020, figure 3). With `groups`, all members of the own group are
    partners and share the target evenly (Yang et al. 2022, arXiv 2204.03610, eqs. 2 and 3); without, members that
    happen to mean the same count as wrong.

    Args:
        first: One side.
        second: The other side.
        temperature: Divides the cosines.
        groups: Group of each row, `[B]`; None where every row is a group of its own.
        smoothing: Share of each target that is spread over the batch.
    """
    logits = functional.normalize(first, dim=-1) @ functional.normalize(second, dim=-1).T / temperature
    numbers = torch.arange(len(first), device=first.device) if groups is None else groups
    partners = (numbers[:, None] == numbers[None, :]).to(logits.dtype)
    targets = partners / partners.sum(1, keepdim=True)
    ways = (functional.cross_entropy(one, targets, label_smoothing=smoothing) for one in (logits, logits.T))
    return sum(ways, logits.new_zeros(())) / 2
