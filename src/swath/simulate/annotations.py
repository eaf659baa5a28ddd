"""Truths of the pictures of a world, as files: what of `truth` and `hyperspectral` belongs to each picture.

Convention: pixels are `(x, y)` = `(col, row)` from the top-left corner of the top-left pixel.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from odc.geo.geobox import GeoBox

from swath.files import write_text
from swath.simulate import album, hyperspectral, tables, traffic, truth
from swath.simulate.density import density
from swath.simulate.landcover import CLASSES
from swath.simulate.moment import Moment, standing_trees
from swath.simulate.painting import paint
from swath.simulate.picture import Picture
from swath.simulate.rasters import window_of, write_raster
from swath.simulate.world import World

#: What stands or moves in a picture and has an outline.
_KINDS = ("building", "vehicle", "ship")


def boxes(world: World, pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """Buildings, vehicles and ships of each picture as COCO, `<picture>.json`.

    `bbox` is left, top, width, height; `corners` are the oriented box, not cut at the border; `visible` is the share of
    the object in the picture, at least 0.3; `id` of buildings is that of their vector layer, and `damage` their state
    0..3 (`events.DAMAGE`).
    """
    written = []
    for picture in pictures:
        frames = things(world, picture)
        found: list[dict[str, Any]] = []
        for category, kind in enumerate(_KINDS, 1):
            frame = frames[kind]
            column = "building" if kind == "building" else "kind"
            for index, what, box, corners, visible in zip(
                *_columns(truth.boxes(frame, picture.grid, column)), strict=True
            ):
                left, top, right, bottom = (round(float(v), 3) for v in box)
                found.append(
                    {
                        "id": int(index),
                        "image_id": 1,
                        "category_id": category,
                        "kind": str(what),
                        "iscrowd": 0,
                        "bbox": [left, top, round(right - left, 3), round(bottom - top, 3)],
                        "area": round((right - left) * (bottom - top), 3),
                        "corners": np.round(corners, 3).tolist(),
                        "visible": round(float(visible), 4),
                        **({"damage": picture.moment.damage.get(int(index), 0)} if kind == "building" else {}),
                    }
                )
        height, width = picture.grid.shape
        images = [{"id": 1, "file_name": picture.files["image"].name, "height": height, "width": width}]
        categories = [{"id": number, "name": kind} for number, kind in enumerate(_KINDS, 1)]
        path = folder / f"{picture.name}.json"
        write_text(path, json.dumps({"images": images, "categories": categories, "annotations": found}))
        written.append(path)
    return written


def instances(world: World, pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """Numbers of buildings and of parcels, from 1; `<picture>.csv` gives the id of each in its vector layer."""
    written = []
    for picture in pictures:
        bounds = truth.bounds_of(picture.grid)
        ids = {layer: np.sort(world.layer(layer, bounds).index.to_numpy()) for layer in ("buildings", "parcels")}
        moment = picture.moment

        def number(part: GeoBox, ids: dict[str, np.ndarray] = ids, moment: Moment = moment) -> np.ndarray:
            surface = paint(world, part, moment)
            planes = []
            for layer, known in ids.items():
                seen = surface.objects(layer)
                planes.append(np.where(seen >= 0, np.searchsorted(known, seen) + 1, 0))
            return np.stack(planes).astype(np.int32)

        path = folder / f"{picture.name}.tif"
        written.append(write_raster(path, picture.grid, "int32", 2, number, nodata=0, names=tuple(ids)))
        lines = [f"{layer},{n},{index}" for layer, known in ids.items() for n, index in enumerate(known, 1)]
        written.append(path.with_suffix(".csv"))
        write_text(written[-1], "\n".join(["layer,number,id", *lines]) + "\n")
    return written


def vegetation(world: World, pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """Biomass of trees, t/ha, number of stems and height of crowns, m, on the pixels of each picture."""

    def grown(picture: Picture) -> Callable[[GeoBox], np.ndarray]:
        return lambda part: np.stack(
            [measure(world, part, picture.moment) for measure in (truth.biomass, truth.stems, truth.canopy_height)]
        )

    names = ("biomass", "stems", "canopy_height")
    return [write_raster(folder / f"{p.name}.tif", p.grid, "float32", 3, grown(p), names=names) for p in pictures]


def heights(world: World, pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """Elevation of the ground and of the surface, m, on the pixels of each picture."""

    def high(picture: Picture) -> Callable[[GeoBox], np.ndarray]:
        return lambda part: np.stack(truth.elevation(world, part, picture.moment)).astype(np.float32)

    return [
        write_raster(folder / f"{p.name}.tif", p.grid, "float32", 2, high(p), names=("dem", "dsm")) for p in pictures
    ]


def changes(world: World, pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """What changed from each picture to the next of the same sensor and place.

    `<first>_to_<second>.tif` holds land cover before and after at pixel centres, and 1 where they differ; the `.json`
    beside it the captions, the areas in m2 and the state (1..3) of each building whose damage has grown.
    """
    written = []
    for first, second in pairwise(pictures):
        if first.sensor != second.sensor or first.grid != second.grid:
            continue

        def compare(part: GeoBox, first: Picture = first, second: Picture = second) -> np.ndarray:
            before, after = (paint(world, part, p.moment).landcover for p in (first, second))
            return np.stack([before, after, before != after]).astype(np.uint8)

        path = folder / f"{first.name}_to_{second.name}.tif"
        names = ("before", "after", "changed")
        written.append(write_raster(path, first.grid, "uint8", 3, compare, names=names))
        found = truth.events_between(world, first.grid, first.moment, second.moment)
        facts = {
            "captions": found.captions,
            "built": [int(i) for i in found.built.index],
            "damage": {int(i): int(d) for i, d in found.damage["damage"].items()},
            "flooded_m2": found.flooded,
            "burned_m2": found.burned,
            "felled_m2": found.felled,
            "classes": CLASSES.to_dict(),
        }
        written.append(path.with_suffix(".json"))
        write_text(written[-1], json.dumps(facts, indent=1))
    return written


def plumes(_world: World, pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """Columns of leaking gas, ppm m, and the mass of each plume in the picture, kg, of pictures with leaks."""
    written = []
    for picture in pictures:
        for number, leak in enumerate(picture.moment.leaks):
            path = folder / f"{picture.name}_{leak.gas}_{number}.tif"
            mass = 0.0

            def column(part: GeoBox, leak: Any = leak) -> np.ndarray:
                nonlocal mass
                made = hyperspectral.leaking(part, leak)
                mass += made.mass
                return made.column[None]

            written.append(write_raster(path, picture.grid, "float32", 1, column, names=("column_ppm_m",)))
            facts = {
                "gas": leak.gas, "source": list(leak.source), "rate_kg_h": leak.rate, "wind_m_s": leak.wind,
                "direction_degrees": leak.direction, "mass_kg": mass,
            }  # fmt: skip
            written.append(path.with_suffix(".json"))
            write_text(written[-1], json.dumps(facts, indent=1))
    return written


def densities(world: World, pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """Buildings, vehicles, ships and trees a pixel, in bands of `<picture>.tif`; `<picture>.json` has their counts.

    Each thing whose middle lies in the picture adds one (`density.density`), so that the sum of a band is its count.
    """
    written = []
    for picture in pictures:
        grid, frames = picture.grid, things(world, picture)
        frames["tree"] = standing_trees(world, picture.moment, truth.bounds_of(grid))
        middles = {kind: shapely.get_coordinates(shapely.centroid(frames[kind].geometry.to_numpy())) for kind in frames}

        def spread(part: GeoBox, grid: GeoBox = grid, middles: dict[str, np.ndarray] = middles) -> np.ndarray:
            window = window_of(grid, part)
            return np.stack([density(points, grid, part=window) for points in middles.values()])

        path = folder / f"{picture.name}.tif"
        written.append(write_raster(path, grid, "float32", len(middles), spread, names=tuple(middles)))
        frame = shapely.box(*truth.bounds_of(grid))
        counts = {k: int(shapely.intersects_xy(frame, p[:, 0], p[:, 1]).sum()) for k, p in middles.items()}
        written.append(path.with_suffix(".json"))
        write_text(written[-1], json.dumps(counts, indent=1))
    return written


def things(world: World, picture: Picture) -> dict[str, gpd.GeoDataFrame]:
    """What can be counted in a picture by `_KINDS`."""
    bounds, time = truth.bounds_of(picture.grid), picture.moment.time
    found = standing(world, picture), traffic.vehicles(world, bounds, time), traffic.ships(world, time, bounds)
    return dict(zip(_KINDS, found, strict=True))


def standing(world: World, picture: Picture) -> gpd.GeoDataFrame:
    """Buildings in a picture that had been built by then."""
    houses = world.layer("buildings", truth.bounds_of(picture.grid))
    return houses[houses["start_date"] <= picture.moment.time.strftime("%Y-%m-%d")]


def _columns(found: truth.Boxes) -> tuple[np.ndarray, ...]:
    return found.index, found.kind, found.boxes, found.corners, found.visible


#: Writers of truths by name: each takes the world, the pictures taken, in order, and a folder.
TRUTHS: dict[str, Callable[[World, Sequence[Picture], Path], list[Path]]] = {
    "boxes": boxes,
    "densities": densities,
    "instances": instances,
    "vegetation": vegetation,
    "heights": heights,
    "changes": changes,
    "plumes": plumes,
    "language": album.write_language,
    "views": album.write_views,
    "tables": lambda world, _pictures, folder: tables.write_tables(world, folder),
    "lanes": lambda world, _pictures, folder: tables.write_lanes(world, folder),
    "misaligned": lambda world, _pictures, folder: tables.write_misaligned(world, folder),
}
