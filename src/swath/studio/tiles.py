"""Map tiles of 256 pixels out of raster files, by rio-tiler, remembered."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from rasterio.errors import RasterioError
from rio_tiler.colormap import apply_cmap, cmap
from rio_tiler.errors import EmptyMosaicError, InvalidColorMapName, TileOutsideBounds
from rio_tiler.models import ImageData

from swath.errors import ConfigError, ReadError
from swath.studio.layers import describe
from swath.studio.rasters import reader

#: Bytes of tiles that are remembered.
_REMEMBERED = 128 << 20
#: Colour maps for single bands that the page offers; any of rio-tiler's works.
COLOUR_MAPS = ("viridis", "magma", "cividis", "gray", "rdbu_r", "ylgn", "blues", "terrain")


@dataclass(frozen=True)
class Style:
    """How a raster is shown.

    Attributes:
        bands: One band, or three for red, green and blue, counted from 1; none takes those of the layer's facts.
        low: Stored number that is shown darkest, for each band or one for all; none takes the 2nd percentile.
        high: Stored number that is shown brightest; none takes the 98th percentile.
        colours: Colour map of a single band.
    """

    bands: tuple[int, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    colours: str = "gray"


class Tiles:
    """Tiles as PNG, remembered up to a number of bytes."""

    def __init__(self, room: int = _REMEMBERED) -> None:
        self._kept: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()
        self._room, self._lock = room, threading.Lock()

    def tile(self, path: Path, z: int, x: int, y: int, style: Style) -> bytes:
        """The tile of a raster; transparent where there is no data.

        Raises:
            ReadError: If the file cannot be read.
            ConfigError: If the style does not fit it.
        """
        key = (path, path.stat().st_mtime_ns, z, x, y, style)
        return self.remember(key, lambda: render(path, z, x, y, style))

    def remember(self, key: tuple[Any, ...], make: Callable[[], bytes]) -> bytes:
        """What `make` gave for `key`, now or before."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._room -= len(made)
            while self._room < 0:
                self._room += len(self._kept.popitem(last=False)[1])
        return made


def render(path: Path, z: int, x: int, y: int, style: Style) -> bytes:
    """The tile `z/x/y` of a raster as PNG; see `Tiles.tile`."""
    facts = describe(path)
    classes = facts["classes"] if style.bands in ((), (1,)) else None
    bands = style.bands or tuple(facts["shown"])
    if len(bands) not in (1, 3) or not all(1 <= band <= len(facts["bands"]) for band in bands):
        raise ConfigError("These bands cannot be shown", got=bands, expected=f"1 or 3 of 1..{len(facts['bands'])}")
    if z < facts["minzoom"]:
        return EMPTY
    image = read_tile(path, z, x, y, bands, smooth=classes is None and z > facts["nativezoom"])
    if image is None:
        return EMPTY
    if classes is not None:
        return png(image, {c["code"]: (*bytes.fromhex(c["colour"][1:]), 255) for c in classes})
    told = [facts["bands"][band - 1] for band in bands]
    lows = _each(style.low, [band["low"] for band in told])
    highs = _each(style.high, [band["high"] for band in told])
    if not all(low < high for low, high in zip(lows, highs, strict=True)):
        raise ConfigError("A stretch must rise", got=f"from {lows} to {highs}")
    image.rescale(in_range=tuple(zip(lows, highs, strict=True)), out_range=((1, 255),))
    if len(bands) == 3 or style.colours == "gray":
        return png(image)
    try:
        return png(image, cmap.get(style.colours))
    except InvalidColorMapName as error:
        raise ConfigError("There is no such colour map", got=style.colours, expected=", ".join(COLOUR_MAPS)) from error


def read_tile(path: Path, z: int, x: int, y: int, bands: Sequence[int], smooth: bool = False) -> ImageData | None:
    """Stored numbers of a tile, masked where there is no data; None outside of the raster.

    Raises:
        ReadError: If the file cannot be read or is damaged there.
    """
    try:
        return reader(path).tile(
            x, y, z, indexes=tuple(bands), tilesize=256, resampling_method="bilinear" if smooth else "nearest"
        )
    except (TileOutsideBounds, EmptyMosaicError):
        return None
    except (RasterioError, OSError) as error:
        raise ReadError(f"{path.name} cannot be read there", got=error, fix="Fetch or write the file again") from error


def png(image: ImageData, colours: Any = None) -> bytes:
    """A tile of 8 bit, or of what a colour map takes, as PNG with transparency; fast rather than small."""
    # not by GDAL, which is slower and warns in ways that threads cannot silence for themselves
    bands, alpha = image.data, image.mask
    if colours is not None:
        bands, shown = apply_cmap(bands, colours)
        alpha = np.where(alpha, shown, 0)
    picture = np.concatenate([bands, alpha[None]]).astype(np.uint8)
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(picture.transpose(1, 2, 0)), level=1))


def colour_stops(name: str) -> list[str]:
    """Nine colours of a colour map, from its low end to its high one, as `#rrggbb`."""
    table = cmap.get(name)
    return ["#{:02x}{:02x}{:02x}".format(*table[code][:3]) for code in np.linspace(0, 255, 9).astype(int).tolist()]


def _each(given: Sequence[float], default: Sequence[float]) -> list[float]:
    if not given:
        return list(default)
    return (
        list(given) * len(default) if len(given) == 1 else list(given) if len(given) == len(default) else list(default)
    )


EMPTY = png(ImageData(np.ma.MaskedArray(np.zeros((1, 256, 256), np.uint8), mask=True)))
