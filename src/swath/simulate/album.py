"""Words about pictures, and views from drones, streets and orbit with their geometry, as files."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning
from rasterio.rpc import RPC

from swath.errors import ConfigError
from swath.files import replacing, write_bytes, write_text
from swath.geo.grids import window_grid
from swath.geo.windows import Window
from swath.simulate import language, rays, rpc, truth, views
from swath.simulate.picture import Picture
from swath.simulate.world import Bounds, World

#: Edge of the pieces of a picture that words are about, pixels.
_PIECE = 256


def write_language(world: World, pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """Captions, questions with answers and scene graphs of pieces of 256 pixels of each picture.

    `<picture>.jsonl` holds a line for each piece: `window` (row, col, height, width), `captions`, `questions` (`kind`,
    `text`, `answer`), `objects` (`kind`, `attribute`, `id`, `box` in pixels of the picture) and `relations`.
    """
    written = []
    for picture in pictures:
        written.append(folder / f"{picture.name}.jsonl")
        write_text(written[-1], "".join(f"{json.dumps(line)}\n" for line in _told(world, picture)))
    return written


def _told(world: World, picture: Picture) -> Iterator[dict[str, Any]]:
    height, width = picture.grid.shape
    edge = min(_PIECE, height, width)
    for row in range(0, height - edge + 1, edge):
        for col in range(0, width - edge + 1, edge):
            bounds = truth.bounds_of(window_grid(picture.grid, Window(row, col, edge, edge)))
            scene = language.facts(world, bounds, picture.moment)
            graph = language.scene_graph(world, bounds, picture.moment)
            things = graph.objects
            left, top, right, bottom = (things.bounds[k].to_numpy() for k in ("minx", "maxy", "maxx", "miny"))
            corners = [*(~picture.grid.affine @ (left, top)), *(~picture.grid.affine @ (right, bottom))]
            yield {
                "window": [row, col, edge, edge],
                "captions": language.captions(scene),
                "questions": [asdict(question) for question in language.questions(scene)],
                "objects": [
                    {"kind": kind, "attribute": attribute, "id": int(index), "box": box}
                    for kind, attribute, index, box in zip(
                        things["kind"],
                        things["attribute"],
                        things["index"],
                        np.round(np.stack(corners, -1), 2).tolist(),
                        strict=True,
                    )
                ],
                "relations": [[r.subject, r.predicate, r.object] for r in graph.relations],
            }


def write_views(world: World, pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """Views of the largest settlement at the time of the first picture, with their geometry.

    `oblique.png` and `thermal.tif` (K) from a drone, `street.png` (equirectangular), `pushbroom_{0,1,2}.tif` from three
    sides with their RPC, and `orbit.png` of the world; `<view>.json` holds pose, homography of the ground plane (where
    there is one) and `<view>.points.npy` the world point of each pixel `[H, W, 3]`, NaN for the sky.

    Raises:
        ConfigError: If no picture says when.
    """
    if not pictures:
        raise ConfigError("Views need a picture that says when", fix="Ask for at least one sensor and date")
    moment = pictures[0].moment
    west, south, east, north = world.bounds
    x, y = world.settlements[0].centre if world.settlements else ((west + east) / 2, (south + north) / 2)
    half = min(250.0, (east - west) / 2, (north - south) / 2)
    x, y = float(np.clip(x, west + half, east - half)), float(np.clip(y, south + half, north - half))
    bounds = x - half, y - half, x + half, y + half
    land = rays.relief(world, moment, bounds, 0.5)
    level = float(np.median(land.ground))
    drone = views.Camera.looking((x - 60, y - 150, level + 110), 20, 55, 560, (480, 640))
    written = _write(folder / "oblique.png", views.photograph(land, drone), _pose(drone, level))
    above = views.Camera.looking((x, y, level + 120), 0, 0, 400, (256, 320))
    warm = rays.relief(world, moment, (x - half / 2, y - half / 2, x + half / 2, y + half / 2), 0.5, heat=True)
    written += _write(folder / "thermal.tif", views.photograph(warm, above), _pose(above, level))
    place = street_near(world, x, y)
    written += _write(folder / "street.png", views.panorama(land, place, 768), {"place": list(place), "height_m": 2.4})
    written += _pushbroom(world, land, (x, y, level), bounds, folder)
    photo, camera = views.from_orbit(world, moment, shape=(360, 540))
    written += _write(folder / "orbit.png", photo, _pose(camera, 0.0))
    return written


def street_near(world: World, x: float, y: float) -> tuple[float, float]:
    """The middle of the street that is nearest to a place; the place itself where there is none."""
    ways = world.layer("roads", (x - 200, y - 200, x + 200, y + 200)).geometry
    if not len(ways):
        return x, y
    middle = ways.interpolate(0.5, normalized=True)
    best = int(np.argmin(np.hypot(middle.x - x, middle.y - y)))
    return float(middle.x.iloc[best]), float(middle.y.iloc[best])


def _pushbroom(
    world: World, land: rays.Relief, target: tuple[float, float, float], bounds: Bounds, folder: Path
) -> list[Path]:
    written = []
    heights = float(land.dsm.min()) - 20, float(land.dsm.max()) + 20
    for number, (azimuth, off_nadir) in enumerate(((200.0, 25.0), (20.0, 15.0), (110.0, 5.0))):
        satellite = views.Pushbroom.over(target, azimuth, off_nadir, 1.0, (320, 320))
        facts = {"azimuth_degrees": azimuth, "off_nadir_degrees": off_nadir}
        model = rpc.fitted(satellite.project, bounds, heights, world.config.crs)
        written += _write(folder / f"pushbroom_{number}.tif", views.sweep(land, satellite), facts, model)
    return written


def _pose(camera: views.Camera, level: float) -> dict[str, Any]:
    """Where a camera is and looks, and how it maps `(x, y, 1)` on the plane z = `level` to `(col, row, 1)`."""
    return {
        "centre": camera.centre.tolist(),
        "rotation": camera.rotation.tolist(),
        "matrix": camera.matrix.tolist(),
        "plane_z": level,
        "homography": camera.homography(level).tolist(),
    }


def _write(path: Path, view: views.View, facts: dict[str, Any], model: RPC | None = None) -> list[Path]:
    """A view, its facts and the point that each of its pixels shows."""
    planes = view.values[None] if view.values.ndim == 2 else np.moveaxis(view.values, -1, 0)
    if path.suffix == ".png":
        buffer = BytesIO()
        Image.fromarray(view.values).save(buffer, "PNG")
        write_bytes(path, buffer.getvalue())
    else:
        shape = {"count": len(planes), "height": planes.shape[1], "width": planes.shape[2], "dtype": planes.dtype.name}
        with replacing(path) as temporary, warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(temporary, "w", driver="GTiff", compress="deflate", rpcs=model, **shape) as raster:
                raster.write(planes)
    buffer = BytesIO()
    np.save(buffer, view.points)
    places, told = path.with_suffix(".points.npy"), path.with_suffix(".json")
    write_bytes(places, buffer.getvalue())
    write_text(told, json.dumps(facts, indent=1))
    return [path, places, told]
