"""Labels of two dates as one: what a place was, and what it became.

A scene of two dates has the layers `before` and `after`, and labels that hold, for K classes, `K * before + after`,
with `IGNORE` where either date has no label. Its legend is that of one date.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from odc.geo.geobox import GeoBox

from swath.data.classes import IGNORE
from swath.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from swath.data.scenes import Labels

#: Arrays or tensors.
_Numbers = TypeVar("_Numbers", "np.ndarray", "Tensor")
#: Classes whose pairs int16 can count.
_MOST = 181


class PairLabels:
    """The labels of two dates.

    Args:
        before: Labels of the first date.
        after: Labels of the second date.
        classes: Number of classes K.

    Raises:
        ConfigError: If there are too many classes.
    """

    def __init__(self, before: Labels, after: Labels, classes: int) -> None:
        if classes > _MOST:
            raise ConfigError("So many classes have too many pairs", got=classes, expected=f"at most {_MOST}")
        self.name = f"{before.name} and {after.name}"
        self._before, self._after, self._classes = before, after, classes

    def read(self, grid: GeoBox) -> np.ndarray:
        """See `swath.data.scenes.Labels.read`; pairs in place of class indices."""
        before, after = self._before.read(grid), self._after.read(grid)
        known = (before != IGNORE) & (after != IGNORE)
        return np.where(known, before * np.int16(self._classes) + after, IGNORE).astype(np.int16)


def pair_of(labels: _Numbers, classes: int) -> tuple[_Numbers, _Numbers]:
    """Class indices before and after of pairs (arrays or tensors of any shape), -1 where there is no label."""
    known = labels != IGNORE
    before, after = labels // classes, labels % classes
    return before * known + IGNORE * ~known, after * known + IGNORE * ~known
