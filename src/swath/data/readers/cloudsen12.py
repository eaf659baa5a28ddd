"""CloudSEN12's high-quality labels as its authors publish them: a file a band, of all patches (Aybar et al. 2022).

`{train,val,test}/{L1C,L2A}_B<n>.dat`, int16, Sentinel-2's reflectance times 10,000, and `LABEL_manual_hq.dat`, int8:
patches of 512 by 512 pixels one after the other, without a header. Cloud-Adapter's release stretches these patches to
bytes, each by itself (`swath.data.readers.cloud_adapter`); here clouds are as bright in one as in another.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from swath.data.checks import check_collection
from swath.data.labels import RasterLabels
from swath.data.readers.cloud_adapter import CLASSES
from swath.data.scenes import PARTS, Collection, Scene
from swath.data.sources import valid_pixels
from swath.errors import ConfigError, DataError, ReadError
from swath.geo.grids import pixel_grid
from swath.geo.windows import Window, whole
from swath.sensors.bands import Band, Bands
from swath.sensors.catalogue import sensor

#: Edge of a patch in pixels.
_EDGE = 512
_CODES = Bands("custom", (Band("class", "1"),))


def read_cloudsen12(root: str | Path, level: Literal["L1C", "L2A"] = "L1C") -> Collection:
    """Open the folder that holds the parts: a scene a patch, with the bands that every part has.

    Args:
        root: The folder.
        level: Reflectance at the top of the atmosphere, or at the ground.

    Raises:
        ReadError: If labels, or red, green and blue, of a part are not there.
        DataError: If a file is no whole number of patches, files of a part hold different numbers of them, or labels
            hold other codes.
        ConfigError: If there is no such level.
    """
    if level not in ("L1C", "L2A"):
        raise ConfigError("CloudSEN12 has no such level", got=level, expected="L1C or L2A")
    known, root = sensor(f"sentinel2_{level.lower()}"), Path(root)
    names = [name for name in known.names if all(_path(root / part, level, name).is_file() for part in PARTS)]
    if missing := [name for name in known.select(["red", "green", "blue"]).names if name not in names]:
        raise ReadError(
            f"{root} does not hold CloudSEN12 at level {level}",
            got=f"no {', '.join(missing)} of each part",
            expected=", ".join(str(_path(Path(part), level, missing[0])) for part in PARTS),
        )
    bands, classes = known.select(names), CLASSES[f"cloudsen12_high_{level.lower()}"]
    scenes = []
    for part in PARTS:
        images = [_patches(_path(root / part, level, name), np.int16) for name in names]
        masks = _patches(root / part / "LABEL_manual_hq.dat", np.int8)
        if len({len(patches) for patches in (*images, masks)}) > 1:
            raise DataError(
                f"Files of {root / part} hold different numbers of patches",
                got={name: len(patches) for name, patches in zip((*names, "labels"), (*images, masks), strict=True)},
            )
        for number in range(len(masks)):
            image = _Patch([patches[number] for patches in images], bands, f"{root / part} {number}")
            labels = _Patch([masks[number]], _CODES, f"{root / part} labels {number}")
            scenes.append(Scene(f"{part}/{number}", {"image": image}, RasterLabels(labels, classes), part=part))
    facts = {"origin": "CloudSEN12 (Aybar et al. 2022)", "split": "published folders"}
    return check_collection(Collection(tuple(scenes), classes, "CloudSEN12", facts))


class _Patch:
    """A patch whose bands lie in several files; a `Source`.

    Args:
        planes: Stored numbers of each band `[512, 512]`, read when they are needed.
        bands: What they are.
        name: For messages.
    """

    def __init__(self, planes: Sequence[np.ndarray], bands: Bands, name: str) -> None:
        self._planes, self.bands, self.name = planes, bands, name
        self.grid, self.dtype = pixel_grid(_EDGE, _EDGE), planes[0].dtype

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `Source.read`."""
        values, valid = np.zeros((len(self.bands), *window.shape), self.dtype), np.zeros(window.shape, bool)
        inside = window.intersect(whole((_EDGE, _EDGE)))
        if not inside.empty:
            here = inside.relative_to(window).slices
            values[:, *here] = [plane[inside.slices] for plane in self._planes]
            valid[here] = valid_pixels(values[:, *here], self.bands)
        return values, valid


def _path(folder: Path, level: str, band: str) -> Path:
    """The file of a band; numbers of bands have no leading zero there."""
    return folder / f"{level}_{band.replace('B0', 'B')}.dat"


def _patches(path: Path, dtype: type) -> np.ndarray:
    """Patches `[N, 512, 512]` of a file, read when they are needed."""
    try:
        numbers = np.memmap(path, dtype, "r")
    except (OSError, ValueError) as error:
        raise ReadError(f"{path} is missing or damaged", got=error) from error
    if numbers.size % _EDGE**2:
        raise DataError(f"{path} is no whole number of patches", got=f"{numbers.nbytes} bytes")
    return numbers.reshape(-1, _EDGE, _EDGE)
