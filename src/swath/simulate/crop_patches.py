"""Sen4AgriNet from simulated farmland: patches with a year of images, the crop and the number of every parcel."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from odc.geo.geobox import GeoBox

from swath.errors import ConfigError, MissingExtraError
from swath.files import replacing
from swath.simulate import moment, weather
from swath.simulate.clouds import Sky
from swath.simulate.optical import SENSORS, Optical, averaged, observe, sensor_grid
from swath.simulate.painting import paint
from swath.simulate.truth import bounds_of

if TYPE_CHECKING:
    from swath.simulate.world import World

#: Code of the FAO's classification of each crop of the simulation.
CODES = {
    "winter_wheat": 110, "maize": 120, "rapeseed": 435, "sugar_beet": 810, "potato": 510, "sunflower": 438, "rice": 130,
    "grassland": 912, "orchard": 350, "vineyard": 330, "fallow": 975,
}  # fmt: skip
#: Country, tile without its zone, and years of the west and of the east of the world.
_COUNTRIES = (("ES", "TCG", (2019, 2020)), ("FR", "TCJ", (2019,)))


def sen4agrinet(
    world: World, root: Path, patches: int = 8, edge: int = 60, every: int = 10, earlier: float = 25.0
) -> list[Path]:
    """Patches as Sen4AgriNet is published (doi 10.1109/JSTARS.2022.3164771), under the clouds of the year's weather.

    Patches of the west are of Catalonia, of 2019 and 2020 in turn, those of the east of France, of 2019: other fields,
    on which everything grows later. Both have their patches in rows, side by side.

    Args:
        world: The world.
        root: Where to.
        patches: Number of patches, half of them in each country.
        edge: Their side in pixels of 10 m; a multiple of 6.
        every: Days from one image to the next.
        earlier: Days by which Catalonia is ahead.

    Raises:
        ConfigError: If the edge is no multiple of 6, or the patches have no room.
        MissingExtraError: If xarray or h5netcdf is not installed.
    """
    written = []
    camera = SENSORS["sentinel2_l1c"]
    for number, (country, tile, years) in enumerate(_COUNTRIES):
        places = _places(world, edge, camera.pixel, number)
        wanted = patches // 2 + (patches % 2) * (number == 0)
        if wanted > len(places):
            raise ConfigError(
                "The patches have no room in the world", got=patches, expected=f"at most {2 * len(places)}"
            )
        zone = str(world.grid.crs).rpartition(":")[2][-2:]
        for count, (row, col, grid) in enumerate(places[:wanted]):
            year = years[count % len(years)]
            path = root / f"{year}_{zone}{tile}_patch_{row}_{col}.nc"
            shift = earlier if country == "ES" else 0.0
            _write(path, world, camera, grid, year, range(5, 361, every), shift, {
                "patch_full_name": path.stem, "patch_year": str(year), "patch_name": f"patch_{row}_{col}",
                "patch_country_code": country, "patch_tile": f"{zone}{tile}",
            })  # fmt: skip
            written.append(path)
    return written


def _places(world: World, edge: int, pixel: float, half: int) -> list[tuple[int, int, GeoBox]]:
    """Row, column and grid of each patch in the western or eastern half, from its middle row outwards."""
    if edge < 6 or edge % 6:
        raise ConfigError("A patch has an unusable edge", got=edge, expected="a multiple of 6 pixels")
    west, south, east, north = world.bounds
    middle = (west + east) / 2
    bounds = (west, south, middle, north) if half == 0 else (middle, south, east, north)
    grid = sensor_grid(world, 6 * pixel, bounds)  # on the pixels of the coarsest band
    side = edge // 6
    rows, cols = grid.shape[0] // side, grid.shape[1] // side
    places = []
    for row in sorted(range(rows), key=lambda row: abs(row - (rows - 1) / 2)):
        for col in range(cols):
            part = grid[row * side : (row + 1) * side, col * side : (col + 1) * side]
            left, top = part.affine.c, part.affine.f
            fine = sensor_grid(world, pixel, (left, top - edge * pixel, left + edge * pixel, top))
            places.append((row, col, fine))
    return places


def _write(
    path: Path,
    world: World,
    camera: Optical,
    grid: GeoBox,
    year: int,
    days: range,
    shift: float,
    attributes: dict[str, str],
) -> None:
    """One patch; crops are `shift` days ahead of the date that the file tells."""
    try:
        import h5netcdf  # noqa: F401
        import xarray
    except ImportError as error:
        raise MissingExtraError(error.name or "h5netcdf", "netcdf") from error
    images, times = [], []
    for day in days:
        told = moment.at(world, day, year=year).time
        grown = moment.at(world, min(day + shift, 365), year=year)
        cover = float(weather.today(world, told)["cloud"])
        images.append(observe(world, camera, grown, grid, Sky(cover=cover)).values)
        times.append(told)
    stack = np.stack(images)
    codes, numbers = parcels_on(world, grid)
    groups: dict[str, Any] = {}
    for place, band in enumerate(camera.bands):
        factor = camera.coarser[place]
        planes = np.stack([averaged(plane, factor) for plane in stack[:, place]])
        groups[band.name] = _dataset(xarray, band.name, np.round(planes).astype(np.uint16), grid, factor, times)
    groups["labels"] = _dataset(xarray, "labels", codes.astype(np.uint32), grid, 1)
    groups["parcels"] = _dataset(xarray, "parcels", numbers.astype(np.uint32), grid, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = xarray.DataTree.from_dict({"/": xarray.Dataset(attrs=attributes)} | groups)
    encoding = {f"/{name}": {name: {"zlib": True, "complevel": 4}} for name in groups}
    with replacing(path) as temporary:
        tree.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)


def parcels_on(world: World, grid: GeoBox) -> tuple[np.ndarray, np.ndarray]:
    """Code of the crop and number of the parcel at the centre of each pixel `[H, W]`; 0 where there is none."""
    surface = paint(world, grid, moment.at(world, 200))
    parcels = world.layer("parcels", bounds_of(grid))
    found, place = np.unique(surface.objects("parcels"), return_inverse=True)
    inside = np.isin(found, parcels.index)
    codes = np.array([CODES[parcels["crop"][one]] if known else 0 for one, known in zip(found, inside, strict=True)])
    numbers = np.where(inside, np.cumsum(inside), 0)
    return codes[place].reshape(grid.shape), numbers[place].reshape(grid.shape)


def _dataset(
    xarray: Any, name: str, values: np.ndarray, grid: GeoBox, factor: int, times: list[datetime] | None = None
) -> Any:
    """A variable with the middles of its pixels as coordinates."""
    a = grid.affine
    height, width = values.shape[-2:]
    coordinates: dict[str, Any] = {
        "y": a.f + a.e * factor * (np.arange(height) + 0.5),
        "x": a.c + a.a * factor * (np.arange(width) + 0.5),
    }
    axes = ["y", "x"]
    if times is not None:
        coordinates["time"] = pd.DatetimeIndex([time.replace(tzinfo=None) for time in times])
        axes = ["time", *axes]
    return xarray.Dataset({name: (axes, values)}, coordinates)
