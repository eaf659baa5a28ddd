"""How far a job is, from what it has left on disk, and what its map looks like so far."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from swath.errors import ReadError
from swath.scene.store import CHUNK

#: Longest edge of the picture of an unfinished map, in pixels.
_PICTURE = 1024


def progress(verb: str, output: Path, facts: dict[str, Any]) -> tuple[int, int]:
    """Steps that are done, and all of them: chunks of rows of a map, epochs of a run; 0 of 0 where unknown."""
    if verb == "predict" and (shape := facts.get("shape")):
        total = -(-int(shape[0]) // CHUNK)
        return min(len(_chunks(output)), total), total
    if verb == "fit" and (epochs := facts.get("epochs")):
        try:
            with open(output / "metrics.csv", encoding="utf-8", newline="") as file:
                return min(sum(1 for _ in csv.DictReader(file)), int(epochs)), int(epochs)
        except OSError:
            return 0, int(epochs)
    return 0, 0


def picture_so_far(output: Path, facts: dict[str, Any]) -> bytes:
    """The finished rows of a class map as PNG with the proportions of the whole map, transparent where none are yet.

    Raises:
        ReadError: If nothing is finished, or the map is no class map.
    """
    chunks, shape, legend = _chunks(output), facts.get("shape"), facts.get("legend")
    if not chunks or not shape or not legend:
        raise ReadError(f"Nothing of {output.name} can be seen yet")
    height, width = map(int, shape)
    step = max(1, -(-max(height, width) // _PICTURE))
    codes = np.zeros((-(-height // step), -(-width // step)), np.int64) - 1
    for path in chunks:
        row = int(path.stem)
        rows = _codes(path, min(CHUNK, height - row), width)
        first = -row % step
        kept = rows[first::step, ::step]
        start = (row + first) // step
        codes[start : start + len(kept)] = kept
    picture = np.zeros((*codes.shape, 4), np.uint8)
    for entry in legend:
        picture[codes == entry["code"]] = (*bytes.fromhex(entry["colour"][1:]), 255)
    return bytes(imagecodecs.png_encode(picture, level=1))


def _chunks(output: Path) -> list[Path]:
    return sorted(output.with_name(f".{output.name}.partial").glob("*.rows"))


def _codes(path: Path, rows: int, width: int) -> np.ndarray:
    """The first output of a chunk; see `swath.scene.store`."""
    try:
        with open(path, "rb") as file:
            size = json.loads(file.readline())["sizes"][0]
            plain = imagecodecs.zstd_decode(file.read(size))
        dtype = np.uint8 if len(plain) == rows * width else np.uint16
        return np.frombuffer(plain, dtype).reshape(rows, width).astype(np.int64)
    except (OSError, ValueError, KeyError, imagecodecs.ZstdError) as error:
        raise ReadError("The rows so far cannot be read", got=error) from error
