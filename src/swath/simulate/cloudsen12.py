"""Clouds over a world with a class a pixel, in the layout of Cloud-Adapter: CloudSEN12 as 8-bit RGB of Sentinel-2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox
from PIL import Image

from swath.errors import ConfigError
from swath.files import replacing
from swath.sensors.catalogue import sensor
from swath.simulate import moment
from swath.simulate.clouds import Sky, Veil
from swath.simulate.optical import SENSORS, observe, sensor_grid
from swath.simulate.world import World

#: Parts, as they are dealt to one picture after the other; each has a third of the world of its own.
_PARTS = ("train", "test", "train", "val", "train", "test")
_THIRDS = {"train": 0, "val": 1, "test": 2}
#: Optical depth from which a pixel that is no thick cloud counts as thin cloud, of cumulus and of cirrus.
_THIN, _CIRRUS = 0.15, 0.25
CLEAR, THICK, THIN, SHADOW = 0, 1, 2, 3


def cloud_adapter(world: World, root: Path, pictures: int = 18, edge: int = 96) -> list[Path]:
    """Pictures of 10 m of days under other skies, below `root/cloudsen12_high_l1c`.

    As in the release, each is stretched to bytes by a minimum and maximum of its own.

    Args:
        world: The world; training, validation and test lie in its west, middle and east.
        root: Where to.
        pictures: Number of pictures.
        edge: Their side in pixels.

    Raises:
        ConfigError: If a picture has no room in a third of the world.
    """
    written: list[Path] = []
    for number in range(pictures):
        part = _PARTS[number % len(_PARTS)]
        image, mask = cloudy(world, _place(world, _THIRDS[part], number, edge), number)
        for kind, values in (("img_dir", stretched(image)), ("ann_dir", mask)):
            path = root / "cloudsen12_high_l1c" / kind / part / f"{number}.png"
            with replacing(path) as temporary:
                Image.fromarray(values).save(temporary, "png")
            written.append(path)
    return written


def cloudy(world: World, grid: GeoBox, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Reflectance at the top of the atmosphere `[H, W, 3]` (red, green, blue) on day `number`, and the class of pixels.

    Two days of six have cirrus; the cumulus covers 20 to 50 % of the sky.
    """
    when = moment.at(world, 100 + 11 * number, 10.5)
    sky = Sky(0.2 + 0.15 * (number % 3), base=500.0, cirrus=1.2 * (number // 2 % 3 == 2), size=500.0)
    seen = observe(world, SENSORS["sentinel2_l1c"], when, grid, sky)
    colours = [sensor("sentinel2_l1c").index(name) for name in ("red", "green", "blue")]
    return np.moveaxis(seen.bands.decode(seen.values)[colours], 0, -1), classes(seen.veil)


def classes(veil: Veil) -> np.ndarray:
    """Class of each pixel under a sky `[H, W]` uint8: thick cloud before thin cloud before shadow before clear."""
    mask = np.where(veil.shaded, SHADOW, CLEAR)
    mask[(veil.depth > _THIN) | (veil.cirrus > _CIRRUS)] = THIN
    mask[veil.cloudy] = THICK
    return mask.astype(np.uint8)


def stretched(image: np.ndarray) -> np.ndarray:
    """Bytes of an image, from its least number in any band to its largest."""
    low, high = image.min(), image.max()
    return (255 * ((image - low) / (high - low + 1e-6))).astype(np.uint8)


def _place(world: World, third: int, number: int, edge: int) -> GeoBox:
    """A grid of `edge` pixels in a third of the world, further north with each picture, until it begins anew."""
    west, south, east, north = world.bounds
    side = 10.0 * edge
    if min((east - west) / 3, north - south) < side + 20:
        raise ConfigError(
            "The world has no room for pictures of clouds",
            got=f"pictures of {side:g} m in a world of {east - west:g} x {north - south:g} m",
            expected=f"at least {3 * side + 60:g} x {side + 20:g} m",
        )
    left = west + (east - west) * third / 3 + 10
    bottom = south + (north - south - side - 20) * (0.37 * number % 1)
    return sensor_grid(world, 10.0, (left, bottom, left + side + 10, bottom + side + 10))[:edge, :edge]
