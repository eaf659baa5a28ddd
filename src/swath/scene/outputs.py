"""Outputs: what is written of a model's scores, one raster each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from swath.data.classes import Classes
    from swath.geo.cog import Legend

#: Rows that are encoded at once: what encoding needs beside stays small.
_STRIP = 16


@dataclass(frozen=True)
class RasterOutput:
    """A raster that is made of scores, row by row.

    Attributes:
        path: The GeoTIFF.
        band_names: Description of each band.
        dtype: Of the file.
        nodata: Stored number where a pixel is not valid.
        encode: Scores `[K, height, width]` to stored numbers `[bands, height, width]`, of valid pixels; pixel by
            pixel, for it sees some rows at a time.
        legend: Name and colour of each code.
        unit: Of the values, where they have one.
        overviews: How overviews are made.
    """

    path: Path
    band_names: Sequence[str]
    dtype: np.dtype
    nodata: float
    encode: Callable[[np.ndarray], np.ndarray]
    legend: Legend | None = None
    unit: str | None = None
    overviews: Literal["nearest", "average"] = "nearest"

    def stored(self, scores: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Stored numbers `[bands, height, width]` of scores `[K, height, width]`."""
        stored = np.full((len(self.band_names), *valid.shape), self.nodata, self.dtype)
        for top in range(0, len(valid) if valid.any() else 0, _STRIP):
            rows = slice(top, top + _STRIP)
            np.copyto(stored[:, rows], self.encode(scores[:, rows]), where=valid[rows], casting="unsafe")
        return stored


def class_map(path: Path, classes: Classes) -> RasterOutput:
    """The code of the most probable class; the legend travels with the file."""
    nodata = next(code for code in (255, 0, 65535, *range(1, 255)) if code not in classes.codes)
    dtype = np.dtype(np.uint8 if max(*classes.codes, nodata) < 256 else np.uint16)
    legend = dict(zip(classes.codes, zip(classes.names, classes.colours, strict=True), strict=True))

    def encode(scores: np.ndarray) -> np.ndarray:
        return classes.to_code(scores.argmax(0), nodata)[None]

    return RasterOutput(path, ("class",), dtype, nodata, encode, legend)


def probabilities(path: Path, classes: Classes) -> RasterOutput:
    """The probability of each class, float32, a band each."""
    return RasterOutput(
        path, classes.names, np.dtype(np.float32), float("nan"), lambda scores: scores, unit="1", overviews="average"
    )


def uncertainty(path: Path) -> RasterOutput:
    """Entropy of the class probabilities over that of equal ones, in per cent, 8 bit."""

    def encode(scores: np.ndarray) -> np.ndarray:
        entropy = -(scores * np.log(np.maximum(scores, 1e-12))).sum(0, keepdims=True)
        return np.round(np.clip(100 * entropy / np.log(max(len(scores), 2)), 0, 100)).astype(np.uint8)

    return RasterOutput(path, ("uncertainty",), np.dtype(np.uint8), 255, encode, unit="%", overviews="average")


def confidence(path: Path, classes: Classes, name: str) -> RasterOutput:
    """The probability of one class as 1 to 255 in 8 bit, cut off; 0 where nothing is known.

    Source: the product of OAM-TCD (arXiv 2407.11743), whose 0 stands for no data and for less than 1/255 alike.
    """
    index = classes.names.index(name)

    def encode(scores: np.ndarray) -> np.ndarray:
        return np.clip(np.floor(255 * scores[index : index + 1]), 1, 255).astype(np.uint8)

    return RasterOutput(path, (name,), np.dtype(np.uint8), 0, encode, unit="1/255", overviews="average")


def values(path: Path, names: Sequence[str], unit: str) -> RasterOutput:
    """The scores as they are, float32, for regressions."""
    return RasterOutput(
        path, names, np.dtype(np.float32), float("nan"), lambda scores: scores, unit=unit, overviews="average"
    )
