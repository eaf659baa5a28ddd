"""Roofs from above with their material, city by city, in the layout of RoofNet; and one city as a scene.

Each settlement is a city. Only some materials are allowed in it, and it is seen by a camera of its own, so that colours
do not carry from one city to the next as textures do. Textures are ours: courses of tiles, ribs of metal, seams of
felt, straw, gravel, in sizes that pixels of 0.2 m show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from odc.geo.geobox import GeoBox
from PIL import Image
from pyproj import Transformer
from rasterio import features

from swath.data.city_table import COLUMNS
from swath.data.readers.roofnet import KEY, TABLE, TABLE_COLUMNS, UNKNOWN
from swath.errors import ConfigError
from swath.files import replacing
from swath.geo.cog import write_cog
from swath.geo.grids import coordinates
from swath.geo.tables import write_table
from swath.geo.vectors import write_vectors
from swath.simulate import landcover as lc
from swath.simulate import moment, noise
from swath.simulate.optical import SENSORS, observe, sensor_grid
from swath.simulate.shapes import long_sides
from swath.simulate.truth import bounds_of
from swath.simulate.world import World

#: Size of a pixel, m.
_PIXEL = 0.2
#: Class in RoofNet of each material of the world; gravel lies on a membrane.
MATERIALS = {
    "roof_tiles": "ClayTiles", "slate": "StoneSlates", "metal": "MetalSheetMaterials",
    "blue_metal": "MetalSheetMaterials", "concrete": "AmorphousConcrete", "tar_paper": "AmorphousAsphalt",
    "thatch": "Thatch", "asbestos": "ConcreteTiles", "gravel": "AmorphousMembrane",
}  # fmt: skip
#: Share of crops that are too coarse to tell the material, and how many pixels each of theirs is wide.
_COARSE, _COARSER = 0.05, 12
#: Names of cities and countries, all made up.
_CITIES = (
    "Aldmoor", "Pont-le-Roc", "Brackwater", "Corrin", "Dunmere", "Eastby", "Farrow Hill", "Glenock", "Hallin",
    "Isenford", "Jarrow Bay", "Kestrel", "Lindholm", "Marrick", "Norby", "Oster", "Pellam", "Quarne", "Rosvik",
    "Selwick", "Tarn", "Ulverby", "Varden", "Wexmoor",
)  # fmt: skip
_COUNTRIES = ("Westmark", "Norrland", "Sudria")


@dataclass(frozen=True)
class _City:
    """A settlement as a city: name, allowed classes, buildings, what its camera does to each band, and its middle."""

    name: str
    country: str
    allowed: tuple[str, ...]
    houses: gpd.GeoDataFrame
    gain: np.ndarray
    centre: tuple[float, float]

    @property
    def key(self) -> str:
        return f"{self.name} {self.country}".lower().replace(" ", "_")


def roofnet(world: World, root: Path, roofs: int = 24) -> list[Path]:
    """Crops in folders by part and material, their table, the table of cities, and one city as a scene.

    The last city has no crops: `scene/city.tif` shows where it is densest, `scene/footprints.gpkg` has the outlines
    there and `scene/truth.csv` their materials. Crops go to `train` and `val` at random, so both have all other cities,
    as published. One in twenty crops is too coarse to tell, and `Unknown`.

    Args:
        world: The world.
        root: Where to.
        roofs: Crops of each city, at most.

    Raises:
        ConfigError: If the world has fewer than four settlements with buildings.
    """
    *shown, last = _cities(world)
    when = moment.at(world, 170, 11.0)
    written, rows = [], []
    for city in shown:
        chosen = np.sort(noise.rng(world.seed, "roofs", city.name).permutation(len(city.houses))[:roofs])
        for number, (index, house) in enumerate(city.houses.iloc[chosen].iterrows()):
            split = "val" if noise.rng(world.seed, "part", index).random() < 0.2 else "train"
            facts = _facts(house, city)
            coarse = noise.rng(world.seed, "coarse", index).random() < _COARSE
            name = UNKNOWN if coarse else house["class"]
            path = root / split / name / _name(facts, city, number)
            picture = Image.fromarray(np.moveaxis(_crop(world, when, house, city), 0, -1))
            with replacing(path) as temporary:
                (_coarse(picture) if coarse else picture).save(temporary, quality=95)
            written.append(path)
            rows.append({"split": split, "material_class": name, KEY: path.name, **facts})
    write_table(pd.DataFrame(rows, columns=list(TABLE_COLUMNS)), root / TABLE)
    write_table(pd.DataFrame([_row(city, world) for city in (*shown, last)]), root / "cities.csv")
    return [*written, root / TABLE, root / "cities.csv", *_scene(world, when, last, root / "scene")]


def textures(houses: gpd.GeoDataFrame, grid: GeoBox, seed: int) -> np.ndarray:
    """Factor on the brightness of each pixel `[H, W]` by the texture of the roof that it shows; 1 elsewhere.

    Args:
        houses: Footprints with `roof:material`.
        grid: The pixels, in the same CRS.
        seed: Of what is random in a texture.
    """
    factor = np.ones(grid.shape, np.float32)
    if not len(houses):
        return factor
    shapes = houses.geometry.to_numpy()
    pairs = zip(shapes, range(1, len(shapes) + 1), strict=True)
    burnt = features.rasterize(pairs, grid.shape, fill=0, transform=grid.affine, dtype="int32")
    row, col = np.nonzero(burnt)
    which = burnt[row, col] - 1
    x, y = coordinates(grid, row + 0.5, col + 0.5)
    angle = long_sides(shapes)[which]
    along, across = np.cos(angle) * x + np.sin(angle) * y, -np.sin(angle) * x + np.cos(angle) * y
    material = houses["roof:material"].to_numpy()[which]
    for name, texture in _TEXTURES.items():
        mine = material == name
        if mine.any():
            factor[row[mine], col[mine]] = texture(along[mine], across[mine], seed)
    return factor


def _courses(
    along: np.ndarray, across: np.ndarray, seed: int, height: float, width: float, spread: float
) -> np.ndarray:
    """Rows of tiles, darker at their lower edge, each tile of a tone of its own."""
    course, within = np.floor(across / height), across / height % 1
    tile = np.floor(along / width + course % 2 / 2)
    return (0.75 + 0.4 * within) * (1 + spread * (noise.uniform(tile, course, seed) - 0.5))


def _ribs(along: np.ndarray, across: np.ndarray, seed: int, period: float, sharp: float) -> np.ndarray:
    """Ribs that run down the slope, and stains."""
    wave = np.abs(np.cos(np.pi * along / period)) ** sharp
    return 0.75 + 0.5 * wave + 0.06 * noise.fractal_at(along, across, 6, seed, 3)


def _slabs(along: np.ndarray, across: np.ndarray, seed: int) -> np.ndarray:
    """Blotches, and joints every 5 m."""
    joint = (np.abs(along % 5 - 2.5) > 2.3) | (np.abs(across % 5 - 2.5) > 2.3)
    return (1 + 0.15 * noise.fractal_at(along, across, 4, seed, 4)) * np.where(joint, 0.75, 1.0)


def _seams(_: np.ndarray, across: np.ndarray, seed: int) -> np.ndarray:
    """Strips of felt 2 m wide, each of a tone of its own, with dark seams."""
    strip = np.floor(across / 2)
    tone = 1 + 0.35 * (noise.uniform(strip, 0 * strip, seed) - 0.5)
    return tone * np.where(across % 2 < 0.35, 0.6, 1.0)


def _straw(along: np.ndarray, across: np.ndarray, seed: int) -> np.ndarray:
    """Streaks that run down the slope."""
    return 1 + 0.3 * noise.fractal_at(along * 6, across, 4, seed, 3, 0.7)


def _grains(along: np.ndarray, across: np.ndarray, seed: int) -> np.ndarray:
    """Grains of half a metre."""
    return 0.6 + 0.8 * noise.uniform(np.floor(along / 0.5), np.floor(across / 0.5), seed)


#: Texture of each material: `along` and `across` the roof's long side, m, and a seed, to a factor.
_TEXTURES: Mapping[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
    "roof_tiles": lambda u, v, seed: _courses(u, v, seed, 1.2, 1.0, 0.2),
    "slate": lambda u, v, seed: _courses(u, v, seed, 0.8, 0.8, 0.9),
    "metal": lambda u, v, seed: _ribs(u, v, seed, 1.5, 6.0),
    "blue_metal": lambda u, v, seed: _ribs(u, v, seed, 1.5, 6.0),
    "asbestos": lambda u, v, seed: _ribs(u, v, seed, 0.9, 1.0),
    "concrete": _slabs,
    "tar_paper": _seams,
    "thatch": _straw,
    "gravel": _grains,
}


def _cities(world: World) -> list[_City]:
    """Settlements with buildings, each with three to six of the classes that stand in it."""
    houses = world.layer("buildings")
    today = moment.at(world, 170, 11.0).time.strftime("%Y-%m-%d")
    houses = houses[houses["start_date"] <= today]
    houses = houses.assign(**{"class": houses["roof:material"].map(MATERIALS)})
    centres = np.array([s.centre for s in world.settlements]).reshape(-1, 2)
    middles = shapely.get_coordinates(shapely.centroid(houses.geometry.to_numpy()))
    apart = np.hypot(*(middles[:, None] - centres[None]).transpose(2, 0, 1)) if len(centres) else np.zeros((0, 1))
    nearest = apart.argmin(1) if apart.size else np.zeros(0, int)
    cities = []
    for number in range(min(len(centres), len(_CITIES))):
        mine, rng = houses[nearest == number], noise.rng(world.seed, "city", number)
        present = sorted(set(mine["class"]))
        if len(present) < 3:
            continue
        allowed = sorted(rng.choice(present, min(len(present), int(rng.integers(3, 7))), replace=False).tolist())
        gain = rng.uniform(0.75, 1.3) * rng.uniform(0.85, 1.15, 3)
        mine = mine[mine["class"].isin(allowed)]
        country = _COUNTRIES[number % len(_COUNTRIES)]
        cities.append(_City(_CITIES[number], country, tuple(allowed), mine, gain, tuple(centres[number])))
    if len(cities) < 4:
        raise ConfigError("The world has too few cities for roofs", got=len(cities), expected="4 or more settlements")
    return [*cities[1:], cities[0]]  # the largest is last


def _picture(world: World, when: moment.Moment, grid: GeoBox, gain: np.ndarray) -> np.ndarray:
    """What a city's camera sees `[3, H, W]`, uint8, with textures on roofs."""
    seen = observe(world, replace(SENSORS["rgb"], pixel=_PIXEL, fine=1), when, grid)
    factor = textures(world.layer("buildings", bounds_of(grid)), grid, world.seed)
    factor = np.where(seen.landcover == lc.BUILDING, factor, 1.0)  # crowns have none
    linear = (seen.values / 255) ** 1.7 * factor * gain[:, None, None]
    return np.round(255 * np.clip(linear, 0, 1) ** (1 / 1.7)).astype(np.uint8)


