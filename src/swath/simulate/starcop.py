"""Methane as STARCOP is published: a folder of bands for each scene, a binary label, lists of training and test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from swath.files import write_text
from swath.geo.cog import write_cog
from swath.sensors.bands import Bands
from swath.simulate import hyperspectral, moment
from swath.simulate.moment import Leak
from swath.simulate.optical import sensor_grid
from swath.simulate.world import World

#: Pixels of the airborne spectrometer, metres, and the window of methane that it sends, nm.
_PIXEL, _STEP, _WINDOW = 10.0, 7.0, (2122.0, 2490.0)
_COLOURS_NM = (460.0, 550.0, 640.0)
#: Column that the label calls a plume, ppm m, and the emission of the leaks, kg/h.
_LABELLED, _RATE = 500.0, 4000.0


def methane_onboard(world: World, root: Path, scenes: int = 6, edge: int = 128) -> list[Path]:
    """Scenes with a leak in the middle of every second one; the last third are for testing.

    Args:
        world: The world.
        root: Where to.
        scenes: Number of scenes, from west to east.
        edge: Their side in pixels of 10 m.
    """
    west, south, east, north = world.bounds
    when = moment.at(world, 170, 11.0)
    described = _described()
    lists: dict[str, list[str]] = {"train": [], "test": []}
    written: list[Path] = []
    for number in range(scenes):
        x, y, half = west + (east - west) * (number + 0.5) / scenes, (south + north) / 2, edge * _PIXEL / 2
        grid = sensor_grid(world, _PIXEL, (x - half, y - half, x + half + _PIXEL, y + half + _PIXEL))[:edge, :edge]
        plumes = (hyperspectral.leaking(grid, Leak((x, y), _RATE)),) if number % 2 == 0 else ()
        cube = hyperspectral.observe(world, when, grid, plumes, described)
        column = plumes[0].column if plumes else np.zeros(grid.shape, np.float32)
        name = f"sim_flight{number}_r0"
        for band, values in zip(described, cube.radiance, strict=True):
            path = root / name / f"TOA_AVIRIS_{band.wavelength:.0f}nm.tif"
            written.append(_write(path, values, grid))
        written.append(_write(root / name / "labelbinary.tif", (column > _LABELLED).astype(np.uint8), grid))
        lists["test" if number >= scenes - scenes // 3 else "train"].append(name)
    for part, names in lists.items():
        write_text(root / f"{part}.csv", "".join(f"{line}\n" for line in ("id", *names)))
        written.append(root / f"{part}.csv")
    return written


def _described() -> Bands:
    """Blue, green and red, and the window of methane."""
    pieces = [hyperspectral.bands(_STEP, nm, nm) for nm in _COLOURS_NM] + [hyperspectral.bands(_STEP, *_WINDOW)]
    return Bands(pieces[0].sensor, tuple(band for piece in pieces for band in piece))


def _write(path: Path, values: np.ndarray, grid: GeoBox) -> Path:
    return write_cog(path, iter([values[None]]), grid, count=1, dtype=values.dtype)
