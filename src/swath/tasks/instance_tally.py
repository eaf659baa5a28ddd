"""What a search for things got right, scene by scene, and the scores of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from swath.data.classes import Classes
from swath.data.instances import Instances
from swath.metrics.bootstrap import percentile_interval
from swath.metrics.counting import count_scores
from swath.metrics.instances import THRESHOLDS, Matches, average_precisions, mask_iou, match
from swath.tasks.scores import Score

#: Below it a thing is not counted; average precision takes all.
COUNTED = 0.5


@dataclass
class InstanceTally:
    """Matches and counts of each scene.

    Attributes:
        classes: Legend.
        most: Only so many of the surest things of a class in a scene count; None for all.
        counted: Least score of a thing that is counted.
    """

    classes: Classes
    most: int | None = None
    counted: float = COUNTED
    _matches: list[list[Matches]] = field(default_factory=list)
    _counts: list[tuple[int, int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def things(self) -> int:
        """Things that there were to find, crowds left out."""
        return sum(true for _, true in self._counts)

    @property
    def counts(self) -> list[tuple[int, int]]:
        """Things found and things there, of each scene."""
        return list(self._counts)

    def update(self, found: Instances, scores: np.ndarray, true: Instances) -> None:
        """Judge one scene: what was `found`, with its `scores` `[n]`, and what is `true`, on the same grid."""
        pixels, wanted = found.pixels(), true.pixels()
        matches = []
        for index in range(len(self.classes)):
            mine, theirs = np.flatnonzero(found.classes == index), np.flatnonzero(true.classes == index)
            crowd = true.crowd[theirs]
            iou = mask_iou(pixels[mine], wanted[theirs], crowd)
            matches.append(match(iou, scores[mine], crowd, most=self.most))
        self._matches.append(matches)
        self._counts.append((int((scores >= self.counted).sum()), int((~true.crowd).sum())))

    def by_class(self) -> dict[str, float]:
        """AP at an overlap of one half, of each class; NaN where there is none."""
        return dict(zip(self.classes.names, self._precisions(None)[:, 0].tolist(), strict=True))

    def scores(self, level: float, resamples: int, seed: int) -> dict[str, Score]:
        """AP at 0.5, AP from 0.5 to 0.95 (means over classes), scores of counts; intervals by bootstrap over scenes."""
        found = self.values()
        units = np.eye(len(self))
        intervals = percentile_interval(units, self.values, level=level, resamples=resamples, seed=seed)
        return {name: Score(value, *intervals[name]) for name, value in found.items()}

    def values(self, weights: np.ndarray | None = None) -> dict[str, float]:
        """The scores without intervals; `weights` `[scenes]` tell how often each scene counts, by default once."""
        weights = np.ones(len(self)) if weights is None else weights
        precisions = self._precisions(weights)
        known = ~np.isnan(precisions).all(1)
        ap = precisions[known].mean(0) if known.any() else np.full(len(THRESHOLDS), np.nan)
        found, true = np.array(self._counts).T
        return {"ap50": float(ap[0]), "ap": float(ap.mean()), **count_scores(found, true, weights)}

    def _precisions(self, weights: np.ndarray | None) -> np.ndarray:
        """`[classes, thresholds]`."""
        columns = ([scene[index] for scene in self._matches] for index in range(len(self.classes)))
        return np.stack([average_precisions(column, weights) for column in columns])
