"""Blocks of a GeoTIFF, decoded by imagecodecs without the interpreter's lock.

The offsets of all segments (tiles or strips) are parsed once; a block is then a read, a decompression, the undoing
of the predictor and a transposition to band order. Only layouts in which this gives GDAL's values exactly are taken.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from tifffile import COMPRESSION, FILLORDER, PHOTOMETRIC

from swath.data.buffers import take
from swath.errors import ReadError

_DECOMPRESS: dict[int, Callable[..., Any]] = {
    COMPRESSION.NONE: lambda data, out: data[: out.size],
    COMPRESSION.LZW: imagecodecs.lzw_decode,
    # `deflate` is libdeflate, twice as fast as zlib.
    COMPRESSION.ADOBE_DEFLATE: imagecodecs.deflate_decode,
    COMPRESSION.DEFLATE: imagecodecs.deflate_decode,
    COMPRESSION.ZSTD: imagecodecs.zstd_decode,
}
_PHOTOMETRIC = {PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB, PHOTOMETRIC.PALETTE}
#: Strips are joined to blocks of about this many bytes.
_STRIP_BLOCK = 2**21
#: Bytes of a segment that are undone and transposed at once, while the processor's cache holds them.
_PIECE = 2**19


@dataclass(frozen=True)
class TiffBlocks:
    """The segments of the first image of a TIFF, joined to blocks.

    Attributes:
        path: The file.
        stamp: Size in bytes and time of change in nanoseconds, to notice a file that changes under a run.
        shape: `(bands, height, width)` of the raster.
        dtype: Of the stored numbers.
        block_shape: `(height, width)` of a block.
        segment: `(height, width)` of a segment; a block holds one tile or some strips.
        tiled: Whether segments are tiles, which are whole at the edge, or strips, which are cut there.
        separate: Whether each band has its own segments.
        compression: TIFF code of the compression.
        predictor: 1 (none), 2 (differences) or 3 (floating point).
        offsets: First byte of each segment `[bands or 1, down, across]`; 0 for a segment that was never written.
        counts: Bytes of each segment.
        fill: The number that stands in segments that were never written.
    """

    path: str
    stamp: tuple[int, int]
    shape: tuple[int, int, int]
    dtype: np.dtype
    block_shape: tuple[int, int]
    segment: tuple[int, int]
    tiled: bool
    separate: bool
    compression: int
    predictor: int
    offsets: np.ndarray
    counts: np.ndarray
    fill: float

    def read(self, row: int, col: int) -> np.ndarray:
        """Block number `row` from the top and `col` from the left, `[bands, height, width]`.

        Blocks at the right and bottom edge may be padded or cut.

        Raises:
            ReadError: If the file is gone, has changed or is damaged there; it names file, block and band.
        """
        bands, height, _ = self.shape
        joined = self.block_shape[0] // self.segment[0]
        downs = range(row * joined, min((row + 1) * joined, self.offsets.shape[1]))
        rows = self.block_shape[0] if self.tiled else min(self.block_shape[0], height - row * self.block_shape[0])
        block = take((bands, rows, self.block_shape[1]), self.dtype)
        try:
            file = open(self.path, "rb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise ReadError(f"{self.path} cannot be opened any more", got=error.strerror) from error
        with file:
            require_unchanged(self.path, self.stamp, os.fstat(file.fileno()))
            for plane in range(self.offsets.shape[0]):
                for down in downs:
                    top = (down - downs.start) * self.segment[0]
                    target = block[plane : plane + 1] if self.separate else block
                    self._segment(file, plane, down, col, target[:, top : top + self.segment[0]])
        return block

    def _segment(self, file: FileIO, plane: int, down: int, across: int, out: np.ndarray) -> None:
        """The first rows of a segment, as many as `out` `[samples, rows, width]` has."""
        offset, count = int(self.offsets[plane, down, across]), int(self.counts[plane, down, across])
        if offset == 0 or count == 0:
            out[:] = self.fill
            return
        plain = take(out.nbytes, np.uint8)
        try:
            data = take(count, np.uint8)
            file.seek(offset)
            if (found := file.readinto(data.data)) < count:
                raise ValueError(f"{found} of {count} bytes: the file is truncated")
            decoded = _DECOMPRESS[COMPRESSION(self.compression)](data, out=plain)
            if len(decoded) != plain.size:
                raise ValueError(f"{len(decoded)} of {plain.size} bytes after decompression")
        except (OSError, ValueError, RuntimeError) as error:
            top, left = down * self.segment[0], across * self.segment[1]
            bottom, right = min(top + self.segment[0], self.shape[1]), min(left + self.segment[1], self.shape[2])
            raise damaged(
                f"{self.path} is damaged in {f'band {plane + 1}' if self.separate else 'all bands'},",
                (top, bottom, left, right),
                (down, across),
                error,
            ) from error
        samples, rows, width = out.shape
        pixels = decoded.view(self.dtype).reshape(rows, width, samples)
        step = max(1, _PIECE // (width * samples * self.dtype.itemsize))
        for first in range(0, rows, step):
            piece = self._without_predictor(pixels[first : first + step])
            np.copyto(out[:, first : first + step], piece.transpose(2, 0, 1))

    def _without_predictor(self, pixels: np.ndarray) -> np.ndarray:
        """Whole rows of a segment `[rows, width, samples]` as numbers; may change `pixels`."""
        if self.predictor == 3:
            return imagecodecs.floatpred_decode(pixels, axis=-2)
        if self.predictor == 2:
            # Differences are taken on the bits, also of floating-point numbers.
            differences = pixels.view(f"u{self.dtype.itemsize}")
            return imagecodecs.delta_decode(differences, axis=-2, out=differences).view(self.dtype)
        return pixels


def tiff_blocks(path: str, fill: float) -> TiffBlocks | None:
    """The blocks of the TIFF at `path`; None where the file is no TIFF or its layout is better left to GDAL.

    Args:
        path: A local file.
        fill: The number that GDAL gives for segments that were never written: nodata, else 0.

    Raises:
        ReadError: If segments lie beyond the end of the file.
    """
    try:
        status = os.stat(path)
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages.first
            if tiff.byteorder != "<" or not isinstance(page, tifffile.TiffPage) or not _taken(page):
                return None
            offsets, counts = np.array(page.dataoffsets, np.int64), np.array(page.databytecounts, np.int64)
    except (OSError, ValueError, RuntimeError, KeyError, IndexError, TypeError, struct.error):
        # GDAL opens some TIFFs that tifffile refuses; those go its way.
        return None
    bands, height, width = page.samplesperpixel, page.imagelength, page.imagewidth
    separate = page.planarconfig == 2 and bands > 1
    segment = (page.tilelength, page.tilewidth) if page.is_tiled else (min(page.rowsperstrip, height), width)
    planes, down, across = bands if separate else 1, -(-height // segment[0]), -(-width // segment[1])
    if offsets.size != planes * down * across or counts.size != offsets.size:
        return None
    offsets, counts = offsets.reshape(planes, down, across), counts.reshape(planes, down, across)
    if (beyond := int((offsets + counts).max())) > status.st_size:
        raise ReadError(
            f"{path} is truncated",
            got=f"{status.st_size} bytes",
            expected=f"at least {beyond} bytes",
            fix="Copy or download the file anew",
        )
    dtype = np.dtype(page.dtype)
    row_bytes = width * dtype.itemsize * bands
    if not page.is_tiled and page.compression == COMPRESSION.NONE and segment[0] * row_bytes > _STRIP_BLOCK:
        offsets, counts, segment = _cut(offsets, row_bytes // planes, height, segment)
    joined = 1 if page.is_tiled else min(offsets.shape[1], max(1, _STRIP_BLOCK // (segment[0] * row_bytes)))
    return TiffBlocks(
        path,
        stamp(status),
        (bands, height, width),
        dtype,
        (segment[0] * joined, segment[1]),
        segment,
        page.is_tiled,
        separate,
        int(page.compression),
        int(page.predictor),
        offsets,
        counts,
        fill,
    )


def stamp(status: os.stat_result) -> tuple[int, int]:
    """What tells one state of a file from another."""
    return status.st_size, status.st_mtime_ns


def require_unchanged(path: str, expected: tuple[int, int], status: os.stat_result) -> None:
    """Raise `ReadError` if the file at `path` is not in the state in which it was opened."""
    if stamp(status) != expected:
        raise ReadError(
            f"{path} has changed since it was opened",
            got=f"{status.st_size} bytes, changed at {status.st_mtime_ns} ns",
            expected=f"{expected[0]} bytes, changed at {expected[1]} ns",
            fix="Start again, and leave the data alone during a run",
        )


def damaged(where: str, pixels: tuple[int, int, int, int], block: tuple[int, int], reason: object) -> ReadError:
    """The error of a block that cannot be decoded.

    Args:
        where: File and bands.
        pixels: First row, row below the last, first column, column right of the last.
        block: Its number from the top and from the left.
        reason: What the decoder said.
    """
    top, bottom, left, right = pixels
    return ReadError(
        f"{where} rows {top} to {bottom - 1}, columns {left} to {right - 1} (block {block[0]}, {block[1]})",
        got=reason,
        fix="Copy or download the file anew, or continue without this area with `--on-error skip`",
    )


def _taken(page: tifffile.TiffPage) -> bool:
    return (
        page.compression in _DECOMPRESS
        and page.predictor in (1, 2, 3)
        and page.photometric in _PHOTOMETRIC
        and page.fillorder == FILLORDER.MSB2LSB
        and page.imagedepth == 1
        and page.dtype is not None
        and page.dtype.kind in "uif"
        and page.bitspersample == 8 * page.dtype.itemsize
    )


def _cut(
    offsets: np.ndarray, row_bytes: int, height: int, segment: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Large plain strips as strips of one row, so that a window need not read all of them."""
    rows = np.arange(height)
    starts = offsets[:, rows // segment[0], :] + ((rows % segment[0]) * row_bytes)[None, :, None]
    # A strip that was never written stays so.
    starts[offsets[:, rows // segment[0], :] == 0] = 0
    return starts, np.full_like(starts, row_bytes), (1, segment[1])
