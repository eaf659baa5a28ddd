"""How much memory a scene takes as it grows: tall ones, and a large square one, with a network that costs nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.measure import Run
from benchmarks.networks import tiny
from benchmarks.scenes import swath
from benchmarks.world import build_scene

#: Width of the tall scenes.
COLS = 1024
HEIGHTS = (4096, 16384, 65536)
LARGE = 20_000


def run(folder: Path, rows: int, cols: int) -> Run:
    """Predict a scene that is made for this and removed afterwards."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path = build_scene(Path(temporary) / "scene.tif", rows, cols)
        return swath(path, tiny, Path(temporary), "fp32")


def tall(folder: Path, quick: bool) -> dict[str, Callable[[], Run]]:
    """Scenes of growing height."""
    heights = [rows // 16 if quick else rows for rows in HEIGHTS]
    return {f"{rows} x {COLS}": partial(run, folder, rows, COLS) for rows in heights}


def large(folder: Path, quick: bool) -> dict[str, Callable[[], Run]]:
    """One large square scene."""
    edge = 2_000 if quick else LARGE
    return {f"{edge} x {edge}": partial(run, folder, edge, edge)}
