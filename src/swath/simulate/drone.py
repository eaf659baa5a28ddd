"""Drone pictures after a flood, with truth of every pixel, picture and question, in the layouts of FloodNet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from PIL import Image
from scipy import ndimage

from swath.errors import ConfigError
from swath.files import replacing, write_text
from swath.simulate import landcover as lc
from swath.simulate import moment
from swath.simulate.optical import SENSORS, observe, sensor_grid
from swath.simulate.painting import paint
from swath.simulate.shapes import outlines, polygons_of
from swath.simulate.surface import ground
from swath.simulate.world import World

#: Size of a pixel, m.
_PIXEL = 0.25
#: A building is flooded where so much of the ring of 1 m around it is under water; a picture, of so much new water.
_RING, _LEAST = 0.3, 0.05
#: Parts, as they are dealt to one picture after the other; each gets flooded ones and others.
_PARTS = ("train", "train", "test", "test", "val", "val", "train", "train")
#: Class in FloodNet of each land-cover code that no flood changes: background, water 5, tree 6, grass 9.
_CLASS = {lc.WATER: 5, lc.FOREST: 6, lc.GRASS: 9, lc.CROP: 9, lc.WETLAND: 9}
_FLOODED, _DRY = "flooded", "non flooded"


@dataclass(frozen=True)
class Shot:
    """A drone picture.

    Attributes:
        image: `[H, W, 3]`, uint8.
        mask: Codes of FloodNet `[H, W]`, uint8; there are no pools.
        buildings: Number of buildings that are flooded, and of those that are not.
        flooded: Whether a building or a road is, or a twentieth of the picture lies under new water.
    """

    image: np.ndarray
    mask: np.ndarray
    buildings: tuple[int, int]
    flooded: bool


def shots(world: World, count: int, edge: int) -> Iterator[Shot]:
    """Pictures of 0.25 m a pixel of places with buildings, after heavy rain.

    In every other one water stands on the lowest third to half of the ground; the world's own rivers rise too little
    to reach its towns, which keep away from them.

    Raises:
        ConfigError: If the world has too few buildings for so many pictures side by side.
    """
    dry = replace(moment.at(world, 240, 11.0), wetness=0.9)
    camera = replace(SENSORS["rgb"], pixel=_PIXEL)
    for number, grid in enumerate(_built_places(world, count, edge)):
        wet = dry if number % 2 else replace(dry, flooded=_standing_water(world, grid, 0.35 + 0.05 * (number % 4)))
        yield _shot(world, grid, dry, wet, observe(world, camera, wet, grid).values)


def _built_places(world: World, count: int, edge: int) -> Iterator[GeoBox]:
    """Grids around buildings that do not overlap, in the order of the buildings."""
    west, south, east, north = world.bounds
    side = edge * _PIXEL
    chosen: list[tuple[float, float]] = []
    for x, y in shapely.get_coordinates(world.layer("buildings").centroid):
        inside = min(x - west, east - x, y - south, north - y) > side
        if len(chosen) < count and inside and all(max(abs(x - a), abs(y - b)) > 1.1 * side for a, b in chosen):
            chosen.append((float(x), float(y)))
    if len(chosen) < count:
        raise ConfigError(
            "The world has too few buildings for so many pictures", got=count, expected=f"at most {len(chosen)}"
        )
    for x, y in chosen:
        half = side / 2
        yield sensor_grid(world, _PIXEL, (x - half, y - half, x + half + 1, y + half + 1))[:edge, :edge]


def _standing_water(world: World, grid: GeoBox, share: float) -> tuple[shapely.Polygon, ...]:
    """Polygons over the lowest ground of a picture, so much of it."""
    coarse = grid.zoom_out(8)
    height = ndimage.gaussian_filter(ground(world, coarse), 2)
    low = outlines(-height, coarse.affine, -float(np.quantile(height, share)), 25.0)
    return tuple(polygons_of(low))


def _shot(world: World, grid: GeoBox, dry: moment.Moment, wet: moment.Moment, image: np.ndarray) -> Shot:
    before, after = paint(world, grid, dry), paint(world, grid, wet)
    cover, water = before.landcover, after.landcover == lc.WATER
    mask = np.zeros(grid.shape, np.uint8)
    for code, theirs in _CLASS.items():
        mask[after.landcover == code] = theirs
    mask[before.objects("trees") >= 0] = 6
    road = np.isin(cover, (lc.ROAD, lc.PAVED))
    mask[road] = np.where(water, 3, 4)[road]
    standing = np.where(cover == lc.BUILDING, before.objects("buildings") + 1, 0)
    ring = ndimage.grey_dilation(standing, size=(9, 9)) * (standing == 0)
    numbers = np.unique(standing[standing > 0])
    share = ndimage.mean(water, ring, numbers) if len(numbers) else np.zeros(0)
    under = numbers[np.nan_to_num(share) > _RING]
    mask[standing > 0] = 2
    mask[np.isin(standing, under) & (standing > 0)] = 1
    mask[after.objects("vehicles") >= 0] = 7
    risen = float((water & (cover != lc.WATER)).mean())
    flooded = bool(len(under) or (mask == 3).sum() > 100 or risen > _LEAST)
    return Shot(np.moveaxis(image, 0, -1), mask, (len(under), len(numbers) - len(under)), flooded)


def floodnet(world: World, root: Path, pictures: int = 8, edge: int = 512) -> list[Path]:
    """Pictures with masks of codes, as FloodNet's supervised release 1.0 is laid out.

    Args:
        world: The world.
        root: Where to.
        pictures: Their number.
        edge: Their side in pixels of 0.25 m.
    """
    written: list[Path] = []
    for number, shot in enumerate(shots(world, pictures, edge)):
        part = _PARTS[number % len(_PARTS)]
        written += _write(
            {
                root / part / f"{part}-org-img" / f"{6000 + number}.jpg": shot.image,
                root / part / f"{part}-label-img" / f"{6000 + number}_lab.png": shot.mask,
            }
        )
    return written


def floodnet_classification(world: World, root: Path, pictures: int = 16, edge: int = 256) -> list[Path]:
    """Labelled and unlabelled pictures, as track 1 of FloodNet's challenge is laid out."""
    written: list[Path] = []
    for number, shot in enumerate(shots(world, pictures, edge)):
        name, folder = f"{7000 + number}", root / "Train" / "Labeled" / ("Flooded" if shot.flooded else "Non-Flooded")
        written += _write(
            {folder / "image" / f"{name}.jpg": shot.image, folder / "mask" / f"{name}_lab.png": shot.mask}
        )
    for number, shot in enumerate(shots(world, 3, edge)):
        for part in ("Train/Unlabeled", "Validation", "Test"):
            written += _write({root / part / "image" / f"{8000 + number}.jpg": shot.image})
    return written


