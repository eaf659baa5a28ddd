"""Studies of treatments in a world: units, and the scenes that show their places."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import geopandas as gpd
import numpy as np
import yaml
from odc.geo.geobox import GeoBox

from swath.files import write_text
from swath.simulate import moment, records
from swath.simulate.optical import SENSORS, observe, sensor_grid
from swath.simulate.rasters import write_raster
from swath.simulate.world import World

#: Bands of scenes, and the edge of what decides about a place, m.
_BANDS, _SQUARE = ("blue", "green", "red", "nir"), 640.0
#: Days of the year of scenes.
_SUMMER, _SEASONS = {"scene": 200}, {"april": 110, "june": 165, "september": 260}


def imghet(world: World, root: Path, units: int = 400) -> list[Path]:
    """A randomised trial as a person has it: `units.csv`, `scene.tif` of Sentinel-2, and `units.yaml` that names both.

    The effect grows with the share of settlement in the square of 640 m around a place, see `records.trial`; column
    `true_effect` holds it. Places in the east, whose squares meet no other's, are of part `test`; those between of
    none.

    Args:
        world: The world.
        root: Where to.
        units: How many, before those in between are left out.
    """
    trial = records.trial(world, units, size=_SQUARE, confounded=0.0)
    return _write(world, root, trial, _SUMMER, {"probability": 0.5})


def eohet_rct(world: World, root: Path, units: int = 400) -> list[Path]:
    """As `imghet`, with scenes of April, June and September, and a column `age` that says nothing."""
    trial = records.trial(world, units, size=_SQUARE, confounded=0.0, seed=1)
    trial["age"] = 20 + np.arange(len(trial)) * 7 % 50
    return _write(world, root, trial, _SEASONS, {"probability": 0.5, "covariates": ["age"]})


def imgconfound(world: World, root: Path, units: int = 400) -> list[Path]:
    """As `imghet`, but no trial: wood around a place makes the treatment likelier and the outcome larger."""
    return _write(world, root, records.trial(world, units, size=_SQUARE, seed=2), _SUMMER, {})


def _write(
    world: World, root: Path, study: gpd.GeoDataFrame, days: Mapping[str, int], design: Mapping[str, object]
) -> list[Path]:
    """Write units, a scene for each day, and the YAML; scenes of one day are no sequence."""
    west, _, east, _ = world.bounds
    border = west + 0.7 * (east - west)
    across = study.geometry.x.to_numpy()
    part = np.select([across < border - _SQUARE / 2, across > border + _SQUARE / 2], ["train", "test"], "")
    places = study.geometry.to_crs(4326)
    table = study.drop(columns="geometry").assign(
        treated=study["treated"].astype(int), lon=places.x.round(7), lat=places.y.round(7), part=part
    )
    kept = table.rename(columns={"tau": "true_effect"})[part != ""]
    columns = ["lon", "lat", "treated", "outcome", "part", "true_effect", *design.get("covariates", [])]  # type: ignore[misc]
    write_text(root / "units.csv", kept[columns].to_csv(index=False))
    scenes = [_scene(world, root / f"{name}.tif", day) for name, day in days.items()]
    shown = scenes[0].name if len(scenes) == 1 else {path.stem: path.name for path in scenes}
    said = {
        "units": "units.csv", "treatment": "treated", "outcome": "outcome", "lon": "lon", "lat": "lat", "part": "part",
        **design, "images": {"scenes": shown, "size": int(_SQUARE / SENSORS["sentinel2_l2a"].pixel)},
    }  # fmt: skip
    write_text(root / "units.yaml", yaml.safe_dump(said, sort_keys=False))
    return [root / "units.yaml", root / "units.csv", *scenes]


def _scene(world: World, path: Path, day: int) -> Path:
    camera, when = SENSORS["sentinel2_l2a"], moment.at(world, day)
    chosen = [camera.bands.index(name) for name in _BANDS]

    def see(grid: GeoBox) -> np.ndarray:
        return observe(world, camera, when, grid).values[chosen]

    grid = sensor_grid(world, camera.pixel, origin=camera.origin)
    return write_raster(path, grid, "uint16", len(chosen), see, names=_BANDS)
