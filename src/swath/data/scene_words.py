"""Scenes as the words of a command line name them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from swath.data.config import load_data
from swath.data.ranges import require_plausible
from swath.data.raster import open_raster
from swath.data.scenes import Scene
from swath.data.selection import select_layers
from swath.data.series import SeriesInput
from swath.data.sources import Source
from swath.data.stac_items import ITEM_SUFFIXES, item_source
from swath.data.stack import StackSource
from swath.errors import BandError, ConfigError, some
from swath.geo.grids import require_crs
from swath.sensors.bands import Bands
from swath.sensors.catalogue import product_baseline, with_baseline

#: A YAML, and perhaps the id of one of its scenes.
_YAML = re.compile(r"(.+\.ya?ml)(?::(.+))?", re.IGNORECASE)


def open_scene(
    words: Sequence[str],
    needed: Mapping[str, Bands],
    crs: str | None = None,
    series: Mapping[str, SeriesInput] | None = None,
) -> Scene:
    """The scene that the words of a command line name.

    Args:
        words: `RASTER`, or `LAYER=RASTER` for each layer; rasters joined by commas hold bands one after the other. A
            raster may be a URL, or the file or URL of a STAC item (`.json`). Or one `DATA.yaml` that describes data of
            one scene, or `DATA.yaml:SCENE`: so are scenes with time series named.
        needed: Bands of each layer that the task takes. Files hold exactly these, in order, or name their bands. The
            offset of a Sentinel-2 product follows from the processing baseline in its name or item.
        crs: CRS of files that lack one; `none` for pixel coordinates.
        series: What the task takes of each time series.

    Raises:
        ConfigError: If a layer is missing, unknown or named twice, or a YAML has several scenes, none of them named.
        GridError: If a file has no CRS and none was given.
        BandError: If a band is missing, or its values cannot be of its unit.
    """
    if len(words) == 1 and (described := _YAML.fullmatch(words[0])):
        return select_layers(_described(described[1], described[2]), needed, series)
    if series:
        raise ConfigError(
            "A scene with time series is not named by rasters",
            got=" ".join(words),
            expected=f"a YAML with `series:` {', '.join(series)}",
        )
    layers: dict[str, Source] = {}
    for word in words:
        named, _, rest = word.partition("=")
        name, files = (named, rest) if named in needed and rest else (next(iter(needed)), word)
        if name in layers:
            raise ConfigError(
                f"Layer '{name}' is named twice", expected=f"LAYER=RASTER for each of {', '.join(needed)}"
            )
        layers[name] = _open_layer(files.split(","), needed[name], crs)
    if missing := sorted(needed.keys() - layers.keys()):
        raise ConfigError("A layer is missing", got=", ".join(layers), expected=", ".join(missing))
    first = words[0].partition("=")[2] or words[0]
    scene = select_layers(Scene(Path(first.split(",")[0]).stem, {name: layers[name] for name in needed}), needed)
    for source in scene.layers.values():
        require_plausible(source)
    return scene


def _described(path: str, name: str | None) -> Scene:
    """The scene that a YAML describes, or the one called `name` of several."""
    data = load_data(path)
    found = [scene for scene in data if name in (None, scene.id)]
    if len(found) != 1:
        ids = [scene.id for scene in data]
        raise ConfigError(
            f"{path} has {len(ids)} scenes" if name is None else f"{path} has no scene '{name}'",
            got=some(ids, 8),
            expected=f"{path}:SCENE",
        )
    return found[0]


def _open_layer(files: Sequence[str], bands: Bands, crs: str | None) -> Source:
    if len(files) == 1 and files[0].casefold().endswith(ITEM_SUFFIXES):
        return item_source(files[0], bands)
    opened = [open_raster(file, crs=crs) for file in files]
    for source in opened:
        if crs != "none":
            require_crs(source.grid, source.name)
    counts = [len(source.bands) for source in opened]
    if sum(counts) == len(bands):
        starts = [sum(counts[:i]) for i in range(len(counts))]
        described = [Bands(bands.sensor, bands.bands[s : s + n]) for s, n in zip(starts, counts, strict=True)]
    else:
        described = [_by_name(source, bands) for source in opened]
    sources = [
        open_raster(file, bands=with_baseline(b, product_baseline(file)), crs=crs)
        for file, b in zip(files, described, strict=True)
    ]
    return sources[0] if len(sources) == 1 else StackSource(sources)


def _by_name(source: Source, bands: Bands) -> Bands:
    """The file's bands, those that the task knows by name as the task has them."""
    known = [next((b for b in bands if b.called(own.name)), own) for own in source.bands]
    if not any(b in bands.bands for b in known):
        raise BandError(
            f"{source.name} holds other bands than the task takes",
            got=f"{len(source.bands)} bands: {', '.join(source.bands.names)}",
            expected=f"{len(bands)} bands: {', '.join(bands.names)}",
            fix="Give a file with these bands in this order, or with band descriptions that name them",
        )
    return Bands(bands.sensor, tuple(known))
