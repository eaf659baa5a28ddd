"""Series as arrays of a batch: padded to one length, so that scenes with other dates stand beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from swath.data.buffers import take
from swath.geo.grids import window_grid

if TYPE_CHECKING:
    from swath.data.samplers import Place
    from swath.data.scenes import Collection

#: By name of the series: `values` `[B, T, C, h, w]`, `valid` `[B, T, h, w]`, `dates` `[B, T]`.
SeriesArrays = dict[str, dict[str, np.ndarray]]


class SeriesReader:
    """Reads the series of patches of a collection into arrays; see `swath.data.loader.Batches`.

    Args:
        collection: The scenes.
        patch: Edge of the patches in pixels.

    Raises:
        DataError: If scenes have different series.
    """

    def __init__(self, collection: Collection, patch: int) -> None:
        self._collection, self._patch = collection, patch
        self._inputs = collection.series
        self._lengths = {name: max(len(scene.series[name]) for scene in collection) for name in self._inputs}

    def __bool__(self) -> bool:
        return bool(self._inputs)

    def empty(self, size: int) -> SeriesArrays:
        """Arrays of a batch of `size` patches, not yet filled."""
        arrays: SeriesArrays = {}
        for name, wanted in self._inputs.items():
            length, edge = self._lengths[name], self._patch if wanted.view is None else wanted.view.size
            arrays[name] = {
                "values": take((size, length, len(wanted.bands), edge, edge), np.float32),
                "valid": take((size, length, edge, edge), bool),
                "dates": np.empty((size, length), np.int64),
            }
        return arrays

    def fill(self, arrays: SeriesArrays, index: int, place: Place, on_error: Literal["raise", "skip"]) -> None:
        """Read the patch of `place` into position `index`; raises as `Series.read` does."""
        scene = self._collection[place.scene]
        for name, into in arrays.items():
            series = scene.series[name]
            values, valid = series.read(window_grid(scene.grid, place.window), on_error)
            for key, found in (("values", values), ("valid", valid), ("dates", series.dates)):
                into[key][index, : len(found)] = found
                into[key][index, len(found) :] = 0

    def blank(self, arrays: SeriesArrays, index: int) -> None:
        """Make position `index` a patch in which nothing is valid."""
        for into in arrays.values():
            for values in into.values():
                values[index] = 0

    def seen(self, arrays: SeriesArrays, index: int) -> np.ndarray:
        """Bool `[patch, patch]`: pixels that any date shows, of series read on the patch; all, where none is."""
        own = [arrays[name]["valid"][index].any(0) for name, wanted in self._inputs.items() if wanted.view is None]
        return np.logical_or.reduce(own) if own else np.ones((self._patch, self._patch), bool)
