"""Studies of treatments in a world: units, and the scene that shows their places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from odc.geo.geobox import GeoBox

from swath.files import write_text
from swath.simulate import moment, records
from swath.simulate.optical import SENSORS, observe, sensor_grid
from swath.simulate.rasters import write_raster
from swath.simulate.world import World

#: Bands and day of the scene, and the edge of what decides about a place, m.
_BANDS, _DAY, _SQUARE = ("blue", "green", "red", "nir"), 200, 640.0


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
    west, _, east, _ = world.bounds
    border = west + 0.7 * (east - west)
    across = trial.geometry.x.to_numpy()
    part = np.select([across < border - _SQUARE / 2, across > border + _SQUARE / 2], ["train", "test"], "")
    places = trial.geometry.to_crs(4326)
    table = trial.drop(columns="geometry").assign(
        treated=trial["treated"].astype(int), lon=places.x.round(7), lat=places.y.round(7), part=part
    )
    kept = table.rename(columns={"tau": "true_effect"})[part != ""]
    columns = ["lon", "lat", "treated", "outcome", "part", "true_effect"]
    write_text(root / "units.csv", kept[columns].to_csv(index=False))
    camera, when = SENSORS["sentinel2_l2a"], moment.at(world, _DAY)
    chosen = [camera.bands.index(name) for name in _BANDS]

    def see(grid: GeoBox) -> np.ndarray:
        return observe(world, camera, when, grid).values[chosen]

    grid = sensor_grid(world, camera.pixel, origin=camera.origin)
    scene = write_raster(root / "scene.tif", grid, "uint16", len(chosen), see, names=_BANDS)
    said = {
        "units": "units.csv", "treatment": "treated", "outcome": "outcome", "lon": "lon", "lat": "lat", "part": "part",
        "probability": 0.5, "images": {"scenes": "scene.tif", "size": int(_SQUARE / camera.pixel)},
    }  # fmt: skip
    write_text(root / "units.yaml", yaml.safe_dump(said, sort_keys=False))
    return [root / "units.yaml", root / "units.csv", scene]
