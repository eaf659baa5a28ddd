"""Dealing out: things that must not be torn apart, shared among the parts of a split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from swath.data.scenes import PARTS
from swath.errors import ConfigError, DataError


def check_fractions(fractions: Sequence[float]) -> np.ndarray:
    """Fractions of train, val and test as an array.

    Raises:
        ConfigError: If they are not three numbers that sum to 1.
        DataError: If one is zero or less.
    """
    shares = np.array(fractions, float)
    if shares.shape != (len(PARTS),) or not np.isclose(shares.sum(), 1):
        raise ConfigError(
            "The fractions of a split do not sum to 1", got=list(fractions), expected="one each for train, val, test"
        )
    if (shares <= 0).any():
        raise DataError("An empty split: a part has no share", got=list(fractions), expected="positive fractions")
    return shares


def drawn(count: int, share: float, seed: int) -> set[int]:
    """Numbers of some of `count` things, about a `share` of them and at least one, drawn by `seed`."""
    return set(np.random.default_rng(seed).permutation(count)[: max(1, round(share * count))].tolist())


def deal(amounts: np.ndarray, fractions: Sequence[float], seed: int, what: str) -> np.ndarray:
    """Deal out things so that each part gets its share of every kind of amount, as well as whole things allow.

    Kinds that fewest things hold are dealt first (iterative stratification, Sechidis, Tsoumakas and Vlahavas 2011),
    the largest things first, each to the part that lacks most of its share.

    Args:
        amounts: `[things, kinds]`, for example pixels of each class in each block; all kinds, also sizes, count alike.
        fractions: Shares of train, val and test.
        seed: Of the order among equals.
        what: The things, for messages: `blocks`, `groups`.

    Returns:
        The part of each thing, as its place in `PARTS`.

    Raises:
        ConfigError: If the fractions do not sum to 1.
        DataError: If there are fewer things than parts.
    """
    shares = check_fractions(fractions)
    if len(amounts) < len(PARTS):
        raise DataError(
            f"An empty split: there are fewer {what} than parts",
            got=f"{len(amounts)} {what}",
            expected=f"at least {len(PARTS)}",
            fix="Take smaller blocks, or split otherwise",
        )
    order = np.random.default_rng(seed).permutation(len(amounts))
    wanted = shares[:, None] * amounts.sum(0)[None, :]
    dealt, parts = np.zeros_like(wanted), np.full(len(amounts), -1)
    while (left := order[parts[order] < 0]).size:
        holders = (amounts[left] > 0).sum(0)
        if not holders.any():
            parts[left] = 0
            break
        kind = int(np.where(holders > 0, holders, len(amounts) + 1).argmin())
        mine = left[amounts[left, kind] > 0]
        undealt = len(left)
        for thing in mine[np.argsort(-amounts[mine, kind], kind="stable")]:
            lacking = 1 - dealt[:, kind] / wanted[:, kind]
            bare = ~np.isin(np.arange(len(PARTS)), parts)
            if bare.sum() >= undealt:
                lacking = np.where(bare, lacking, -np.inf)
            # of parts that lack as much, the one with the largest share
            part = int(np.lexsort((-shares, -np.round(lacking, 12)))[0])
            parts[thing] = part
            dealt[part] += amounts[thing]
            undealt -= 1
    return parts