def _crop(world: World, when: moment.Moment, house: pd.Series, city: _City) -> np.ndarray:
    """A square around a house with a margin of a tenth of its side."""
    west, south, east, north = house.geometry.bounds
    half = 0.6 * max(east - west, north - south)
    x, y = (west + east) / 2, (south + north) / 2
    return _picture(world, when, _grid(world, x, y, half), city.gain)


def _coarse(picture: Image.Image) -> Image.Image:
    """The picture as coarse pixels show it."""
    return picture.reduce(_COARSER).resize(picture.size, Image.Resampling.BICUBIC)


def _grid(world: World, x: float, y: float, half: float) -> GeoBox:
    return sensor_grid(world, _PIXEL, (x - half, y - half, x + half, y + half))


def _degrees(crs: object, x: float, y: float) -> tuple[float, float]:
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    return float(lon), float(lat)


def _facts(house: pd.Series, city: _City) -> dict[str, object]:
    middle = house.geometry.centroid
    lon, lat = _degrees(city.houses.crs, middle.x, middle.y)
    return {
        "city": city.key,
        "latitude": round(lat, 7),
        "longitude": round(lon, 7),
        "country": city.country,
        "continent": "Simulated",
        "height": float(house["height"]),
        "numstories": float(house["building:levels"]),
        "roofshape": str(house["roof:shape"]).title(),
        "fpArea": round(float(house.geometry.area), 1),
    }


