"""A world on disk: vectors, elevation, pictures and their truth, in Swath's own layout.

    world.yaml            the settings that make everything again
    vectors.gpkg          layers in the OpenStreetMap schema
    dem.tif               elevation of the ground, m
    images/<sensor>/<shot>_<time>.tif
    labels/<shot>_<time>.tif   land-cover codes on the grid of the picture
    clouds/<shot>_<time>.tif   0 clear, 1 shadow, 2 cloud, where there are clouds
    truth/                what `truths` asks for
    data.yaml             the same as a data set: layers, labels, classes, split

Everything is made and written by windows, so memory does not grow with the extent.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import yaml
from odc.geo.geobox import GeoBox

from swath import __version__
from swath.files import replacing, write_text
from swath.geo.cog import describe_bands
from swath.geo.stac import write_item
from swath.simulate import landcover as lc
from swath.simulate import requests, sar, truth, weather
from swath.simulate.annotations import TRUTHS
from swath.simulate.atmosphere import Atmosphere
from swath.simulate.clouds import Sky
from swath.simulate.instruments import instrument
from swath.simulate.layouts import LAYOUTS
from swath.simulate.moment import Moment
from swath.simulate.optical import SENSORS, sensor_grid
from swath.simulate.picture import Picture
from swath.simulate.rasters import window_of, write_raster
from swath.simulate.requests import Happening, Shot
from swath.simulate.surface import ground
from swath.simulate.world import LAYERS, World, WorldConfig

#: Vectors of a layer that wait in memory to be written together.
_HELD = 250_000


def simulate(config: WorldConfig | Path | str | Mapping[str, Any], output: Path | str) -> list[Path]:
    """Make a world and write it, its pictures and their truth into the folder `output`.

    Args:
        config: What `requests.read` takes: a preset, a YAML file or a mapping.
        output: A new or empty folder, or one that `simulate` has written before.

    Returns:
        The files written, `data.yaml` first where a sensor of the catalogue took pictures.

    Raises:
        ConfigError: If a setting cannot be used.
        UnknownNameError: If there is no such preset, sensor, event, truth or layout.
        WriteError: If a file cannot be written.
    """
    asked = requests.read(config)
    output = Path(output)
    world = World(asked.settings)
    write_text(output / "world.yaml", asked.to_yaml())
    written = [write_vectors(world, output / "vectors.gpkg"), write_elevation(world, output / "dem.tif")]
    pictures: list[Picture] = []
    for number, shot in enumerate(asked.shots):
        for time in shot.times:
            moment = moment_after(world, time, asked.happenings)
            pictures.append(write_shot(world, shot, moment, output, f"shot{number}_{time:%Y%m%dT%H%M}"))
            written += pictures[-1].files.values()
    for name in asked.truths:
        written += TRUTHS[name](world, pictures, output / "truth" / name)
    for layout in asked.layouts:
        written += LAYOUTS[layout](world, output / layout)
    summaries = [output / "world.yaml"]
    if text := _data_yaml(pictures):
        write_text(output / "data.yaml", text)
        summaries.insert(0, output / "data.yaml")
    return [*summaries, *written]


def moment_after(world: World, time: datetime, happenings: Sequence[Happening] = ()) -> Moment:
    """The moment at a time, in its weather, after all `happenings` before it."""
    moment = weather.moment_in(world, time)
    for when, happen in happenings:
        if when <= moment.time:
            moment = happen(world, moment)
    return moment


def write_shot(world: World, shot: Shot, moment: Moment, output: Path, name: str) -> Picture:
    """Write a picture, its labels and, where there are clouds, their mask (0 clear, 1 shadow, 2 cloud)."""
    seeing = instrument(shot.sensor)
    cloud = shot.clouds
    if cloud is None:
        cloud = float(weather.today(world, moment.time)["cloud"])
    sky, air = Sky(cover=cloud, cirrus=shot.cirrus), Atmosphere(aerosol=shot.haze)
    image, labels = output / "images" / shot.sensor / f"{name}.tif", output / "labels" / f"{name}.tif"
    files = {"image": image, "labels": labels}
    grid = sensor_grid(world, seeing.pixel, shot.bounds, seeing.origin)
    with tempfile.TemporaryFile() as scratch:
        # masks that fall out with the picture wait on disk until it is written
        masks = np.memmap(scratch, np.uint8, shape=(2, *(max(n, 1) for n in grid.shape)))
        given = np.zeros(2, bool)

        def look(part: GeoBox) -> np.ndarray:
            seen = seeing.look(world, moment, part, sky, air)
            for number, mask in enumerate((seen.landcover, seen.clouds)):
                if mask is not None:
                    masks[number][window_of(grid, part).slices] = mask
                    given[number] = True
            return seen.values

        bands = seeing.bands
        write_raster(image, grid, seeing.dtype, len(bands), look, nodata=bands[0].nodata, names=bands.names)

        def label(part: GeoBox) -> np.ndarray:
            if given[0]:
                return masks[:1][:, *window_of(grid, part).slices]
            return truth.landcover_mask(world, part, moment, seeing.fine)[None]

        write_raster(labels, grid, "uint8", 1, label, nodata=0, names=("landcover",), landcover=True)
        if (cloud > 0 or shot.cirrus > 0) and given[1]:
            files["clouds"] = output / "clouds" / f"{name}.tif"
            write_raster(files["clouds"], grid, "uint8", 1, lambda part: masks[1:][:, *window_of(grid, part).slices])
    assets = {kind: path for kind, path in files.items() if kind != "image"}
    provenance = {
        "system": "swath.simulate",
        "weights": None,
        "inputs": [f"seed {world.config.seed}"],
        "version": __version__,
    }
    described = describe_bands(bands.names, seeing.dtype, bands[0].nodata, bands[0].unit)
    write_item(image, grid=grid, provenance=provenance, bands=described, time=moment.time, assets=assets)
    return Picture(name, shot.sensor, grid, moment, files)


def write_elevation(world: World, path: Path, pixel: float = 10.0) -> Path:
    """Write the elevation of the ground, m."""
    grid = sensor_grid(world, pixel)
    return write_raster(path, grid, "float32", 1, lambda part: ground(world, part)[None], names=("elevation",))


def write_vectors(world: World, path: Path, layers: Sequence[str] = LAYERS) -> Path:
    """Write vector layers into one GeoPackage, unit by unit; every thing is written once."""
    with replacing(path) as temporary:
        temporary.unlink()
        seen: set[str] = set()
        held: dict[str, list[gpd.GeoDataFrame]] = {name: [] for name in layers}

        def append(name: str, frame: gpd.GeoDataFrame) -> None:
            if name in held and len(frame):
                held[name].append(frame)
                if sum(map(len, held[name])) > _HELD:
                    flush(name)

        def flush(name: str) -> None:
            if held[name]:
                frame = pd.concat(held[name]).reset_index(names="id").set_crs(world.config.crs, allow_override=True)
                pyogrio.write_dataframe(_tagged(name, frame), temporary, layer=name, driver="GPKG", append=name in seen)
                seen.add(name)
                held[name].clear()

        for name in ("natural", "waterways"):
            append(name, world.layer(name))
        append("roads", world.arterials[world.arterials["settlement"] < 0].drop(columns="settlement"))
        for unit in world.units():
            for name, frame in world.unit(unit).items():
                append(name, frame)
        for name in layers:
            flush(name)
    return path


def _tagged(layer: str, frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The frame with the tags of OpenStreetMap where ours are shorter: parks are leisure, crowns have a diameter."""
    if layer == "trees":
        return frame.rename(columns={"crown": "diameter_crown"})
    if layer == "landuse":
        park = frame["landuse"] == "park"
        return frame.assign(landuse=frame["landuse"].mask(park), leisure=frame["landuse"].where(park))
    return frame


def _data_yaml(pictures: Sequence[Picture]) -> str:
    """The pictures of the sensor of the catalogue that has the most, as a data set with their labels."""
    sensors = [p.sensor for p in pictures if p.sensor in {*SENSORS, sar.BANDS.sensor}]
    if not sensors:
        return ""
    sensor = max(dict.fromkeys(sensors), key=sensors.count)
    image = {
        "sensor": sensor,
        "bands": list(instrument(sensor).bands.names),
        "files": f"images/{sensor}/{{id}}.tif",
    }
    return yaml.safe_dump(
        {
            "name": "simulated world",
            "layers": {"image": image},
            "labels": {"files": "labels/{id}.tif"},
            "time": "%Y%m%dT%H%M",
            "classes": lc.CLASSES.to_dict(),
            "ignore": [0],
            "split": {"by": "block"},
        },
        sort_keys=False,
    )