def floodnet_vqa(world: World, root: Path, pictures: int = 16, edge: int = 256) -> list[Path]:
    """Pictures and questions in JSON, as track 2 of FloodNet's challenge is laid out; only training has answers."""
    files = {"Train": "Training Question", "Valid": "Valid Question", "Test": "Test_Question"}
    questions: dict[str, dict[str, dict[str, object]]] = {folder: {} for folder in files}
    written: list[Path] = []
    for number, shot in enumerate(shots(world, pictures, edge)):
        folder = "Train" if number < pictures - 4 else "Valid" if number < pictures - 2 else "Test"
        name = f"{9000 + number}.JPG"
        written += _write({root / "Images" / f"{folder}_Image" / name: shot.image})
        for kind, text, answer in asked(shot):
            entry: dict[str, object] = {"Image_ID": name, "Question": text, "Question_Type": kind}
            if folder == "Train":
                entry["Ground_Truth"] = answer
            questions[folder][str(len(questions[folder]))] = entry
    for folder, file in files.items():
        path = root / "Questions" / f"{file}.json"
        write_text(path, json.dumps(questions[folder], indent=1))
        written.append(path)
    return written


def asked(shot: Shot) -> list[tuple[str, str, str | int]]:
    """Type, text and answer of what FloodNet asks of a picture, in our words."""
    flooded, standing = shot.buildings
    found: list[tuple[str, str, str | int]] = [
        (
            "Condition_Recognition",
            "What is the overall condition of the given image?",
            _FLOODED if shot.flooded else _DRY,
        ),
        ("Simple_Counting", "How many buildings are in the image?", flooded + standing),
        ("Complex_Counting", "How many flooded buildings are in the image?", flooded),
        ("Complex_Counting", "How many non flooded buildings are in the image?", standing),
    ]
    wet, dry = int((shot.mask == 3).sum()), int((shot.mask == 4).sum())
    if wet + dry > 200:
        states = [name for name, pixels in ((_FLOODED, wet), (_DRY, dry)) if pixels > 100]
        found.append(("Condition_Recognition", "What is the condition of the road in this image?", ",".join(states)))
        found.append(("Yes_No", "Is the entire road flooded?", "Yes" if dry <= 100 else "No"))
        found.append(("Yes_No", "Is the entire road non flooded?", "Yes" if wet <= 100 else "No"))
    return found


def _write(files: dict[Path, np.ndarray]) -> list[Path]:
    for path, values in files.items():
        with replacing(path) as temporary:
            Image.fromarray(values).save(temporary, quality=95)
    return list(files)
