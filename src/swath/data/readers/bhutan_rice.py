"""The Bhutan rice exports of Google Earth Engine (arXiv 2406.07482): TFRecords of points, patches and whole images.

Layout: `training/`, `testing/` and `validation/`, each with `*.tfrecord.gz`. A record holds one list of floats for
each feature and one for `class`: of one number (a point) or of 256 x 256 (a patch). An image to map is
`image_<year>.tfrecord.gz` with `image_<year>.json` (see `swath.data.earth_engine`).

Points become one scene a part, a column of pixels without CRS; patches one scene each.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from odc.geo.geobox import GeoBox

from swath.data.classes import IGNORE, Classes
from swath.data.earth_engine import open_image, stem, unpack_records
from swath.data.scenes import Collection, Scene
from swath.data.sources import ArraySource, valid_pixels
from swath.errors import ConfigError, DataError, ReadError
from swath.geo.grids import pixel_grid, shape_of
from swath.geo.windows import Window, whole
from swath.sensors.bands import Band, Bands
from swath.sensors.catalogue import sensor

#: Sets of features: red, green, blue, near infrared; elevation and slope (E); Sentinel-1 (S).
Features = Literal["RGBN", "RGBNE", "RGBNS", "RGBNES"]

#: Part of each published folder.
FOLDERS = {"training": "train", "validation": "val", "testing": "test"}

CLASSES = Classes.of(
    {
        0: {"name": "cropland", "colour": "#e0c35a"},
        1: {"name": "rice", "colour": "#4fa63b"},
        2: {"name": "forest", "colour": "#1d5b32"},
        3: {"name": "urban", "colour": "#b3352f"},
        4: {"name": "others", "colour": "#2f7fd0"},
    }
)

_LABEL = "class"


def feature_bands(features: Features = "RGBN") -> Bands:
    """The features in the order that the networks take.

    Optical features are medians of March to May (`before`) and July to September (`during`); `vv` and `vh` are those of
    ascending and descending orbits.

    Raises:
        ConfigError: If there is no such set.
    """
    if features not in get_args(Features):
        raise ConfigError("There is no such set of features", got=features, expected=", ".join(get_args(Features)))
    bands = [
        replace(sensor("nicfi").select([colour])[0], name=f"{colour}_{season}", scale=1.0, nodata=None, aliases=())
        for season in ("before", "during")
        for colour in ("red", "green", "blue", "nir")
    ]
    if "E" in features:
        bands += [Band("elevation", "m"), Band("slope", "degree")]
    if "S" in features:
        bands += [
            Band(f"{polarisation}_{orbit}_{season}", "dB")
            for orbit in ("asc", "desc")
            for season in ("before", "during")
            for polarisation in ("vv", "vh")
        ]
    return Bands("bhutan_rice", tuple(bands))


def read_bhutan_rice(
    root: str | Path,
    features: Features = "RGBN",
    duplicates: Literal["drop", "keep"] = "drop",
    swapped: bool = False,
    scale: float = 1.0,
) -> Collection:
    """Open exported points or patches.

    Args:
        root: Folder with `training/`, `testing/`, `validation/`.
        features: Which features to read; the files may hold more.
        duplicates: Whether points of `val` and `test` that stand in an earlier part (train, val, test), feature by
            feature, are dropped; the published points hold some.
        swapped: The release's export of patches writes validation patches under the prefix of testing and the other
            way round; True puts them right.
        scale: Factor from stored numbers to reflectance; exports of counts need 1e-4.

    Returns:
        Scenes `training`, ... of points, `[features, points, 1]`, shuffled; or `training/0`, ... of patches.

    Raises:
        ReadError: If the layout is not there, or a file is missing or damaged.
        DataError: If records have different sizes, lack a feature, or hold other classes.
        BandError: If numbers are in another unit.
        ConfigError: If an option is unknown.
    """
    root = Path(root)
    if duplicates not in ("drop", "keep"):
        raise ConfigError("Duplicates cannot be treated so", got=duplicates, expected="drop or keep")
    bands = _scaled(feature_bands(features), scale)
    files = {folder: _files(root / folder) for folder in FOLDERS}
    if not files["training"]:
        raise ReadError(f"{root} holds no training points or patches", expected="training/*.tfrecord.gz")
    records = {folder: unpack_records(paths, bands, _LABEL) for folder, paths in files.items() if paths}
    parts = {"training": "train", "validation": "test", "testing": "val"} if swapped else FOLDERS
    shapes = {folder: found.shape[2:] for folder, found in records.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(f"{root} mixes points and patches, or patches of different size", got=shapes)
    points = shapes["training"] == (1, 1)
    facts: dict[str, object] = {
        "origin": f"Bhutan rice, {'points' if points else 'patches'} from Earth Engine",
        "records": {folder: len(found) for folder, found in records.items()},
        "split": "published: at random" + ("" if points else ", so patches of different parts overlap on the ground"),
    }
    if not points:
        scenes = [
            _scene(f"{folder}/{number}", values, bands, parts[folder])
            for folder, found in records.items()
            for number, values in enumerate(found)
        ]
        return Collection(tuple(scenes), CLASSES, "Bhutan rice", facts)
    ordered = {
        folder: records[folder] for part in ("train", "val", "test") for folder in records if parts[folder] == part
    }
    if duplicates == "drop":
        ordered, facts["duplicates dropped"] = _without_duplicates(ordered)
    scenes = [_scene(folder, _table(found), bands, parts[folder]) for folder, found in ordered.items() if len(found)]
    return Collection(tuple(scenes), CLASSES, "Bhutan rice", facts)


def read_bhutan_image(
    images: str | Path | Sequence[str | Path],
    mixer: str | Path | None = None,
    features: Features = "RGBN",
    scale: float = 1.0,
) -> Collection:
    """Open an exported image as one georeferenced scene.

    Args:
        images: The export, or its shards in order.
        mixer: The JSON that was exported beside it; by default the file of the same name.
        features: Which features to read.
        scale: See `read_bhutan_rice`.

    Raises:
        ReadError: If a file is missing or damaged.
        DataError: If the records do not fit the mixer.
        BandError: If numbers are in another unit.
    """
    paths = [Path(images)] if isinstance(images, str | Path) else [Path(path) for path in images]
    image = open_image(paths, _scaled(feature_bands(features), scale), None if mixer is None else Path(mixer))
    name = stem(paths[0])
    year = re.search(r"(?:19|20)\d\d", name)
    time = datetime(int(year.group()), 1, 1, tzinfo=UTC) if year else None
    scene = Scene(name, {"image": image}, time=time)
    return Collection((scene,), CLASSES, name, {"origin": "Bhutan rice, image from Earth Engine"})


def _files(folder: Path) -> list[Path]:
    return sorted(p for pattern in ("*.tfrecord", "*.tfrecord.gz") for p in folder.glob(pattern))


def _scaled(bands: Bands, scale: float) -> Bands:
    if not (math.isfinite(scale) and scale > 0):
        raise ConfigError("A scale must be positive", got=scale)
    optical = bands.with_storage(scale=scale)
    return Bands(bands.sensor, tuple(o if b.unit == "reflectance" else b for o, b in zip(optical, bands, strict=True)))


def _scene(name: str, values: np.ndarray, bands: Bands, part: str) -> Scene:
    """A scene of `values` `[features + class, height, width]`."""
    grid = pixel_grid(*values.shape[1:])
    image, everywhere = values[:-1], np.broadcast_to(np.True_, values.shape[1:])
    valid = valid_pixels(image, bands)
    source = ArraySource(image, bands, grid, everywhere if valid.all() else valid, name)
    return Scene(name, {"image": source}, _Codes(values[-1], name), part=part)


class _Codes:
    """Labels of one record: codes `[height, width]` on pixels without CRS, read without warping; `Labels`."""

    def __init__(self, codes: np.ndarray, name: str) -> None:
        self.name, self._codes = name, codes

    def read(self, grid: GeoBox) -> np.ndarray:
        """See `Labels.read`."""
        height, width = shape_of(grid)
        window = Window(-round(grid.affine.f), round(grid.affine.c), height, width)
        inside = window.intersect(whole(self._codes.shape))
        labels = np.full((height, width), IGNORE, np.int16)
        if not inside.empty:
            codes = self._codes[inside.slices]
            labels[inside.relative_to(window).slices] = CLASSES.to_index(codes, self.name)
        return labels


def _table(points: np.ndarray) -> np.ndarray:
    """Points `[n, features + class, 1, 1]` as one column of pixels `[features + class, n, 1]`.

    They are shuffled, always in the same way: exports are sorted by class, and patches take neighbouring rows.
    """
    shuffled = points[np.random.default_rng(0).permutation(len(points)), :, :, 0]
    return np.ascontiguousarray(np.moveaxis(shuffled, 0, 1))


def _without_duplicates(records: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Points whose features stand in no earlier folder, and how many were dropped from each folder."""
    kept: dict[str, np.ndarray] = {}
    dropped: dict[str, int] = {}
    seen: set[bytes] = set()
    for folder, found in records.items():
        keys = [row.tobytes() for row in found[:, :-1, 0, 0]]
        new = np.array([key not in seen for key in keys])
        seen.update(keys)
        kept[folder], dropped[folder] = found[new], int((~new).sum())
    return kept, dropped
