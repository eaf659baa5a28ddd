"""Naive ways to find things: a threshold on one band, then connected pixels, or a watershed of the distance inside.

Both learn band, direction, threshold, smallest size and class from the training part, and nothing from the test part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from swath.data.instances import Instances
from swath.errors import MissingExtraError
from swath.geo.masks import crop
from swath.geo.windows import Window

#: Thresholds that are tried on each band, evenly but for this share of the darkest and brightest pixels.
_TRIED, _TAIL = 64, 0.005
#: Things smaller than half of this quantile of those of the training part are left out.
_SMALL = 0.05
#: What a baseline tells of a picture: things and their scores.
Guess = tuple[Instances, np.ndarray]
#: Physical values `[bands, H, W]`, validity `[H, W]` and things of a training patch.
Lesson = tuple[np.ndarray, np.ndarray, Instances]


@dataclass(frozen=True)
class Threshold:
    """Pixels of one band beyond a threshold.

    Attributes:
        feature: Place of the band; one behind the last is excess green.
        sign: 1 where things are bright, -1 where they are dark.
        at: The threshold, of `sign * value`.
        spread: Standard deviation of the band.
        area: Least pixels of a thing.
        radius: Median radius of things in pixels.
        index: Class of all things: the most frequent one.
        green: Places of red, green and blue, where there are such bands.
    """

    feature: int
    sign: int
    at: float
    spread: float
    area: int
    radius: float
    index: int
    green: tuple[int, int, int] | None

    def margin(self, values: np.ndarray) -> np.ndarray:
        """How far each pixel of `values` `[bands, H, W]` is beyond the threshold, in deviations of the band."""
        return (self.sign * _features(values, self.green)[self.feature] - self.at) / self.spread


def learn_threshold(lessons: Iterable[Lesson], green: tuple[int, int, int] | None = None) -> Threshold:
    """The band, direction and threshold with the best F1 of pixels in things.

    Args:
        lessons: Patches of the training part.
        green: Places of red, green and blue: excess green, 2 G - R - B, is tried too.
    """
    columns, inside, areas, kinds = [], [], [], []
    for values, valid, things in lessons:
        covered = np.zeros(valid.shape, bool)
        for window, part in zip(things.windows, things.crops, strict=True):
            covered[window.slices] |= part
        columns.append(_features(values, green)[:, valid])
        inside.append(covered[valid])
        areas.append(things.areas)
        kinds.append(things.classes)
    features, positive = np.concatenate(columns, 1), np.concatenate(inside)
    sizes, classes = np.concatenate(areas), np.concatenate(kinds)
    best = (-1.0, 0, 1, 0.0)
    for place, values in enumerate(features):
        for sign in (1, -1):
            low, high = np.quantile(sign * values, (_TAIL, 1 - _TAIL)).tolist()
            for at in np.linspace(low, high, _TRIED).tolist():
                said = sign * values > at
                both = int((said & positive).sum())
                f1 = 2 * both / max(int(said.sum()) + int(positive.sum()), 1)
                best = max(best, (f1, -place, sign, at))
    place = -best[1]
    return Threshold(
        place, best[2], best[3], float(features[place].std()) or 1.0,
        int(np.quantile(sizes, _SMALL) / 2) if len(sizes) else 1,
        float(np.sqrt(np.median(sizes) / np.pi)) if len(sizes) else 1.0,
        int(np.bincount(classes).argmax()) if len(classes) else 0, green,
    )  # fmt: skip


def components(threshold: Threshold, values: np.ndarray, valid: np.ndarray) -> Guess:
    """Connected pixels beyond the threshold; the surer, the farther beyond it they are on average."""
    margin = threshold.margin(values)
    numbers, _ = ndimage.label((margin > 0) & valid)
    return _things(numbers, margin, threshold)


def watershed(threshold: Threshold, values: np.ndarray, valid: np.ndarray) -> Guess:
    """The same pixels, parted by a watershed of their distance to the outside, from peaks a radius apart.

    Raises:
        MissingExtraError: If scikit-image is not installed.
    """
    try:
        from skimage.feature import peak_local_max
        from skimage.segmentation import watershed as flood
    except ImportError as error:
        raise MissingExtraError("scikit-image", "instances") from error
    margin = threshold.margin(values)
    mask = (margin > 0) & valid
    depth = ndimage.distance_transform_edt(mask)
    smooth = ndimage.gaussian_filter(depth, 1.0)
    peaks = peak_local_max(smooth, min_distance=max(1, round(threshold.radius)), labels=ndimage.label(mask)[0])
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return _things(flood(-smooth, markers, mask=mask), margin, threshold)


#: Baselines by name.
BASELINES: dict[str, Callable[[Threshold, np.ndarray, np.ndarray], Guess]] = {
    "connected components": components,
    "watershed": watershed,
}


def _features(values: np.ndarray, green: tuple[int, int, int] | None) -> np.ndarray:
    if green is None:
        return values
    red, middle, blue = (values[place] for place in green)
    return np.concatenate([values, (2 * middle - red - blue)[None]])


def _things(numbers: np.ndarray, margin: np.ndarray, threshold: Threshold) -> Guess:
    windows: list[Window] = []
    crops: list[np.ndarray] = []
    scores: list[float] = []
    for number, place in enumerate(ndimage.find_objects(numbers), 1):
        if place is None:
            continue
        mask = numbers[place] == number
        if mask.sum() < threshold.area:
            continue
        tight, part = crop(mask)
        windows.append(tight.shift(place[0].start, place[1].start))
        crops.append(part)
        scores.append(float(margin[place][mask].mean()))
    count = len(windows)
    things = Instances(
        numbers.shape, np.full(count, threshold.index, np.int64), np.zeros(count, bool), np.arange(count),
        tuple(windows), tuple(crops),
    )  # fmt: skip
    return things, np.array(scores)
