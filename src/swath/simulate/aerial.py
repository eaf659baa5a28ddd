"""Pictures of settlements with a class a pixel, in the layouts of Massachusetts Buildings and of GID-15."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox
from PIL import Image

from swath.errors import ConfigError
from swath.files import replacing
from swath.geo.cog import write_cog
from swath.simulate import landcover as lc
from swath.simulate import moment
from swath.simulate.optical import SENSORS, observe, sensor_grid
from swath.simulate.painting import paint
from swath.simulate.world import World

#: Folders of parts, as they are dealt to one picture after the other.
_BUILDING_PARTS = ("train", "train", "test", "train", "valid", "train", "test", "train")
_GID_PARTS = ("train", "train", "val", "train", "test", "val")
#: Share of the width of the first training picture that was taken.
_TAKEN = 0.85

#: Code in GID-15 of each land-cover code: background, rural residential 3, traffic land 4, dry cropland 7, arbor
#: woodland 9, natural grassland 11, lake 14.
_GID = {lc.BUILDING: 3, lc.ROAD: 4, lc.PAVED: 4, lc.CROP: 7, lc.FOREST: 9, lc.GRASS: 11, lc.WETLAND: 11, lc.WATER: 14}


def mass_buildings(world: World, root: Path, pictures: int = 8, edge: int = 400) -> list[Path]:
    """Pictures of 1 m with buildings in red, as Massachusetts Buildings is published (Mnih 2013).

    The east of the first training picture is white, without buildings, as where nothing was taken.

    Args:
        world: The world.
        root: Where to.
        pictures: Number of pictures, at settlements first.
        edge: Their side in pixels.

    Raises:
        ConfigError: If so many pictures have no place side by side in the world.
    """
    written: list[Path] = []
    for number, grid in enumerate(_places(world, pictures, edge, 1.0)):
        image, classes = _picture(world, grid)
        labels = np.zeros_like(image)
        labels[0, classes == lc.BUILDING] = 255
        if number == 0:
            image[..., round(_TAKEN * edge) :], labels[..., round(_TAKEN * edge) :] = 255, 0
        folder = root / _BUILDING_PARTS[number % len(_BUILDING_PARTS)]
        for path, values in (
            (folder / f"sat/world_{number:02}.tiff", image),
            (folder / f"map/world_{number:02}.tif", labels),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            written.append(write_cog(path, iter([values]), grid, count=3, dtype="uint8"))
    return written


def gid15(world: World, root: Path, pictures: int = 6, edge: int = 192) -> list[Path]:
    """Pictures of 3 m with codes of classes as GID-15 is published; those of the test part have no labels.

    Args:
        world: The world.
        root: Where to.
        pictures: Number of pictures, at settlements first.
        edge: Their side in pixels.

    Raises:
        ConfigError: If so many pictures have no place side by side in the world.
    """
    codes = np.zeros(10, np.uint8)
    codes[list(_GID)] = list(_GID.values())
    written: list[Path] = []
    for number, grid in enumerate(_places(world, pictures, edge, 3.0)):
        part, name = _GID_PARTS[number % len(_GID_PARTS)], f"GF2_world_{number:02}"
        image, classes = _picture(world, grid)
        path = root / f"GID/img_dir/{part}/{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        written.append(write_cog(path, iter([image]), grid, count=3, dtype="uint8"))
        if part != "test":
            path = root / f"GID/ann_dir/{part}/{name}_15label.png"
            with replacing(path) as temporary:
                Image.fromarray(codes[classes]).save(temporary, "png")
            written.append(path)
    return written


def _picture(world: World, grid: GeoBox) -> tuple[np.ndarray, np.ndarray]:
    """What a camera sees on a summer morning, uint8 `[3, H, W]`, and the land-cover code of each pixel's centre."""
    when = moment.at(world, 170, 11.0)
    camera = replace(SENSORS["rgb"], pixel=grid.affine.a)
    return observe(world, camera, when, grid).values, paint(world, grid, when).landcover


def _places(world: World, count: int, edge: int, pixel: float) -> list[GeoBox]:
    """Grids of `edge` pixels side by side: around settlements, the largest first, then wherever there is room."""
    west, south, east, north = world.bounds
    side = edge * pixel
    rest = product(
        np.arange(west + side / 2, east - side / 2, side / 4), np.arange(south + side / 2, north - side / 2, side / 4)
    )
    chosen: list[tuple[float, float]] = []
    for x, y in [*(s.centre for s in world.settlements), *rest]:
        inside = min(x - west, east - x, y - south, north - y) >= side / 2
        if inside and all(max(abs(x - a), abs(y - b)) >= side + pixel for a, b in chosen):
            chosen.append((float(x), float(y)))
    if len(chosen) < count:
        raise ConfigError(
            "The world has no room for so many pictures",
            got=f"{count} of {side:g} m",
            expected=f"at most {len(chosen)}",
        )
    half = side / 2
    return [
        sensor_grid(world, pixel, (x - half, y - half, x + half + pixel, y + half + pixel))[:edge, :edge]
        for x, y in chosen[:count]
    ]
