"""Exports of Google Earth Engine as TFRecord: tables of points or patches, and images with their mixer file.

A record holds one list of floats for each band: of one number (a point) or of a square patch, row by row. An image is
exported patch by patch, in rows; its mixer, a JSON file, says where the patches lie.

Numbers are unpacked once into a temporary file on disk, which goes with the process, so memory does not grow with the
export.
"""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from pyproj.exceptions import CRSError

from swath.data.sources import ArraySource, valid_pixels
from swath.data.tfrecord import Feature, read_examples
from swath.errors import DataError, ReadError, WriteError
from swath.geo.grids import shape_of
from swath.geo.windows import Window
from swath.sensors.bands import Bands
from swath.sensors.catalogue import check_range

#: Pixels by which units are judged, about.
_LOOKED_AT = 1_000_000


def unpack_records(paths: Sequence[Path], bands: Bands, label: str) -> np.ndarray:
    """All points or patches of a table.

    Args:
        paths: The files, in order.
        bands: Features to read, in order.
        label: The feature that holds the class.

    Returns:
        Stored numbers `[records, bands + 1, height, width]`, float32, the class last; on disk.

    Raises:
        ReadError: If a file is missing or damaged.
        DataError: If there are no records, or they have different sizes, lack a feature, or are not square.
        BandError: If numbers are in another unit.
        WriteError: If there is no space to unpack to.
    """
    names = [*bands.names, label]
    count, length = 0, None
    try:
        with tempfile.TemporaryFile() as file:
            for name, example in _named_examples(paths):
                lists = [_numbers(example, feature, name) for feature in names]
                lengths = {len(values) for values in lists}
                if len(lengths) > 1 or length not in (None, *lengths):
                    raise DataError(
                        f"{name} has another size than those before, or features of different size",
                        got={feature: len(values) for feature, values in zip(names, lists, strict=True)},
                        expected=length,
                    )
                length = lengths.pop()
                file.write(np.stack(lists).tobytes())
                count += 1
            if not count or not length:
                raise DataError(f"{paths[0].parent} holds no records")
            file.flush()
            edge = math.isqrt(length)
            if edge**2 != length:
                raise DataError(f"The patches of {paths[0]} are not square", got=f"{length} numbers a feature")
            found = np.memmap(file, np.float32, "r", shape=(count, len(names), edge, edge))
    except OSError as error:
        if isinstance(error, ReadError):
            raise
        raise WriteError(
            f"{paths[0].parent} cannot be unpacked to {tempfile.gettempdir()}",
            got=error.strerror or error,
            fix="Set TMPDIR to a folder with more space",
        ) from error
    some = found[:: max(1, len(found) * edge**2 // _LOOKED_AT), :-1]
    _require_plausible(np.moveaxis(some, 1, 0).reshape(len(bands), -1), bands, str(paths[0].parent))
    return found


def open_image(paths: Sequence[Path], bands: Bands, mixer: Path | None = None) -> ArraySource:
    """An exported image.

    Args:
        paths: The shards of the export, in order.
        bands: Bands to read, in order.
        mixer: The JSON that was exported beside them; by default the file of the same name.

    Raises:
        ReadError: If a file is missing or damaged.
        DataError: If the records do not fit the mixer, or lack a band.
        BandError: If numbers are in another unit.
    """
    if not paths:
        raise ReadError("An image of no files is not defined")
    grid, size, across = _read_mixer(paths[0].with_name(f"{stem(paths[0])}.json") if mixer is None else mixer)
    height, width = shape_of(grid)
    mosaic, valid = _scratch((len(bands), height, width)), np.zeros((height, width), bool)
    expected, found = height * width // size**2, 0
    for name, example in _named_examples(paths):
        found += 1
        if found > expected:
            break
        patch = _crop(np.stack([_numbers(example, band.name, name) for band in bands]), size, name)
        row, col = divmod(found - 1, across)
        window = Window(row * size, col * size, size, size).slices
        mosaic[:, *window], valid[window] = patch, valid_pixels(patch, bands)
    if found != expected:
        raise DataError(
            f"{paths[0]} and its mixer do not belong together",
            got=f"{found} patches" if found < expected else f"more than {expected} patches",
            expected=f"{expected} patches",
            fix="Give all shards of the export, in order",
        )
    step = max(1, math.isqrt(height * width // _LOOKED_AT))
    _require_plausible(mosaic[:, ::step, ::step][:, valid[::step, ::step]], bands, str(paths[0]))
    return ArraySource(mosaic, bands, grid, valid, str(paths[0]))


def stem(path: Path) -> str:
    """Name of an export without suffixes and the number of its shard."""
    return re.sub(r"(-\d+)?\.tfrecord(\.gz)?$", "", path.name)


def _named_examples(paths: Iterable[Path]) -> Iterator[tuple[str, Mapping[str, Feature]]]:
    for path in paths:
        for number, example in enumerate(read_examples(path)):
            yield f"Record {number} of {path}", example


def _numbers(example: Mapping[str, Feature], feature: str, name: str) -> np.ndarray:
    """The numbers of one feature of a record, float32."""
    if feature not in example:
        raise DataError(
            f"{name} lacks the feature {feature}",
            got=", ".join(example),
            fix="Name the features that were exported",
        )
    values = example[feature]
    if isinstance(values, list):
        raise DataError(
            f"{name} holds {feature} as bytes",
            got=f"{sum(map(len, values))} bytes",
            expected="a list of floats",
            fix="Export the image `.toFloat()`",
        )
    return values.astype(np.float32)


def _scratch(shape: tuple[int, ...]) -> np.ndarray:
    """An array of zeros on disk."""
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float32, "w+", shape=shape)


def _require_plausible(values: np.ndarray, bands: Bands, name: str) -> None:
    """Refuse stored `values` `[bands, pixels]` that were exported in another unit."""
    for plane, band in zip(values, bands, strict=True):
        finite = plane[np.isfinite(plane)]
        if len(finite):
            low, high = np.percentile(finite, (1, 99)) * band.scale
            check_range(float(low), float(high), band, name)


def _read_mixer(path: Path) -> tuple[GeoBox, int, int]:
    """Grid of the image, edge of its patches, and patches in a row."""
    try:
        found: Any = json.loads(path.read_text("utf-8"))
        affine = Affine(*map(float, found["projection"]["affine"]["doubleMatrix"]))
        crs = CRS(found["projection"]["crs"])
        edges = [int(edge) for edge in found["patchDimensions"]]
        across, total = int(found["patchesPerRow"]), int(found["totalPatches"])
    except OSError as error:
        raise ReadError(f"{path} cannot be read", got=error.strerror, fix="Give the export's JSON file") from error
    except (ValueError, KeyError, TypeError, CRSError) as error:
        raise ReadError(
            f"{path} is no mixer file of Earth Engine",
            got=repr(error),
            expected="projection, patchDimensions, patchesPerRow, totalPatches",
        ) from error
    if len(set(edges)) != 1 or min(*edges, across, total) < 1 or total % across or affine.determinant == 0:
        raise ReadError(
            f"{path} does not describe whole rows of square patches",
            got=f"{edges}, {across} patches in a row, {total} in all",
        )
    return GeoBox((total // across * edges[0], across * edges[0]), affine, crs), edges[0], across


def _crop(values: np.ndarray, size: int, name: str) -> np.ndarray:
    """Patches `[features, size, size]` of flat ones, without the margin that an export with a kernel adds."""
    edge = math.isqrt(values.shape[1])
    if edge**2 != values.shape[1] or edge < size or (edge - size) % 2:
        raise DataError(
            f"{name} has another size than the mixer says",
            got=f"{values.shape[1]} numbers a feature",
            expected=f"{size} x {size}, or with an even margin",
        )
    margin = (edge - size) // 2
    return values.reshape(-1, edge, edge)[:, margin : margin + size, margin : margin + size]
