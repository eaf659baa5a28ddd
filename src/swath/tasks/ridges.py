"""Bright lines by filters: baselines for tracks, roads and other thin things, with one threshold that is learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from swath.data.classes import IGNORE

#: Half widths in pixels of the lines that are looked for.
_SIGMAS = (1.5, 2.5, 4.0)
#: Edge in pixels of the square that is wider than any line.
_WIDEST = 19
#: Thresholds that are tried: quantiles of the response.
_TRIED = np.concatenate([np.linspace(0.5, 0.95, 19), np.linspace(0.955, 0.999, 23)])


def frangi(band: np.ndarray) -> np.ndarray:
    """Vesselness of bright lines `[H, W]` (Frangi et al. 1998), by scikit-image."""
    from skimage.filters import frangi as of_skimage

    found: np.ndarray = of_skimage(band.astype(float), sigmas=_SIGMAS, black_ridges=False, mode="nearest")
    return found


def top_hat(band: np.ndarray) -> np.ndarray:
    """What a band `[H, W]`, smoothed a little, rises above its opening by a square wider than a line."""
    smooth = ndimage.gaussian_filter(band.astype(float), 1.0, mode="nearest")
    found: np.ndarray = ndimage.white_tophat(smooth, size=_WIDEST, mode="nearest")
    return found


#: Filters by name: of a band `[H, W]`, how much of a bright line each pixel is.
FILTERS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {"frangi": frangi, "top-hat": top_hat}


@dataclass(frozen=True)
class Ridge:
    """A filter with the band and the threshold that were best on training patches.

    Attributes:
        filter: Name in `FILTERS`.
        band: Place of the band.
        threshold: Response from which a pixel is of the class.
        index: The class.
        iou: What it reached on the training patches.
    """

    filter: str
    band: int
    threshold: float
    index: int
    iou: float

    def __call__(self, features: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """See `swath.tasks.segment.Rival`."""
        found = FILTERS[self.filter](features[..., self.band]) >= self.threshold
        return np.where(found & asked, self.index, 0)


def fit_ridge(name: str, patches: Sequence[tuple[np.ndarray, np.ndarray]], index: int) -> Ridge:
    """The band and threshold of a filter with the best IoU of a class on training patches.

    Args:
        name: The filter.
        patches: Physical values `[H, W, bands]` and class indices `[H, W]` of each.
        index: The class; class 0 is what the filter says elsewhere.
    """
    found = []
    for band in range(patches[0][0].shape[-1]):
        responses, labels = [], []
        for features, mask in patches:
            known = mask != IGNORE
            responses.append(FILTERS[name](features[..., band])[known])
            labels.append(mask[known] == index)
        response, true = np.concatenate(responses), np.concatenate(labels)
        for threshold in np.unique(np.quantile(response, _TRIED)):
            said = response >= threshold
            union = (said | true).sum()
            found.append(Ridge(name, band, float(threshold), index, float((said & true).sum() / max(union, 1))))
    return max(found, key=lambda ridge: ridge.iou)
