"""Statistics of bands: physical values over valid pixels of one part, from a seeded sample where that is large."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from swath.data.samplers import Place, Places, block_places, grid_places, random_places
from swath.data.scenes import Collection
from swath.data.sources import Source
from swath.data.warped import on_grid
from swath.errors import DataError
from swath.geo.grids import window_grid
from swath.geo.windows import whole
from swath.sensors.bands import Bands

#: Percentiles that are kept.
PERCENTILES = (1, 2, 25, 50, 75, 98, 99)
#: Edge of the windows that are read, in pixels, and pixels that are kept for percentiles.
_EDGE, _KEPT = 128, 500_000


@dataclass(frozen=True)
class Statistics:
    """What the valid pixels of each band are like, in physical units and the order of the bands.

    Attributes:
        names: Names of the bands.
        mean: Mean of each band.
        std: Standard deviation of the population.
        min: Least value.
        max: Greatest value.
        percentiles: By percent, of each band.
        count: Pixels that were counted.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    min: tuple[float, ...]
    max: tuple[float, ...]
    percentiles: dict[int, tuple[float, ...]]
    count: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


class Moments:
    """Mean and variance of numbers that come in pieces (Chan, Golub and LeVeque 1979), in float64.

    Args:
        bands: How many means are kept.
    """

    def __init__(self, bands: int) -> None:
        self.count = 0
        self.mean, self._squares = np.zeros(bands), np.zeros(bands)
        self.low, self.high = np.full(bands, np.inf), np.full(bands, -np.inf)

    def add(self, values: np.ndarray) -> None:
        """Take in `values` `[bands, n]`, all finite."""
        count = values.shape[1]
        if not count:
            return
        exact = values.astype(np.float64)
        mean = exact.mean(1)
        squares = np.square(exact - mean[:, None]).sum(1)
        total = self.count + count
        step = mean - self.mean
        self._squares += squares + step**2 * (self.count * count / total)
        self.mean = self.mean + step * (count / total)
        self.count = total
        self.low, self.high = np.minimum(self.low, exact.min(1)), np.maximum(self.high, exact.max(1))

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of the population."""
        return np.sqrt(self._squares / max(self.count, 1))


def band_statistics(
    collection: Collection,
    part: str | None = "train",
    *,
    layer: str | None = None,
    sample: int = 4_000_000,
    seed: int = 0,
) -> Statistics:
    """Statistics of a layer over the valid pixels of a part.

    Args:
        collection: The scenes.
        part: Part of the split, never `test`; None takes all pixels of an undivided collection.
        layer: Name of the layer; may be left out where there is one.
        sample: Pixels to read. A part that is not larger is read as a whole; of a larger one, windows at random places.
        seed: Of the sample.

    Raises:
        DataError: If the part is `test` or empty, no pixel is valid, a band is constant, or the layer is unknown.
    """
    _refuse_test(part)
    layers = collection.bands
    if layer is None and len(layers) == 1:
        layer = next(iter(layers))
    if layer not in layers:
        raise DataError(f"{collection.name} has no such layer", got=layer, expected=", ".join(layers))
    opened: dict[int, Source] = {}

    def pixels(place: Place) -> np.ndarray:
        if place.scene not in opened:
            opened[place.scene] = _on_grid_of_scene(collection, place.scene, layer)
        return _values(collection, opened[place.scene], place, part)

    places = _places(collection, part, sample, seed)
    return _gathered(map(pixels, places), layers[layer], len(places) * places.patch**2, _where(collection, part, layer))


def series_statistics(
    collection: Collection,
    part: str | None = "train",
    *,
    series: str,
    sample: int = 4_000_000,
    seed: int = 0,
) -> Statistics:
    """Statistics of a time series over its valid pixels at all dates, as patches of a part read it.

    A series with a view shows patches the ground around them too, and that counts, whichever part it lies in.

    Args:
        collection: The scenes.
        part: Part of the split, never `test`; None takes all pixels of an undivided collection.
        series: Name of the series.
        sample: Pixels of all dates to read; of a part that is larger, windows at random places.
        seed: Of the sample.

    Raises:
        DataError: As `band_statistics`.
    """
    _refuse_test(part)
    inputs = collection.series
    if series not in inputs:
        raise DataError(f"{collection.name} has no such series", got=series, expected=", ".join(inputs))
    view = inputs[series].view
    length = max(len(scene.series[series]) for scene in collection)
    if view is None:
        places = _places(collection, part, sample // length, seed)
        each = length * places.patch**2
    else:
        each = length * view.size**2
        drawn = random_places(collection, part, _EDGE, seed=seed)
        places = drawn.take(np.arange(min(len(drawn), max(1, sample // each))))

    def pixels(place: Place) -> np.ndarray:
        scene = collection[place.scene]
        window = place.window if view else place.window.intersect(whole(scene.grid.shape))
        values, valid = scene.series[series].read(window_grid(scene.grid, window))
        if part is not None and view is None:
            valid &= scene.part_mask(window, part)
        return np.moveaxis(values, 1, 0)[:, valid]

    return _gathered(map(pixels, places), inputs[series].bands, len(places) * each, _where(collection, part, series))


def _refuse_test(part: str | None) -> None:
    if part == "test":
        raise DataError("Statistics of the test part would leak into training", got=part, expected="train")


def _where(collection: Collection, part: str | None, name: str) -> tuple[str, str]:
    """What an error says of where the pixels are from."""
    several = len(collection.bands) + len(collection.series) > 1
    return collection.name, f"its '{part}' part" + (f", layer {name}" if several else "")


def _gathered(pieces: Iterable[np.ndarray], bands: Bands, pixels: int, where: tuple[str, str]) -> Statistics:
    """Statistics of physical values `[bands, n]` that come in pieces, `pixels` in all at most."""
    moments, kept = Moments(len(bands)), [np.empty((len(bands), 0), np.float32)]
    keep_each = -(-pixels // _KEPT)
    for values in pieces:
        moments.add(values)
        kept.append(values[:, ::keep_each])
    name, part = where
    if not moments.count:
        raise DataError(
            f"{name} has no valid pixel in {part}",
            got="only nodata, NaN or infinite values",
            fix="Check `nodata:` and the files",
        )
    if flat := [band for band, same in zip(bands.names, moments.low == moments.high, strict=True) if same]:
        constant = moments.low[bands.index(flat[0])]
        raise DataError(
            f"{name} has a band that does not vary in {part}",
            got=f"{', '.join(flat)} ({flat[0]} is {constant:g} everywhere)",
            fix="Leave it out with `bands:`, or give its `nodata:`",
        )
    tables = np.percentile(np.concatenate(kept, axis=1), PERCENTILES, axis=1)
    return Statistics(
        bands.names,
        mean=_plain(moments.mean),
        std=_plain(moments.std),
        min=_plain(moments.low),
        max=_plain(moments.high),
        percentiles={percent: _plain(row) for percent, row in zip(PERCENTILES, tables, strict=True)},
        count=moments.count,
    )


def _plain(numbers: np.ndarray) -> tuple[float, ...]:
    return tuple(map(float, numbers))


def _places(collection: Collection, part: str | None, sample: int, seed: int) -> Places:
    ground = collection if part is None else collection.with_part(part)
    pixels = sum(int(scene.grid.shape[0]) * int(scene.grid.shape[1]) for scene in ground)
    if pixels <= sample:
        return grid_places(collection, part, 2 * _EDGE)
    return block_places(collection, part, _EDGE, seed=seed, count=max(1, sample // _EDGE**2))


def _on_grid_of_scene(collection: Collection, number: int, layer: str) -> Source:
    scene = collection[number]
    return on_grid(scene.layers[layer], scene.grid)


def _values(collection: Collection, source: Source, place: Place, part: str | None) -> np.ndarray:
    """Physical values `[bands, n]` of the pixels of a place that are valid and in the part."""
    scene = collection[place.scene]
    window = place.window.intersect(whole(scene.grid.shape))
    stored, valid = source.read(window)
    if part is not None:
        valid = valid & scene.part_mask(window, part)
    return source.bands.decode(stored[:, valid])
