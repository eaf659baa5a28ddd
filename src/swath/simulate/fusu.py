"""Two dates and the months around them, with land use of both, in the layouts of FUSU.

Fields and woods are cleared for building, some before the first date, more between the two. Both dates are in late
autumn, when fields are bare too: what is field and what is cleared, the images hardly tell, but the months do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from PIL import Image

from swath.data.readers.fusu import FIRST_YEAR
from swath.errors import ConfigError
from swath.files import replacing
from swath.geo.cog import write_cog
from swath.simulate import landcover as lc
from swath.simulate import moment, noise
from swath.simulate.moment import Moment
from swath.simulate.optical import SENSORS, observe, sensor_grid
from swath.simulate.painting import paint
from swath.simulate.sar import backscatter
from swath.simulate.world import World

#: Land use in FUSU of each land-cover code: traffic 1, inland water 2, residential 3, cropland 4, blank 6, forest 14,
#: wetland 16, grass 17.
_LAND_USE = {
    lc.ROAD: 1, lc.PAVED: 1, lc.WATER: 2, lc.BUILDING: 3, lc.CROP: 4, lc.BARE: 6, lc.FOREST: 14, lc.WETLAND: 16,
    lc.GRASS: 17,
}  # fmt: skip
#: Years and months of the published series: August of the first year to December of the third.
MONTHS = (*(("A", m) for m in range(8, 13)), *(("B", m) for m in range(1, 13)), *(("C", m) for m in range(1, 13)))
#: Day of the year of both images, and the month from which on the second clearing shows.
_DAY, _CLEARED = 325, ("B", 12)
#: Size of a pixel of the images and of the months, m.
_PIXEL, _COARSE = 0.5, 10.0
_PARTS = ("train", "train", "train", "val", "test", "test")


def fusu(
    world: World,
    root: Path,
    patches: int = 6,
    edge: int = 256,
    months: Sequence[tuple[str, int]] = MONTHS[::4],
    around: int = 64,
    folders: bool = False,
) -> list[Path]:
    """Patches as the README of FUSU lays them out; or with `folders` split, as its authors' loader reads them.

    Args:
        world: The world.
        root: Where to.
        patches: Their number, each around a field that is cleared at the second date.
        edge: Their side in pixels of 0.5 m.
        months: Year (A, B, C) and month of the series; published are `MONTHS`.
        around: Side of the series in pixels of 10 m; published are 128.
        folders: Whether patches are dealt to `train`, `val` and `test`.

    Raises:
        ConfigError: If the world has too few fields for so many patches.
    """
    first, second = (_cleared(world, share) for share in (0.25, 0.5))
    places = _patches(world, patches, edge, second[:: max(1, len(second) // (4 * patches))] + second)
    written: list[Path] = []
    for number, grid in enumerate(places):
        name, below = f"{number % 3 + 1}_{number}", root / _PARTS[number % len(_PARTS)] if folders else root
        dates = [_moment(world, year, _DAY, shapes) for year, shapes in (("A", first), ("C", second))]
        maps = [_land_use(world, grid, when) for when in dates]
        camera = SENSORS["rgb"]
        pictures = {
            f"im{n}": np.moveaxis(observe(world, camera, w, grid).values, 0, -1) for n, w in enumerate(dates, 1)
        }
        labels = ("label1", "label2") if folders else ("im1_label", "im2_label")
        pictures |= dict(zip(labels, maps, strict=True))
        if folders:
            pictures["label_bin"] = (maps[0] != maps[1]).astype(np.uint8)
        for folder, values in pictures.items():
            path = below / folder / f"{name}.png"
            with replacing(path) as temporary:
                Image.fromarray(values).save(temporary, "png")
            written.append(path)
        coarse = _around(world, grid, around)
        for year, month in months:
            day = 30.4 * (month - 1) + 15
            when = _moment(world, year, day, second if (year, month) >= _CLEARED else first)
            path = below / ("Times" if folders else f"{year}/{month}") / f"{name}_{year}_{month}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            values = month_of(world, when, coarse)
            written.append(write_cog(path, iter([values]), coarse, count=len(values), dtype="float32"))
    return written


def month_of(world: World, when: Moment, grid: GeoBox) -> np.ndarray:
    """Stored numbers of Sentinel-2 and backscatter in dB, `[14, H, W]` float32."""
    optical = observe(world, SENSORS["sentinel2_l2a"], when, grid).values
    radar = 10 * np.log10(backscatter(world, when, grid=grid).power)
    return np.concatenate([optical.astype(np.float32), radar])


def _moment(world: World, year: str, day: float, cleared: tuple[shapely.Polygon, ...]) -> Moment:
    return replace(moment.at(world, day, 11.0, FIRST_YEAR + "ABC".index(year)), cleared=cleared)


def _land_use(world: World, grid: GeoBox, when: Moment) -> np.ndarray:
    table = np.zeros(10, np.uint8)
    table[list(_LAND_USE)] = list(_LAND_USE.values())
    return table[paint(world, grid, when).landcover]


def _cleared(world: World, share: float) -> tuple[shapely.Polygon, ...]:
    """Fields that are cleared, `share` of all; those of a smaller share are among them."""
    fields = world.layer("parcels")
    numbers = fields.index.to_numpy()
    luck = noise.uniform(numbers, np.zeros(len(numbers), int), world.seed + 641)
    return tuple(fields.geometry.to_numpy()[luck < share])


def _patches(world: World, count: int, edge: int, fields: tuple[shapely.Polygon, ...]) -> list[GeoBox]:
    """Grids around fields that do not overlap, each with its middle on a corner of the pixels of the months."""
    west, south, east, north = world.bounds
    half, chosen = edge * _PIXEL / 2, list[tuple[float, float]]()
    for x, y in shapely.get_coordinates(shapely.centroid(np.array(fields, object))):
        x, y = round(x / _COARSE) * _COARSE, round(y / _COARSE) * _COARSE
        inside = min(x - west, east - x, y - south, north - y) >= half
        if len(chosen) < count and inside and all(max(abs(x - a), abs(y - b)) >= 2 * half for a, b in chosen):
            chosen.append((x, y))
    if len(chosen) < count:
        raise ConfigError(
            "The world has too few cleared fields for so many patches", got=count, expected=f"at most {len(chosen)}"
        )
    return [sensor_grid(world, _PIXEL, (x - half, y - half, x + half, y + half)) for x, y in chosen]


def _around(world: World, patch: GeoBox, edge: int) -> GeoBox:
    """The square of `edge` pixels of 10 m around the middle of a patch."""
    (x, y), half = patch.affine @ (patch.shape[1] / 2, patch.shape[0] / 2), edge * _COARSE / 2
    return sensor_grid(world, _COARSE, (x - half, y - half, x + half, y + half))
