"""TorchGeo's data sets of ready samples as collections, so that splits, samplers and batches apply to them."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol, cast

import numpy as np
from odc.geo.geobox import GeoBox

from swath.data.blocks import default_cache
from swath.data.classes import Classes
from swath.data.labels import RasterLabels
from swath.data.scenes import Collection, Scene
from swath.data.sources import ArraySource, Source
from swath.errors import BandError, DataError
from swath.geo.grids import pixel_grid
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands

_CODES = Bands("label", (Band("code", "1"),))


class Samples(Protocol):
    """What is needed of a `torchgeo.datasets.NonGeoDataset`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> dict[str, Any]:
        """A sample: `image` `[C, H, W]` and perhaps `mask` `[H, W]`, as tensors."""
        ...


def from_torchgeo(dataset: Samples, bands: Bands, classes: Classes | None = None, name: str = "data") -> Collection:
    """A collection with one scene, a picture without CRS, for each sample; samples are read when they are needed.

    Args:
        dataset: The samples, without transforms; a `NonGeoDataset` of TorchGeo or anything with its keys.
        bands: What the channels of `image` are; numbers in samples are its stored numbers.
        classes: Legend of `mask`; None leaves masks unread.
        name: For reports.

    Raises:
        DataError: If there are no samples.
    """
    scenes = []
    for index in range(len(dataset)):
        # Grid and type are read-only here, for they are not known before the sample is read.
        image = cast(Source, _SampleSource(dataset, index, "image", bands, name))
        mask = cast(Source, _SampleSource(dataset, index, "mask", _CODES, name))
        scenes.append(Scene(f"{name}-{index}", {"image": image}, RasterLabels(mask, classes) if classes else None))
    return Collection(tuple(scenes), classes, name)


class _SampleSource:
    """One key of one sample as a source."""

    def __init__(self, dataset: Samples, index: int, key: str, bands: Bands, name: str) -> None:
        self.name, self.bands = f"{name}[{index}]['{key}']", bands
        self._dataset, self._index, self._key = dataset, index, key

    def _values(self) -> np.ndarray:
        return default_cache().get((id(self._dataset), self._index, self._key), self._read)

    def _read(self) -> np.ndarray:
        sample = self._dataset[self._index]
        if self._key not in sample:
            raise DataError(f"{self.name} is missing", got=", ".join(sample), expected=self._key)
        values = np.asarray(sample[self._key]).copy()
        values = values[None] if values.ndim == 2 else values
        if len(values) != len(self.bands):
            raise BandError(f"{self.name} has another number of channels", got=len(values), expected=len(self.bands))
        return values

    @cached_property
    def grid(self) -> GeoBox:
        return pixel_grid(*self._values().shape[1:])

    @cached_property
    def dtype(self) -> np.dtype:
        return self._values().dtype

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `swath.data.sources.Source.read`."""
        return ArraySource(self._values(), self.bands, self.grid, name=self.name).read(window)
