"""Naive maps of land use at two dates and of the change between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier

from swath.data.classes import IGNORE, Classes
from swath.data.pair_labels import pair_of
from swath.errors import DataError
from swath.nn.siamese_change import AFTER, BEFORE
from swath.tasks.pixels import covered

if TYPE_CHECKING:
    from swath.data.scenes import Collection

#: Pixels that rivals learn from, in all and of one patch.
_PIXELS, _OF_PATCH = 40_000, 1_500

Decision = tuple[np.ndarray, np.ndarray, np.ndarray]


class ChangeRivals:
    """Three rivals that see single pixels, fitted on the training part.

    `majority, no change`: the most frequent land use everywhere. `image difference`: what changed is where the bands
    of both dates differ by more than a threshold, in standard deviations; the threshold has the best F1 on the
    training part; land use is that of the random forest. `random forest, compared`: land use of each date by its bands
    and, where there are series, by mean and spread over the dates of each of their bands at that place; what changed is
    where the land use differs.

    Args:
        data: Scenes of two dates, split.
        classes: Land uses.
        patch: Edge of the patches that are read.
        threads: Threads that read.
        seed: Of samples and forest.
        pixel: Edge of an image's pixel in metres, by which its place in the series is found.

    Raises:
        DataError: If no pixel of the training part is labelled.
    """

    names = ("majority, no change", "image difference", "random forest, compared")

    def __init__(
        self, data: Collection, classes: Classes, patch: int, threads: int, seed: int, pixel: float | None
    ) -> None:
        self._views = {name: wanted.view for name, wanted in data.series.items()}
        self._pixel = pixel or 1.0
        generator = np.random.default_rng(seed)
        features: list[np.ndarray] = []
        uses: list[np.ndarray] = []
        steps: list[np.ndarray] = []
        changed: list[np.ndarray] = []
        for batch, core in covered(data, "train", patch, 4, threads, seed, shuffled=True):
            before, after = pair_of(batch["mask"].numpy(), len(classes))
            for i in range(len(before)):
                rows, cols = np.nonzero(before[i][core] != IGNORE)
                drawn = generator.permutation(len(rows))[:_OF_PATCH]
                at = (i, rows[drawn] + core[0].start, cols[drawn] + core[1].start)
                bands = _bands(batch)
                series = self._series(batch)
                features += [np.concatenate([bands[layer][at], series[at]], -1) for layer in (BEFORE, AFTER)]
                uses += [before[at], after[at]]
                steps.append(bands[AFTER][at] - bands[BEFORE][at])
                changed.append(before[at] != after[at])
            if sum(map(len, changed)) >= _PIXELS:
                break
        if not changed:
            raise DataError(f"The 'train' part of {data.name} has no labelled pixel for the baselines to learn from")
        self._majority = DummyClassifier(strategy="most_frequent").fit(np.concatenate(features), np.concatenate(uses))
        self._forest = RandomForestClassifier(50, min_samples_leaf=4, max_samples=0.5, n_jobs=-1, random_state=seed)
        self._forest.fit(np.concatenate(features), np.concatenate(uses))
        step = np.concatenate(steps)
        self._middle, self._spread = step.mean(0), step.std(0) + 1e-9
        self._threshold = best_threshold(self._size(step), np.concatenate(changed))

    def decide(self, batch: Mapping[str, Any]) -> dict[str, Decision]:
        """Land use before and after `[B, H, W]`, and whether it changed, by each rival."""
        bands, series = _bands(batch), self._series(batch)
        shape = batch["valid"].shape
        known = batch["mask"].numpy() != IGNORE
        forest = {layer: np.zeros(shape, np.int64) for layer in (BEFORE, AFTER)}
        for layer, found in forest.items():
            if known.any():
                found[known] = self._forest.predict(np.concatenate([bands[layer][known], series[known]], -1))
        most = np.full(shape, int(self._majority.predict(np.zeros((1, 1)))[0]))
        apart = self._size(bands[AFTER] - bands[BEFORE]) > self._threshold
        decided = (
            (most, most, np.zeros(shape, bool)),
            (forest[BEFORE], forest[AFTER], apart),
            (forest[BEFORE], forest[AFTER], forest[BEFORE] != forest[AFTER]),
        )
        return dict(zip(self.names, decided, strict=True))

    def _size(self, step: np.ndarray) -> np.ndarray:
        """Length of differences `[..., bands]` in standard deviations."""
        return np.sqrt(np.square((step - self._middle) / self._spread).mean(-1))

    def _series(self, batch: Mapping[str, Any]) -> np.ndarray:
        """Mean and spread over dates of each band of each series, at each pixel: `[B, H, W, n]`."""
        height, width = batch["valid"].shape[-2:]
        found = [np.zeros((len(batch["valid"]), height, width, 0), np.float32)]
        for name, series in batch.get("series", {}).items():
            values, valid = series["values"].numpy(), series["valid"].numpy()[:, :, None]
            count = np.maximum(valid.sum(1), 1)
            mean = (values * valid).sum(1) / count
            spread = np.sqrt((np.square(values - mean[:, None]) * valid).sum(1) / count)
            both = np.moveaxis(np.concatenate([mean, spread], 1), 1, -1)
            view = self._views[name]
            step = 1.0 if view is None else self._pixel / view.resolution
            rows, cols = (
                np.clip(((np.arange(n) + 0.5 - n / 2) * step + size / 2).astype(int), 0, size - 1)
                for n, size in zip((height, width), both.shape[1:3], strict=True)
            )
            found.append(both[:, rows[:, None], cols[None]])
        return np.concatenate(found, -1)


def best_threshold(values: np.ndarray, truth: np.ndarray) -> float:
    """The value above which `values` `[n]` tell `truth` `[n]` with the best F1; infinite where nothing is true."""
    order = np.argsort(-values, kind="stable")
    hits = np.cumsum(truth[order])
    if not len(hits) or not hits[-1]:
        return float("inf")
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
    ranked = values[order]
    last = np.append(ranked[1:] < ranked[:-1], True)  # equal values are told alike
    best = int(np.argmax(np.where(last, f1, -1)))
    return float(np.nextafter(ranked[best], -np.inf)) if best + 1 == len(ranked) else float(ranked[best + 1])


def _bands(batch: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Physical values `[B, H, W, bands]` of each date."""
    return {layer: batch["image"][layer].numpy().transpose(0, 2, 3, 1) for layer in (BEFORE, AFTER)}