def _name(facts: Mapping[str, object], city: _City, number: int) -> str:
    """A file name in one of the published forms, in turn."""
    place = f"imsat_{facts['latitude']:.7f}{facts['longitude']:.7f}_{number:04}"
    told = "_".join(f"{name}{facts[name]}" for name in ("height", "numstories", "roofshape", "fpArea"))
    forms = (f"{city.key}_{told}_{place}", f"{city.key}_{place}", f"{city.key}-{number:04}")
    return f"{forms[number % len(forms)]}.jpg"


def _row(city: _City, world: World) -> dict[str, object]:
    """The row of a city in the table of cities, in the published layout."""
    lon, lat = _degrees(world.config.crs, *city.centre)
    materials = [{"class": name, "examples": []} for name in city.allowed]
    values = (f"{city.name}, {city.country}", str(materials), "Simulated", city.country, round(lat, 6), round(lon, 6))
    return dict(zip(COLUMNS, values, strict=True))


def _scene(world: World, when: moment.Moment, city: _City, root: Path, edge: float = 160.0) -> list[Path]:
    """A picture of where a city is densest, the footprints on it, and their materials."""
    middles = shapely.get_coordinates(shapely.centroid(city.houses.geometry.to_numpy()))
    near = (np.abs(middles[:, None] - middles[None]).max(2) < edge / 3).sum(1)
    x, y = middles[near.argmax()]
    grid = _grid(world, float(x), float(y), edge / 2)
    frame = shapely.box(*bounds_of(grid))
    houses = city.houses[city.houses.within(frame)].reset_index(drop=True)
    image, outlines, truth = root / "city.tif", root / "footprints.gpkg", root / "truth.csv"
    write_cog(image, iter([_picture(world, when, grid, city.gain)]), grid, count=3, dtype="uint8")
    table = gpd.GeoDataFrame(
        {"id": [f"b{n}" for n in range(len(houses))], "height": houses["height"]}, geometry=houses.geometry
    )
    write_vectors(table, outlines)
    write_table(pd.DataFrame({"id": table["id"], "class": houses["class"]}), truth)
    return [image, outlines, truth]
