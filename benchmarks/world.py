"""The data of the sampling benchmark: scenes in two UTM zones, labels in a third CRS, and plain arrays of the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from scipy.ndimage import zoom

BANDS = 6
ZONES = ("EPSG:32632", "EPSG:32633")
CODECS = {"deflate": {"compress": "deflate", "zlevel": 6}, "zstd": {"compress": "zstd", "zstd_level": 9}}


@dataclass(frozen=True)
class World:
    """Where the files are.

    Attributes:
        folder: Of everything.
        size: Height and width of a scene.
        each: Scenes in each zone.
    """

    folder: Path
    size: int
    each: int

    def scene(self, codec: str, zone: int, number: int) -> Path:
        """A GeoTIFF."""
        return self.folder / codec / f"zone{zone}_{number}.tif"

    def array(self, zone: int, number: int) -> Path:
        """The pixels of a scene as a plain array `[bands, height, width]`."""
        return self.folder / "npy" / f"zone{zone}_{number}.npy"

    @property
    def labels(self) -> Path:
        """Land cover of the whole ground, 20 m, EPSG:3035."""
        return self.folder / "labels" / "labels.tif"

    def grid(self, zone: int, number: int) -> GeoBox:
        """Scenes of the first zone lie north of one another at 10.9 degrees east, those of the second at 13."""
        left, top = ((640_000, 5_400_000), (350_000, 5_400_000))[zone]
        top -= number * (self.size * 10 + 2000)
        return GeoBox((self.size, self.size), Affine(10, 0, left, 0, -10, top), ZONES[zone])


def build(folder: Path, size: int = 4096, each: int = 4) -> World:
    """Make what is not there yet."""
    world = World(folder, size, each)
    for zone in range(len(ZONES)):
        for number in range(each):
            _scene(world, zone, number)
    if not world.labels.exists():
        _labels(world)
    return world


def _scene(world: World, zone: int, number: int) -> None:
    paths = {codec: world.scene(codec, zone, number) for codec in CODECS}
    array = world.array(zone, number)
    if array.exists() and all(path.exists() for path in paths.values()):
        return
    rng = np.random.default_rng([zone, number])
    pixels = np.empty((BANDS, world.size, world.size), np.uint16)
    fields = zoom(rng.normal(size=(world.size // 64 + 1,) * 2), 64, order=1)[: world.size, : world.size]
    texture = zoom(rng.normal(size=(world.size // 8,) * 2), 8, order=1)
    for band in range(BANDS):
        noise = rng.normal(0, 40, (world.size, world.size))
        pixels[band] = np.clip(2500 + 300 * band + 900 * fields + 250 * texture + noise, 1, 10_000)
    grid = world.grid(zone, number)
    for codec, path in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        profile = {"driver": "GTiff", "count": BANDS, "dtype": "uint16", "crs": ZONES[zone], "transform": grid.affine}
        layout = {"tiled": True, "blockxsize": 512, "blockysize": 512, "predictor": 2, "num_threads": 2}
        with rasterio.open(
            path, "w", height=world.size, width=world.size, interleave="pixel", **profile, **layout, **CODECS[codec]
        ) as file:
            file.write(pixels)
    array.parent.mkdir(parents=True, exist_ok=True)
    np.save(array, pixels)


def _labels(world: World) -> None:
    corners = []
    for zone, crs in enumerate(ZONES):
        transform = Transformer.from_crs(crs, "EPSG:3035", always_xy=True).transform
        for number in range(world.each):
            box = world.grid(zone, number).boundingbox
            corners += [transform(x, y) for x in (box.left, box.right) for y in (box.bottom, box.top)]
    xs, ys = zip(*corners, strict=True)
    left, top = min(xs) // 20 * 20 - 2000, max(ys) // 20 * 20 + 2000
    width, height = int((max(xs) - left + 2000) // 20), int((top - min(ys) + 2000) // 20)
    coarse = np.random.default_rng(9).integers(1, 9, (height // 32 + 1, width // 32 + 1), np.uint8)
    codes = coarse.repeat(32, 0).repeat(32, 1)[:height, :width]
    world.labels.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        world.labels, "w", "GTiff", width, height, 1, "EPSG:3035", Affine(20, 0, left, 0, -20, top), "uint8",
        tiled=True, blockxsize=512, blockysize=512, compress="deflate",
    ) as file:  # fmt: skip
        file.write(codes, 1)


def build_scene(path: Path, rows: int, cols: int) -> Path:
    """A scene of smooth fields and noise, written strip by strip, where it is not there yet."""
    if path.exists():
        return path
    profile = {
        "driver": "GTiff", "height": rows, "width": cols, "count": BANDS, "dtype": "uint16", "crs": ZONES[0],
        "transform": Affine(10, 0, 500_000, 0, -10, 5_400_000), "tiled": True, "blockxsize": 512, "blockysize": 512,
        "compress": "zstd", "zstd_level": 1, "predictor": 2, "bigtiff": "if_safer", "num_threads": 2,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part.tif")
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 200, (BANDS, 512, cols), np.uint16)
    with rasterio.open(unfinished, "w", **profile) as file:
        for top in range(0, rows, 512):
            height = min(512, rows - top)
            y, x = np.arange(top, top + height)[:, None] / 97.0, np.arange(cols)[None] / 97.0
            strip = np.roll(noise[:, :height], top, 2)
            for band, plane in enumerate(strip):
                plane += (3000 + 1500 * np.sin(x + band) * np.cos(y - band)).astype(np.uint16)
            file.write(strip, window=rasterio.windows.Window(0, top, cols, height))
    unfinished.rename(path)
    return path
