"""Tiles of 0.1 m with every crown outlined, in the layout of OAM-TCD."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from PIL import Image
from scipy import ndimage
from scipy.spatial import cKDTree

from swath.errors import ConfigError
from swath.files import replacing, write_text
from swath.geo.cog import write_cog
from swath.geo.grids import positions, shape_of
from swath.geo.masks import crop, mask_outline
from swath.geo.windows import Window
from swath.simulate import moment
from swath.simulate.optical import SENSORS, observe, sensor_grid
from swath.simulate.painting import paint
from swath.simulate.surface import SOURCES
from swath.simulate.world import World

#: Size of a pixel, m.
_PIXEL = 0.1
#: Crowns that touch, from which on they are a group.
_GROUP = 6
#: Parts, as they are dealt to one mosaic after the other, and tiles of a mosaic.
_PARTS, _TILES = ("train", "train", "test", "train", "val", "train", "test", "train"), 2
#: Crowns of which fewer pixels show are not outlined.
_LEAST = 20


@dataclass(frozen=True)
class Crown:
    """A crown, or a group of them.

    Attributes:
        category: 1 for a group (`canopy`), 2 for a single crown (`tree`), as published.
        window: The smallest window around it.
        mask: Its pixels in the window.
    """

    category: int
    window: Window
    mask: np.ndarray


def oam_tcd(world: World, root: Path, tiles: int = 16, edge: int = 512) -> list[Path]:
    """GeoTIFFs, masks and COCO files, as OAM-TCD is published (arXiv 2407.11743): crowns, and groups that touch.

    Two tiles in a row are of one mosaic, and mosaics are dealt to parts. Crowns are seen straight from above; of two
    that meet the higher one shows.

    Args:
        world: The world.
        root: Where to.
        tiles: Number of tiles, around single trees and where forests are thickest in turn.
        edge: Their side in pixels of 0.1 m.

    Raises:
        ConfigError: If the world has too few trees for so many tiles side by side.
    """
    when = moment.at(world, 170, 11.0)
    camera = replace(SENSORS["rgb"], pixel=_PIXEL, fine=1)
    written: list[Path] = []
    parts: dict[str, list[tuple[str, list[Crown]]]] = {"train": [], "val": [], "test": []}
    for number, grid in enumerate(_places(world, tiles, edge)):
        mosaic = number // _TILES
        name = f"{world.seed:012x}{mosaic:012x}_10_{number:05}"
        image, mask = root / f"images/{name}.tif", root / f"masks/{name}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        seen = observe(world, camera, when, grid).values
        written.append(write_cog(image, iter([seen]), grid, count=3, dtype="uint8"))
        owner = crown_owners(world, grid, when)
        with replacing(mask) as temporary:
            Image.fromarray((owner >= 0).astype(np.uint8)).save(temporary, "png")
        written.append(mask)
        parts[_PARTS[mosaic % len(_PARTS)]].append((image.name, crowns(owner)))
    for part, pictures in parts.items():
        written.append(root / f"{part}.json")
        write_text(written[-1], json.dumps(_coco(pictures, edge)))
    return written


def crown_owners(world: World, grid: GeoBox, when: moment.Moment) -> np.ndarray:
    """Place of the tree in its layer whose crown shows in each pixel `[H, W]`, -1 where none does.

    As painted: a crown is a disc around its stem, highest in the middle, and the highest shows.
    """
    surface = paint(world, grid, when)
    west, south, east, north = grid.extent.boundingbox.bbox
    stand = world.layer("trees", (west - 10, south - 10, east + 10, north + 10))
    rows, cols = positions(grid, stand.geometry.x.to_numpy(), stand.geometry.y.to_numpy())
    size = abs(grid.affine.a)
    owner, top = np.full(shape_of(grid), -1, np.int64), np.zeros(shape_of(grid))
    limits = Window(0, 0, *shape_of(grid))
    for place, (row, col, crown, height) in enumerate(
        zip(rows, cols, stand["crown"].to_numpy(), stand["height"].to_numpy(), strict=True)
    ):
        reach = crown / 2 / size
        around = Window(int(row - reach) - 1, int(col - reach) - 1, int(2 * reach) + 3, int(2 * reach) + 3)
        window = around.intersect(limits)
        if window.empty:
            continue
        r, c = np.ogrid[window.slices]
        away = ((r + 0.5 - row) ** 2 + (c + 0.5 - col) ** 2) / reach**2
        high = np.where(away <= 1, height * (1 - 0.3 * away), 0)
        higher = high > top[window.slices]
        owner[window.slices][higher] = place
        top[window.slices][higher] = high[higher]
    return np.where(surface.table.layer[surface.row] == SOURCES.index("trees"), owner, -1)


def crowns(owner: np.ndarray) -> list[Crown]:
    """Crowns and groups of what `crown_owners` gave."""
    groups, _ = ndimage.label(owner >= 0)
    found = []
    for group, place in enumerate(ndimage.find_objects(groups), 1):
        inside = groups[place] == group
        members = np.unique(owner[place][inside])
        masks = [inside] if len(members) >= _GROUP else [inside & (owner[place] == member) for member in members]
        for mask in masks:
            if mask.sum() >= _LEAST:
                tight, part = crop(mask)
                window = tight.shift(place[0].start, place[1].start)
                found.append(Crown(1 if len(members) >= _GROUP else 2, window, part))
    return found


def _places(world: World, count: int, edge: int) -> Iterator[GeoBox]:
    """Grids around single trees and around those of forests that touch most others in turn, that do not overlap."""
    trees = world.layer("trees")
    single = trees[trees["stand"] != "forest"].geometry
    forest = trees[trees["stand"] == "forest"]
    forest = forest.geometry.iloc[np.argsort(-_touching(forest), kind="stable")]
    west, south, east, north = world.bounds
    side = edge * _PIXEL
    chosen: list[tuple[float, float]] = []
    for point in chain.from_iterable(zip_longest(single, forest)):
        if point is None or len(chosen) == count:
            continue
        inside = min(point.x - west, east - point.x, point.y - south, north - point.y) > side
        if inside and all(max(abs(point.x - a), abs(point.y - b)) > 1.1 * side for a, b in chosen):
            chosen.append((point.x, point.y))
    if len(chosen) < count:
        raise ConfigError("The world has too few trees for so many tiles", got=count, expected=f"at most {len(chosen)}")
    for x, y in chosen:
        half = side / 2
        yield sensor_grid(world, _PIXEL, (x - half, y - half, x + half + 1, y + half + 1))[:edge, :edge]


def _touching(trees: gpd.GeoDataFrame) -> np.ndarray:
    """How many other crowns each crown touches `[n]`."""
    stems = np.column_stack([trees.geometry.x, trees.geometry.y])
    radius = trees["crown"].to_numpy() / 2
    pairs = cKDTree(stems).query_pairs(2 * radius.max(initial=0), output_type="ndarray")
    one, two = pairs[np.hypot(*(stems[pairs[:, 0]] - stems[pairs[:, 1]]).T) < radius[pairs].sum(1)].T
    return np.bincount(np.concatenate([one, two]), minlength=len(trees))


def _coco(pictures: list[tuple[str, list[Crown]]], edge: int) -> dict[str, Any]:
    images = [{"id": n, "file_name": name, "height": edge, "width": edge} for n, (name, _) in enumerate(pictures)]
    things: list[dict[str, Any]] = []
    for number, (_, found) in enumerate(pictures):
        for crown in found:
            window = crown.window
            outline = mask_outline(crown.mask, window.row, window.col)
            simple = isinstance(outline, shapely.Polygon) and not outline.interiors
            ring = shapely.get_coordinates(outline)[:-1].ravel().tolist() if simple else []
            things.append(
                {
                    "id": len(things) + 1, "image_id": number, "category_id": crown.category, "iscrowd": 0,
                    "bbox": [window.col, window.row, window.width, window.height], "area": int(crown.mask.sum()),
                    "segmentation": [ring] if simple else _runs(crown, edge),
                }
            )  # fmt: skip
    categories = [{"id": 1, "name": "canopy"}, {"id": 2, "name": "tree"}]
    return {"images": images, "annotations": things, "categories": categories}


def _runs(crown: Crown, edge: int) -> dict[str, Any]:
    """Uncompressed run lengths of COCO."""
    mask = np.zeros((edge, edge), bool)
    mask[crown.window.slices] = crown.mask
    flat = mask.T.ravel()
    changes = np.flatnonzero(np.diff(flat.astype(np.int8))) + 1
    runs = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return {"size": [edge, edge], "counts": [0, *runs] if flat[0] else runs}
