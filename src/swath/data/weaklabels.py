"""Weak labels where nobody has drawn any: clusters of a season's image, named by a person, corrected by land cover.

The design of the Bhutan rice map (arXiv 2406.07482): inside the elevation zone of rice, k-means with seven clusters on
the April to September median; each cluster is given a stratum by eye; a land-cover map overwrites what it knows better;
points are then drawn at random, so many of each stratum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from odc.geo.geobox import GeoBox

from swath.data.classes import IGNORE, Classes
from swath.data.scenes import Labels
from swath.data.sources import Source
from swath.errors import ConfigError, DataError
from swath.geo.grids import same_grid, shape_of, window_grid
from swath.geo.warp import warp
from swath.geo.windows import Window, whole

#: Pixels from which clusters are learned, at most.
_PIXELS = 50_000
_SQUARE = 512


@dataclass(frozen=True)
class Zone:
    """Where the ground lies between two elevations.

    Attributes:
        elevation: One band in metres, in any CRS.
        low: Metres; lower ground is outside.
        high: Metres; higher ground is outside.
    """

    elevation: Source
    low: float = 1000.0
    high: float = 2600.0

    def read(self, grid: GeoBox) -> np.ndarray:
        """Bool `[height, width]` on any grid: known and inside."""
        stored, valid = warp(self.elevation, grid, "nearest")
        metres = self.elevation.bands.decode(stored)[0]
        return valid & (metres >= self.low) & (metres <= self.high)


@dataclass(frozen=True)
class Clusters:
    """Clusters of pixel values.

    Attributes:
        centres: Physical values `[k, bands]`; look at them to name the clusters.
        spread: Standard deviation of each band, by which distances are measured.
    """

    centres: np.ndarray
    spread: np.ndarray

    def assign(self, values: np.ndarray) -> np.ndarray:
        """Number of the nearest cluster `[height, width]` of physical values `[bands, height, width]`."""
        pixels = (values.reshape(len(values), -1).T / self.spread).astype(np.float32)
        centres = (self.centres / self.spread).astype(np.float32)
        distance = (centres**2).sum(1) - 2 * pixels @ centres.T
        return distance.argmin(1).reshape(values.shape[1:])


def find_clusters(image: Source, zone: Zone | None = None, k: int = 7, seed: int = 0) -> Clusters:
    """k-means of the valid pixels inside the zone, on bands of equal variance; learned from a random choice of them.

    Args:
        image: The season's composite.
        zone: Where to look; None takes all pixels.
        k: Number of clusters.
        seed: Of the choice and of the first centres.

    Raises:
        DataError: If fewer than `k` pixels, or pixels of fewer than `k` values, are there.
    """
    from sklearn.cluster import KMeans

    rng = np.random.default_rng(seed)
    kept, keys = np.empty((0, len(image.bands))), np.empty(0)
    for window in _windows(image.grid):
        values, usable = _usable(image, zone, window)
        pixels = values[:, usable].T
        # The pixels with the smallest random keys are a uniform choice of all, whatever the order of reading.
        kept, keys = np.concatenate([kept, pixels]), np.concatenate([keys, rng.random(len(pixels))])
        if len(keys) > _PIXELS:
            chosen = np.argpartition(keys, _PIXELS)[:_PIXELS]
            kept, keys = kept[chosen], keys[chosen]
    different = len(np.unique(kept, axis=0))
    if k < 1 or different < k:
        raise DataError(
            f"{image.name} cannot be clustered",
            got=f"{different} different pixels in the zone",
            expected=f"{k} or more",
        )
    spread = kept.std(axis=0)
    spread[spread == 0] = 1
    found = KMeans(k, n_init=4, random_state=seed).fit(kept / spread)
    return Clusters(found.cluster_centers_ * spread, spread)


class ClusterLabels:
    """Weak labels on the image's own grid; `swath.data.scenes.Labels`.

    Args:
        image: What was clustered.
        clusters: Its clusters.
        strata: Class code of each cluster, as a person named them; clusters without one have no label.
        classes: Legend.
        zone: Where labels are given; None gives them everywhere.
        land_cover: One band of land-cover codes in any CRS, which overwrites the clusters.
        overwrite: Class code of each land-cover code that overwrites.

    Raises:
        ConfigError: If a stratum is no class, a cluster does not exist, or land cover and its codes do not come
            together.
    """

    def __init__(
        self,
        image: Source,
        clusters: Clusters,
        strata: Mapping[int, int],
        classes: Classes,
        zone: Zone | None = None,
        land_cover: Source | None = None,
        overwrite: Mapping[int, int] | None = None,
    ) -> None:
        overwrite = overwrite or {}
        if strange := sorted({*strata.values(), *overwrite.values()} - set(classes.codes)):
            raise ConfigError("A stratum is no class", got=strange, expected=list(classes.codes))
        if strange := sorted(set(strata) - set(range(len(clusters.centres)))):
            raise ConfigError("There is no such cluster", got=strange, expected=f"0 to {len(clusters.centres) - 1}")
        if (land_cover is None) != (not overwrite):
            raise ConfigError("Land cover and the codes that overwrite belong together", got=overwrite)
        self.name = f"weak labels of {image.name}"
        self._image, self._clusters, self._zone, self._land_cover = image, clusters, zone, land_cover
        index = {code: place for place, code in enumerate(classes.codes)}
        self._of_cluster = np.full(len(clusters.centres), IGNORE, np.int16)
        for cluster, code in strata.items():
            self._of_cluster[cluster] = index[code]
        self._overwrite = {code: index[stratum] for code, stratum in overwrite.items()}

    def read(self, grid: GeoBox) -> np.ndarray:
        """See `Labels.read`.

        Raises:
            DataError: If `grid` is no window of the image's grid.
        """
        values, usable = _usable(self._image, self._zone, _window_of(grid, self._image))
        labels = self._of_cluster[self._clusters.assign(values)]
        if self._land_cover is not None:
            codes, known = warp(self._land_cover, grid, "nearest")
            for code, place in self._overwrite.items():
                labels[known & (codes[0] == code)] = place
        labels[~usable] = IGNORE
        return labels


@dataclass(frozen=True)
class Points:
    """Labelled pixels of one grid.

    Attributes:
        rows: Rows `[n]`.
        cols: Columns `[n]`.
        classes: Class indices `[n]`.
    """

    rows: np.ndarray
    cols: np.ndarray
    classes: np.ndarray

    def read_values(self, image: Source) -> np.ndarray:
        """Physical values `[n, bands]` of an image on the same grid; NaN where it is invalid."""
        found = np.full((len(self.rows), len(image.bands)), np.nan, np.float32)
        for window in _windows(image.grid):
            rows, cols = self.rows - window.row, self.cols - window.col
            inside = (rows >= 0) & (rows < window.height) & (cols >= 0) & (cols < window.width)
            if inside.any():
                stored, valid = image.read(window)
                values = np.where(valid, image.bands.decode(stored), np.nan)
                found[inside] = values[:, rows[inside], cols[inside]].T
        return found


def stratified_points(labels: Labels, grid: GeoBox, counts: Mapping[int, int], seed: int = 0) -> Points:
    """Pixels drawn at random without replacement, so many of each class; memory holds one square and the points.

    Args:
        labels: Where the classes are.
        grid: The grid to draw on.
        counts: Pixels to draw of each class index.
        seed: Of the draw.

    Raises:
        DataError: If a class has fewer pixels than are asked for.
    """
    rng = np.random.default_rng(seed)
    drawn = {index: np.empty((3, 0)) for index in counts}
    seen = dict.fromkeys(counts, 0)
    for window in _windows(grid):
        found = labels.read(window_grid(grid, window))
        for index, wanted in counts.items():
            rows, cols = np.nonzero(found == index)
            seen[index] += len(rows)
            new = np.stack([rng.random(len(rows)), rows + window.row, cols + window.col])
            both = np.concatenate([drawn[index], new], axis=1)
            drawn[index] = both[:, np.argsort(both[0])[:wanted]]
    if short := {index: seen[index] for index, wanted in counts.items() if seen[index] < wanted}:
        raise DataError(
            f"{labels.name} has too few pixels of a class",
            got=", ".join(f"{count} of class {index}" for index, count in short.items()),
            expected=", ".join(f"{counts[index]} of class {index}" for index in short),
            fix="Ask for fewer points",
        )
    rows, cols = np.concatenate([keyed[1:] for keyed in drawn.values()], axis=1).astype(np.int64)
    return Points(rows, cols, np.repeat(list(counts), [keyed.shape[1] for keyed in drawn.values()]))


def _usable(image: Source, zone: Zone | None, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Physical values of a window, and where they are valid and inside the zone."""
    stored, valid = image.read(window)
    if zone is not None:
        valid = valid & zone.read(window_grid(image.grid, window))
    return np.where(valid, image.bands.decode(stored), 0), valid


def _windows(grid: GeoBox) -> Iterator[Window]:
    shape = shape_of(grid)
    for row in range(0, shape[0], _SQUARE):
        for col in range(0, shape[1], _SQUARE):
            yield Window(row, col, _SQUARE, _SQUARE).intersect(whole(shape))


def _window_of(grid: GeoBox, image: Source) -> Window:
    """The window of the image's grid that `grid` is."""
    offset = ~image.grid.affine @ grid.affine
    window = Window(round(offset.f), round(offset.c), *shape_of(grid))
    if not same_grid(window_grid(image.grid, window), grid):
        raise DataError(f"Weak labels of {image.name} are known on its own pixels only", got=tuple(grid.affine[:6]))
    return window
