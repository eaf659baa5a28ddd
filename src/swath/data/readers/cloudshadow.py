"""Clouds, their shadows, snow, water and land by hand on scenes of several sensors (Wieland et al. 2019, DLR).

A file `<sensor>.npz` a scene, as the tests of ukis-csmask are published: `img` `[H, W, 6]` float32 top-of-atmosphere
reflectance (blue, green, red, nir, swir1, swir2) and `msk` `[H, W, 1]` uint8.

Bands are called by their colours, of sensor `toa`, so that networks can be applied to other sensors.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from swath.data.checks import check_collection
from swath.data.classes import Classes
from swath.data.labels import RasterLabels
from swath.data.readers.cloud38 import CLASSES as CLOUD
from swath.data.scenes import Collection, Scene
from swath.data.sources import ArraySource
from swath.data.splits import split_by_block
from swath.errors import ConfigError, DataError, ReadError
from swath.geo.grids import pixel_grid
from swath.sensors.bands import Band, Bands

CLASSES = Classes.of(
    {
        0: {"name": "shadow", "colour": "#3d2c5e"},
        1: {"name": "water", "colour": "#2f7fd0"},
        2: {"name": "snow", "colour": "#9ecae1"},
        3: {"name": "land", "colour": "#7a8b69"},
        4: {"name": "cloud", "colour": "#ffffff"},
    }
)
#: Each legend, and what it calls each published code: all, clouds alone as 38-Cloud, clouds and their shadows.
_LEGENDS: Mapping[str, tuple[Classes, tuple[int, ...]]] = {
    "surface": (CLASSES, (0, 1, 2, 3, 4)),
    "cloud": (CLOUD, (0, 0, 0, 0, 255)),
    "shadow": (
        Classes.of(
            {
                0: {"name": "clear", "colour": "#7a8b69"},
                1: {"name": "shadow", "colour": "#3d2c5e"},
                2: {"name": "cloud", "colour": "#ffffff"},
            }
        ),
        (1, 0, 0, 0, 2),
    ),
}
BANDS = Bands("toa", tuple(Band(name, "reflectance") for name in ("blue", "green", "red", "nir", "swir1", "swir2")))
#: Edge in pixels of the blocks that are dealt out.
_BLOCK = 64


def read_cloudshadow(root: str | Path, legend: Literal["surface", "cloud", "shadow"] = "surface") -> Collection:
    """Open the files of a folder: a scene a file, in the group of its sensor, divided by blocks of 64 pixels.

    Args:
        root: The folder.
        legend: The published five classes, the two of 38-Cloud, clear and cloud, or these and the shadow of clouds.

    Raises:
        ReadError: If there is no file, or one is damaged.
        DataError: If a file holds other arrays, or masks hold other codes.
        ConfigError: If there is no such legend.
    """
    if legend not in _LEGENDS:
        raise ConfigError("The labels have no such legend", got=legend, expected=", ".join(_LEGENDS))
    paths = sorted(Path(root).glob("*.npz"))
    if not paths:
        raise ReadError(f"{root} holds no scene", expected="files such as sentinel2.npz")
    scenes = [_scene(path, legend) for path in paths]
    facts = {"origin": "tests of ukis-csmask (Wieland et al. 2019, DLR)", "licence": "Apache-2.0"}
    found = Collection(tuple(scenes), _LEGENDS[legend][0], "cloud and shadow", facts)
    return split_by_block(check_collection(found), _BLOCK)


def _scene(path: Path, legend: str) -> Scene:
    arrays = _arrays(path)
    image, mask = (arrays.get(name) for name in ("img", "msk"))
    if (
        image is None or mask is None or image.ndim != 3 or image.shape[2] != len(BANDS)
        or image.dtype != np.float32 or mask.shape != (*image.shape[:2], 1) or mask.dtype != np.uint8
    ):  # fmt: skip
        raise DataError(
            f"{path} holds other arrays",
            got=", ".join(f"{name} {array.dtype} {array.shape}" for name, array in arrays.items()),
            expected="img float32 [H, W, 6] and msk uint8 [H, W, 1]",
        )
    grid = pixel_grid(*mask.shape[:2])
    band = Bands("custom", (Band("class", "1"),))
    published = RasterLabels(ArraySource(mask[None, :, :, 0], band, grid, name=str(path)), CLASSES).read(grid)
    classes, told = _LEGENDS[legend]
    codes = np.array(told, np.uint8)[published][None]
    labels = RasterLabels(ArraySource(codes, band, grid, name=str(path)), classes)
    source = ArraySource(np.ascontiguousarray(np.moveaxis(image, -1, 0)), BANDS, grid, name=str(path))
    return Scene(path.stem, {"image": source}, labels, group=path.stem)


def _arrays(path: Path) -> Mapping[str, np.ndarray]:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ReadError(f"{path} is damaged or no npz file", got=error) from error
