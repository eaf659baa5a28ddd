"""A world on disk: vectors, elevation, pictures and their truth, in Swath's own layout.

    world.yaml            the settings that make everything again
    vectors.gpkg          layers in the OpenStreetMap schema
    dem.tif               elevation of the ground, m
    images/<sensor>/<place>_<time>.tif, with <...>.clouds.tif where there are clouds
    labels/<place>_<time>.tif   land-cover codes on the grid of the picture
    data.yaml             the same as a data set: layers, labels, classes, split

Everything is made and written by windows, so memory does not grow with the extent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import rasterio
import yaml
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp, Resampling
from rasterio.windows import Window as RasterioWindow

from swath import __version__
from swath.errors import ConfigError, UnknownNameError
from swath.files import replacing, write_text
from swath.geo.grids import window_grid
from swath.geo.windows import Window
from swath.simulate import landcover as lc
from swath.simulate import requests, sar, truth, weather
from swath.simulate.clouds import Sky
from swath.simulate.moment import Moment
from swath.simulate.optical import SENSORS, observe, sensor_grid
from swath.simulate.requests import Happening, Shot
from swath.simulate.surface import ground
from swath.simulate.world import LAYERS, World, WorldConfig

#: Edge of the windows in which pictures are made, pixels; a multiple of the tiles of the files.
_BLOCK = 512


#: What `simulate` shows of a world when it is not told.
DEFAULT_SHOTS = (
    {"sensor": "sentinel2_l2a", "dates": ["04-20", "06-10", "07-25", "09-20"]},
    {"sensor": "sentinel1_grd_power", "dates": ["06-10"]},
)


def simulate(config: WorldConfig | Path | str | Mapping[str, Any], output: Path | str) -> list[Path]:
    """Make a world and write it, its pictures and their truth into the folder `output`.

    Args:
        config: A YAML file or a mapping: the settings of `WorldConfig`; `images`, a list of `sensor`, `dates`
            (`YYYY-MM-DD` or `MM-DD` of the world's year), `clouds` (0..1 or `weather`) and `bounds`; `events`, a list
            of `kind` (`flood`, `fire`, `earthquake`, `tornado`, `felling`), `date` and their numbers; `layouts`,
            names in `layouts.LAYOUTS`.
        output: A new or empty folder, or one that `simulate` has written before.

    Returns:
        The files written, `data.yaml` first.
    """
    settings_and_more = requests.described(config)
    extra = {name: settings_and_more.pop(name, None) for name in ("images", "events", "layouts")}
    settings = WorldConfig.of(settings_and_more)
    shots = [requests.shot(entry, settings) for entry in extra["images"] or DEFAULT_SHOTS]
    happenings = sorted((requests.event(entry, settings) for entry in extra["events"] or ()), key=lambda e: e[0])
    from swath.simulate.layouts import LAYOUTS

    if strange := sorted(set(extra["layouts"] or ()) - set(LAYOUTS)):
        raise UnknownNameError(f"There is no layout '{strange[0]}' to write", expected=", ".join(LAYOUTS))
    output = Path(output)
    world = World(settings)
    written = [write_vectors(world, output / "vectors.gpkg"), write_elevation(world, output / "dem.tif")]
    pictures: list[dict[str, str]] = []
    for number, shot in enumerate(shots):
        for time in shot.times:
            moment = moment_after(world, time, happenings)
            files = write_shot(world, shot, moment, output, f"shot{number}_{time:%Y%m%dT%H%M}")
            written += files.values()
            pictures.append({"sensor": shot.sensor, **{k: str(f.relative_to(output)) for k, f in files.items()}})
    for layout in extra["layouts"] or ():
        written += LAYOUTS[layout](world, output / layout)
    text = settings.to_yaml() + yaml.safe_dump({k: v for k, v in extra.items() if v}, sort_keys=False)
    write_text(output / "world.yaml", text)
    write_text(output / "data.yaml", _data_yaml(pictures))
    return [output / "data.yaml", output / "world.yaml", *written]


def moment_after(world: World, time: datetime, happenings: Sequence[Happening] = ()) -> Moment:
    """The moment at a time, in its weather, after all `happenings` before it."""
    moment = weather.moment_in(world, time)
    for when, happen in happenings:
        if when <= moment.time:
            moment = happen(world, moment)
    return moment


def write_shot(world: World, shot: Shot, moment: Moment, output: Path, name: str) -> dict[str, Path]:
    """Write a picture, its labels and, where there are clouds, their mask (0 clear, 1 shadow, 2 cloud)."""
    cloud = shot.clouds
    if cloud is None:
        cloud = float(weather.today(world, moment.time)["cloud"])
    sky = Sky(cover=cloud)
    image, labels = output / "images" / shot.sensor / f"{name}.tif", output / "labels" / f"{name}.tif"
    files = {"image": image, "labels": labels}
    if shot.sensor == sar.BANDS.sensor:
        grid = sensor_grid(world, 10.0, shot.bounds)
        write_raster(
            image,
            grid,
            "float32",
            2,
            lambda part: sar.backscatter(world, moment, grid=part).power,
            nodata=0.0,
            names=sar.BANDS.names,
        )
    else:
        camera = SENSORS[shot.sensor]
        grid = sensor_grid(world, camera.pixel, shot.bounds, camera.origin)
        masks: dict[tuple[float, float], np.ndarray] = {}

        def look(part: GeoBox) -> np.ndarray:
            seen = observe(world, camera, moment, part, sky)
            masks[part.affine.c, part.affine.f] = (2 * seen.veil.cloudy + seen.veil.shaded).astype(np.uint8)
            return seen.values

        write_raster(
            image, grid, camera.dtype, len(camera.bands), look, nodata=camera.bands[0].nodata, names=camera.bands.names
        )
        if cloud > 0:
            files["clouds"] = image.with_name(f"{name}.clouds.tif")
            write_raster(
                files["clouds"], grid, "uint8", 1, lambda part: masks.pop((part.affine.c, part.affine.f))[None]
            )
    colours = {c: (*rgb, 255) for c, rgb in zip(lc.CLASSES.codes, lc.CLASSES.colours, strict=True)}
    fine = max(1, min(16, round(grid.affine.a / 2)))
    write_raster(
        labels, grid, "uint8", 1, lambda part: truth.landcover_mask(world, part, moment, fine)[None], nodata=0,
        names=("landcover",), colours=colours,
    )  # fmt: skip
    _describe(files, grid, moment, world)
    return files


def write_raster(
    path: Path,
    grid: GeoBox,
    dtype: str,
    count: int,
    make: Callable[[GeoBox], np.ndarray],
    nodata: float | None = None,
    names: Sequence[str] = (),
    colours: Mapping[int, tuple[int, int, int, int]] | None = None,
) -> Path:
    """Write a tiled GeoTIFF with overviews, window by window, whole or not at all.

    Args:
        path: Where to.
        grid: Its grid.
        dtype: Of the stored numbers.
        count: Number of bands.
        make: Gives `[count, h, w]` for the grid of a window.
        nodata: Stored number of invalid pixels.
        names: Of the bands.
        colours: Red, green, blue, alpha by code, for class maps.
    """
    if not all(grid.shape):
        raise ConfigError("A picture has no pixels in the world", got=f"{path.name} {tuple(grid.shape)}")
    profile = {
        "driver": "GTiff", "height": grid.shape[0], "width": grid.shape[1], "count": count, "dtype": dtype,
        "crs": str(grid.crs), "transform": grid.affine, "nodata": nodata, "tiled": True, "blockxsize": 256,
        "blockysize": 256, "compress": "deflate", "predictor": 3 if dtype.startswith("float") else 2,
        "bigtiff": "if_safer",
    }  # fmt: skip
    with replacing(path) as temporary:
        with rasterio.open(temporary, "w", **profile) as target:
            for window in _windows(grid):
                values = make(window_grid(grid, window))
                target.write(values, window=RasterioWindow(window.col, window.row, window.width, window.height))
            for number, name in enumerate(names, 1):
                target.set_band_description(number, name)
            if colours:
                target.write_colormap(1, dict(colours))
                target.colorinterp = [ColorInterp.palette]
        factors = [2**k for k in range(1, 6) if min(grid.shape) >> k >= 128]
        if factors:
            with rasterio.open(temporary, "r+") as target:
                target.build_overviews(
                    factors, Resampling.nearest if colours or dtype == "uint8" else Resampling.average
                )
    return path


def write_elevation(world: World, path: Path, pixel: float = 10.0) -> Path:
    """Write the elevation of the ground, m."""
    grid = sensor_grid(world, pixel)
    return write_raster(path, grid, "float32", 1, lambda part: ground(world, part)[None], names=("elevation",))


def write_vectors(world: World, path: Path, layers: Sequence[str] = LAYERS) -> Path:
    """Write vector layers into one GeoPackage, unit by unit; every thing is written once."""
    with replacing(path) as temporary:
        temporary.unlink()
        seen: set[str] = set()

        def append(name: str, frame: gpd.GeoDataFrame) -> None:
            if not len(frame):
                return
            frame = frame.reset_index(names="id").set_crs(world.config.crs, allow_override=True)
            pyogrio.write_dataframe(frame, temporary, layer=name, driver="GPKG", append=name in seen)
            seen.add(name)

        for name in layers:
            if name in ("natural", "waterways"):
                append(name, world.layer(name))
        if "roads" in layers:
            append("roads", world.arterials[world.arterials["settlement"] < 0].drop(columns="settlement"))
        for unit in world.units():
            for name, frame in world.unit(unit).items():
                if name in layers:
                    append(name, frame)
    return path


def _windows(grid: GeoBox) -> Iterator[Window]:
    height, width = grid.shape
    for row in range(0, height, _BLOCK):
        for col in range(0, width, _BLOCK):
            yield Window(row, col, min(_BLOCK, height - row), min(_BLOCK, width - col))


def _describe(files: Mapping[str, Path], grid: GeoBox, moment: Moment, world: World) -> None:
    """A STAC item beside the picture, if pystac is installed."""
    from swath.errors import MissingExtraError
    from swath.geo.stac import write_item

    provenance = {
        "system": "swath.simulate",
        "weights": None,
        "inputs": [f"seed {world.config.seed}"],
        "version": __version__,
    }
    try:
        write_item(
            files["image"], grid=grid, provenance=provenance, time=moment.time, assets={"labels": files["labels"]}
        )
    except MissingExtraError:
        return


def _data_yaml(pictures: Sequence[Mapping[str, str]]) -> str:
    """The pictures of the sensor that has the most, as a data set with their labels."""
    names = [p["sensor"] for p in pictures]
    sensor = max(dict.fromkeys(names), key=names.count)
    mine = [p for p in pictures if p["sensor"] == sensor]
    return yaml.safe_dump(
        {
            "name": "simulated world",
            "layers": {"image": {"sensor": sensor, "files": [p["image"] for p in mine]}},
            "labels": {"files": [p["labels"] for p in mine]},
            "classes": lc.CLASSES.to_dict(),
            "ignore": [0],
            "split": {"by": "block"},
        },
        sort_keys=False,
    )
