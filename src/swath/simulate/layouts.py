"""Published layouts, written from a world, so that the readers of `swath.data.readers` are tested by round trip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from PIL import Image

from swath.data.readers.dubai import CLASSES as DUBAI
from swath.files import replacing, write_text
from swath.simulate import landcover as lc
from swath.simulate import moment, studies
from swath.simulate.aerial import gid15, mass_buildings
from swath.simulate.cloudsen12 import cloud_adapter
from swath.simulate.crop_patches import sen4agrinet
from swath.simulate.crowns import oam_tcd
from swath.simulate.drone import floodnet, floodnet_classification, floodnet_vqa
from swath.simulate.fusu import fusu
from swath.simulate.optical import SENSORS, observe, sensor_grid
from swath.simulate.painting import paint
from swath.simulate.rasters import write_raster
from swath.simulate.rice import bhutan_rice
from swath.simulate.roofs import roofnet
from swath.simulate.ship_tracks import cloudtracks
from swath.simulate.starcop import methane_onboard
from swath.simulate.world import World

#: Code in LandCover.ai of each land-cover code: background, building 1, woodland 2, water 3, road 4.
_LANDCOVER_AI = {lc.BUILDING: 1, lc.FOREST: 2, lc.WATER: 3, lc.ROAD: 4}


def landcover_ai(world: World, root: Path, sheets: int = 3, edge: int = 1100, tile: int = 512) -> list[Path]:
    """Sheets of 0.5 m with masks, and the lists of tiles, as LandCover.ai v1 is published (arXiv 2005.02264).

    The lists give one sheet each to training, validation and test in turn.

    Args:
        world: The world.
        root: Where to.
        sheets: Number of sheets, from west to east, each at the height of a settlement.
        edge: Their side in pixels.
        tile: Side of the tiles that the lists count.
    """
    table = np.zeros(10, np.uint8)
    for code, theirs in _LANDCOVER_AI.items():
        table[code] = theirs
    west, south, east, north = world.bounds
    when = moment.at(world, 170, 11.0)
    camera = SENSORS["rgb"]
    written: list[Path] = []
    lists: dict[str, list[str]] = {part: [] for part in ("train", "val", "test")}
    for number in range(sheets):
        middle = west + (east - west) * (number + 0.5) / sheets
        half = edge * camera.pixel / 2
        # at the height of the settlement that is nearest to the column of the sheet
        near = min(world.settlements, key=lambda s: abs(s.centre[0] - middle), default=None)
        y = (south + north) / 2 if near is None else near.centre[1]
        left, top = middle - half, float(np.clip(y, south + half, max(north - half, south + half))) + half
        left, top = np.floor(left / camera.pixel) * camera.pixel, np.ceil(top / camera.pixel) * camera.pixel
        affine = Affine(camera.pixel, 0, float(left), 0, -camera.pixel, float(top))
        grid = GeoBox((edge, edge), affine, world.grid.crs)
        name = f"W-{number}-simulated"
        image, mask = root / "images" / f"{name}.tif", root / "masks" / f"{name}.tif"
        write_raster(image, grid, "uint8", 3, lambda part: observe(world, camera, when, part).values)
        write_raster(mask, grid, "uint8", 1, lambda part: table[paint(world, part, when).landcover][None])
        written += [image, mask]
        across = -(-edge // tile)
        tiles = [f"{name}_{r * across + c}" for r in range(edge // tile) for c in range(edge // tile)]
        lists[("train", "val", "test")[number % 3]] += tiles
    for part, tiles in lists.items():
        write_text(root / f"{part}.txt", "".join(f"{t}\n" for t in tiles))
        written.append(root / f"{part}.txt")
    return written


#: Class in the Dubai data of each land-cover code: building 0, land 1, road 2, vegetation 3, water 4.
_DUBAI = {
    lc.BUILDING: 0, lc.BARE: 1, lc.ROAD: 2, lc.PAVED: 2, lc.FOREST: 3, lc.GRASS: 3, lc.CROP: 3, lc.WETLAND: 3,
    lc.WATER: 4,
}  # fmt: skip


def dubai(world: World, root: Path, tiles: int = 3, pictures: int = 3, edge: int = 512) -> list[Path]:
    """Pictures as JPEG and masks in colours, in tiles, as the Dubai land cover of Humans in the Loop is published.

    Args:
        world: The world.
        root: Where to.
        tiles: Number of tiles, from west to east.
        pictures: Number of pictures of a tile, from north to south.
        edge: Their side in pixels of 0.5 m.
    """
    colours = np.zeros((10, 3), np.uint8)
    for code, theirs in _DUBAI.items():
        colours[code] = DUBAI.colours[theirs]
    west, south, east, north = world.bounds
    when = moment.at(world, 170, 11.0)
    camera = SENSORS["rgb"]
    written: list[Path] = []
    for tile in range(1, tiles + 1):
        for number in range(1, pictures + 1):
            x = west + (east - west) * (tile - 0.5) / tiles
            y = north - (north - south) * (number - 0.5) / pictures
            half = edge * camera.pixel / 2
            grid = sensor_grid(world, camera.pixel, (x - half, y - half, x + half + 1, y + half + 1))[:edge, :edge]
            name = f"image_part_{number:03}"
            image, mask = (root / f"Tile {tile}" / k for k in (f"images/{name}.jpg", f"masks/{name}.png"))
            seen = np.moveaxis(observe(world, camera, when, grid).values, 0, -1)
            for path, values in ((image, seen), (mask, colours[paint(world, grid, when).landcover])):
                with replacing(path) as temporary:
                    Image.fromarray(values).save(temporary, quality=95)
                written.append(path)
    return written


#: Writers by the name of the reader that reads what they write.
LAYOUTS: dict[str, Callable[[World, Path], list[Path]]] = {
    "landcover_ai": landcover_ai,
    "dubai": dubai,
    "bhutan_rice": bhutan_rice,
    "methane_onboard": methane_onboard,
    "mass_buildings": mass_buildings,
    "gid15": gid15,
    "floodnet": floodnet,
    "floodnet_classification": floodnet_classification,
    "floodnet_vqa": floodnet_vqa,
    "cloud_adapter": cloud_adapter,
    "cloudtracks": cloudtracks,
    "roofnet": roofnet,
    "imgconfound": studies.imgconfound,
    "imghet": studies.imghet,
    "eohet_rct": studies.eohet_rct,
    "fusu": fusu,
    "oam_tcd": oam_tcd,
    "sen4agrinet": sen4agrinet,
}
