"""The Bhutan rice exports of Earth Engine, written from a world: points with their class, and an image to map."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from swath.data.readers.bhutan_rice import FOLDERS, feature_bands
from swath.data.tfrecord import write_examples
from swath.files import write_text
from swath.simulate import landcover as lc
from swath.simulate import moment, noise, sar
from swath.simulate.optical import SENSORS, observe, sensor_grid
from swath.simulate.painting import paint
from swath.simulate.surface import ground
from swath.simulate.truth import bounds_of
from swath.simulate.world import World

#: Days of the pictures whose medians are the features, by season.
_DAYS = {"before": (75, 105, 135), "during": (195, 225, 255)}
#: Class of each land-cover code: 0 cropland, 2 forest, 3 urban, 4 others; rice is told by the crop of the parcel.
_CLASS = {lc.CROP: 0, lc.FOREST: 2, lc.BUILDING: 3, lc.ROAD: 3, lc.PAVED: 3}
_RICE = 1
#: Headings of the satellite of each orbit, degrees.
_HEADINGS = {"asc": 348.0, "desc": 192.0}
#: Size of a pixel, m, and largest extent that is exported, m.
_PIXEL, _EXTENT = 10.0, 5000.0


def bhutan_rice(world: World, root: Path, points: int = 200, patch: int = 64) -> list[Path]:
    """Points and an image as the Bhutan rice exports are published (arXiv 2406.07482), with all their features.

    Args:
        world: The world; of larger ones its middle 5 km.
        root: Where to.
        points: Most points of a class in training; half as many in testing and in validation.
        patch: Edge of the patches of the image, pixels.
    """
    grid = _grid(world, patch)
    features = np.moveaxis(_features(world, grid), 0, -1)
    classes = _classes(world, grid)
    names = [*feature_bands("RGBNES").names, "class"]
    rng = noise.rng(world.seed, "bhutan_rice")
    wanted = {folder: points if folder == "training" else points // 2 for folder in FOLDERS}
    chosen: dict[str, list[np.ndarray]] = {folder: [] for folder in FOLDERS}
    for code in range(5):
        places = rng.permutation(np.flatnonzero(classes == code))
        # a rare class is shared out in the same proportion
        share = min(1.0, len(places) / (2 * points))
        ends = np.cumsum([int(share * n) for n in wanted.values()])
        for folder, part in zip(FOLDERS, np.split(places, ends)[:3], strict=True):
            chosen[folder].append(part)
    written = []
    for folder in FOLDERS:
        places = np.concatenate(chosen[folder])
        table = np.column_stack([features.reshape(-1, features.shape[2])[places], classes.ravel()[places]])
        written.append(root / folder / "points.tfrecord.gz")
        written[-1].parent.mkdir(parents=True, exist_ok=True)
        write_examples(written[-1], (dict(zip(names, row[:, None], strict=True)) for row in table.astype(np.float32)))
    height, width = grid.shape
    patches = (
        {
            name: plane[r : r + patch, c : c + patch].ravel()
            for name, plane in zip(names, np.moveaxis(features, -1, 0), strict=False)
        }
        for r in range(0, height, patch)
        for c in range(0, width, patch)
    )
    image = root / f"image_{world.config.year}.tfrecord.gz"
    write_examples(image, patches)
    mixer = {
        "projection": {"crs": str(grid.crs), "affine": {"doubleMatrix": list(grid.affine)[:6]}},
        "patchDimensions": [patch, patch],
        "patchesPerRow": width // patch,
        "totalPatches": (height // patch) * (width // patch),
    }
    write_text(root / f"image_{world.config.year}.json", json.dumps(mixer))
    return [*written, image, root / f"image_{world.config.year}.json"]


def _grid(world: World, patch: int) -> GeoBox:
    """Whole patches in the middle of the world."""
    west, south, east, north = world.bounds
    x, y = (west + east) / 2, (south + north) / 2
    step = _PIXEL * patch
    width, height = (int(min(side, _EXTENT) // step) * step for side in (east - west, north - south))
    left, bottom = (np.ceil((v - side / 2) / _PIXEL) * _PIXEL for v, side in ((x, width), (y, height)))
    return sensor_grid(world, _PIXEL, (left, bottom, left + width, bottom + height))


def _features(world: World, grid: GeoBox) -> np.ndarray:
    """All features in the order of the reader `[18, H, W]` float32: reflectance, m, degrees, dB."""
    camera = SENSORS["sentinel2_l2a"]
    pick = [camera.bands.index(name) for name in ("red", "green", "blue", "nir")]
    optical, radar = {}, {}
    for season, days in _DAYS.items():
        moments = [moment.at(world, day) for day in days]
        seen = [camera.bands.decode(observe(world, camera, when, grid).values)[pick] for when in moments]
        optical[season] = np.median(seen, 0)
        for orbit, heading in _HEADINGS.items():
            power = [sar.backscatter(world, when, sar.Radar(heading=heading), grid).power for when in moments]
            radar[orbit, season] = 10 * np.log10(np.median(power, 0))
    height = ground(world, grid)
    slope = np.degrees(np.arctan(np.hypot(*np.gradient(height, _PIXEL))))
    planes = [*optical["before"], *optical["during"], height, slope]
    planes += [plane for orbit in _HEADINGS for season in _DAYS for plane in radar[orbit, season]]
    return np.stack(planes).astype(np.float32)


def _classes(world: World, grid: GeoBox) -> np.ndarray:
    """Class of each pixel's centre `[H, W]`."""
    surface = paint(world, grid, moment.at(world, 200))
    table = np.full(10, 4)
    for code, theirs in _CLASS.items():
        table[code] = theirs
    classes = table[surface.landcover]
    parcels = world.layer("parcels", bounds_of(grid))
    rice = parcels.index[(parcels["crop"] == "rice").to_numpy()]
    classes[np.isin(surface.objects("parcels"), rice)] = _RICE
    return classes
