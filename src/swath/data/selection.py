"""Selecting bands: what a network needs out of what a data set has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from swath.data.raster import open_raster
from swath.data.scenes import Collection, Scene
from swath.data.series import Series, SeriesInput
from swath.data.sources import Source
from swath.errors import DataError
from swath.geo.windows import Window
from swath.sensors.bands import Bands
from swath.sensors.catalogue import product_baseline, with_baseline

_Part = TypeVar("_Part")


class BandSelection:
    """Some bands of another source, in the order asked for.

    Args:
        source: The source with more bands, or with another order.
        needed: The bands to give.

    Raises:
        BandError: If the source is of another sensor, lacks a band or has it in another unit.
    """

    def __init__(self, source: Source, needed: Bands) -> None:
        self._positions = source.bands.require(needed, source.name)
        self._source = source
        self.name, self.grid, self.dtype = source.name, source.grid, source.dtype
        self.bands = source.bands.select(needed.names)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `Source.read`."""
        values, valid = self._source.read(window)
        return values[list(self._positions)], valid


def as_scene(source: Scene | Source | str | Path, needed: Mapping[str, Bands]) -> Scene:
    """A scene of what a user names: a scene, a source, or the path of a raster with the needed bands in order.

    Raises:
        DataError: If one source is given where several layers are needed.
        SwathError: If the raster cannot be opened.
    """
    if isinstance(source, Scene):
        return source
    if len(needed) != 1:
        raise DataError("One raster is not enough", got=source, expected=f"one for each layer: {', '.join(needed)}")
    layer, bands = next(iter(needed.items()))
    if isinstance(source, str | Path):
        source = open_raster(source, bands=with_baseline(bands, product_baseline(str(source))))
    return Scene(Path(source.name).stem, {layer: source})


def select_layers(scene: Scene, needed: Mapping[str, Bands], series: Mapping[str, SeriesInput] | None = None) -> Scene:
    """The scene with exactly the layers, series and bands that a network needs.

    A single layer, or a single series, may have any name. Series are read as the network needs it, whatever view the
    scene has.
    """
    layers = _called(scene.layers, needed, scene.id, "layer")
    dated = _called(scene.series, series or {}, scene.id, "series")
    return replace(
        scene,
        layers={name: _select(layers[name], bands) for name, bands in needed.items()},
        series={name: _select_series(dated[name], wanted) for name, wanted in (series or {}).items()},
    )


def select_bands(
    data: Collection, needed: Mapping[str, Bands], series: Mapping[str, SeriesInput] | None = None
) -> Collection:
    """The collection with exactly the layers, series and bands that a network needs."""
    return replace(data, scenes=tuple(select_layers(scene, needed, series) for scene in data))


def _called(found: Mapping[str, _Part], needed: Mapping[str, object], scene: str, what: str) -> Mapping[str, _Part]:
    """What a scene has, by the names that a network has for it."""
    if len(needed) == 1 and len(found) == 1:
        return {next(iter(needed)): next(iter(found.values()))}
    if missing := sorted(needed.keys() - found.keys()):
        raise DataError(f"Scene {scene} lacks a {what}", got=", ".join(found), expected=", ".join(missing))
    return found


def _select(source: Source, bands: Bands) -> Source:
    same = source.bands.require(bands, source.name) == tuple(range(len(source.bands)))
    return source if same else BandSelection(source, bands)


def _select_series(series: Series, wanted: SeriesInput) -> Series:
    frames = tuple(replace(frame, source=_select(frame.source, wanted.bands)) for frame in series.frames)
    return replace(series, frames=frames, view=wanted.view)
