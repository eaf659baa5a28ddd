"""Granules of low cloud over the sea with the tracks of ships in it, each known to the pixel, as for CloudTracks.

Exhaust makes more and smaller droplets: a track reflects much more at 3.75 um, a little more in the visible, and is as
warm as the cloud around it (Coakley et al. 1987, doi 10.1126/science.237.4818.1020). It is narrow at the ship and wider
and fainter along its way back. What is seen goes through the same stretch as real granules
(`swath.sensors.microphysics`). Numbers of cloud and sea are ours.

Convention: positions are pixels `(x, y)` from the top-left corner of a granule; centres of pixels are half numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import shapely
from PIL import Image
from scipy.spatial import cKDTree

from swath.files import replacing, write_text
from swath.sensors.microphysics import day_microphysics
from swath.simulate import noise
from swath.simulate.world import World

#: Width of a track in pixels: at the ship, and at the most at its old end.
WIDTHS = (3.0, 15.0)
#: Reflectance that a fresh track adds in thick cloud, per cent: at 3.75 um and in the visible.
_ADDED = (9.0, 6.0)
#: A track ends where its strength falls below this; it starts at 1 or, if it is a faint one, lower.
_FAINTEST = 0.32
#: Of so many granules in a row, one has no track.
_EMPTY_EVERY = 4


@dataclass(frozen=True)
class Track:
    """The track of one ship.

    Attributes:
        line: Its middle from the ship on `[N, 2]`, a point a pixel.
        width: In pixels, at each point `[N]`.
        strength: From 1 to 0, at each point `[N]`.
    """

    line: np.ndarray
    width: np.ndarray
    strength: np.ndarray

    @property
    def outline(self) -> shapely.Geometry:
        """The ground that the track covers: discs of its width along its middle, joined."""
        every = np.unique(np.r_[0 : len(self.line) : 3, len(self.line) - 1])
        discs = shapely.buffer(shapely.points(self.line[every]), self.width[every] / 2)
        return shapely.union_all(shapely.convex_hull(shapely.union(discs[:-1], discs[1:])))


@dataclass(frozen=True)
class Granule:
    """What MODIS sees of one place and time.

    Attributes:
        bands: Bands 1 and 20 in per cent and band 31 in K `[3, H, W]`; see `swath.sensors.microphysics`.
        tracks: The tracks in it; they may cross.
        time: When.
    """

    bands: np.ndarray
    tracks: tuple[Track, ...]
    time: datetime

    @property
    def picture(self) -> np.ndarray:
        """Day microphysics `[H, W, 3]`, uint8."""
        return np.moveaxis(day_microphysics(*self.bands)[0], 0, -1)

    @property
    def outlines(self) -> list[shapely.Geometry]:
        """What each track covers of the granule, parts beyond its edge cut off."""
        height, width = self.bands.shape[1:]
        return [shapely.intersection(track.outline, shapely.box(0, 0, width, height)) for track in self.tracks]


def granule(seed: int, number: int, shape: tuple[int, int], most: int = 7) -> Granule:
    """A granule; every fourth has no track.

    Args:
        seed: Of all that is random.
        number: Which one; four follow each other on a day.
        shape: Height and width in pixels of 1 km.
        most: Tracks at most, in a granule that has any.
    """
    random = noise.rng(seed, "granule", number)
    cloud, high = _cloud(shape, random)
    count = 0 if number % _EMPTY_EVERY == _EMPTY_EVERY - 1 else int(random.integers(1, most + 1))
    tracks = tuple(_track(shape, random) for _ in range(count))
    added = np.zeros(shape)
    for track in tracks:
        added = np.maximum(added, _brightening(track, shape))
    cloud = np.maximum(cloud, 0.7 * added)  # exhaust makes cloud where there is little
    red = 3.5 + cloud * (34 + 14 * _noise(shape, 9, random)) + _ADDED[1] * added * cloud
    shortwave = 2.2 + cloud * (7.2 + 1.1 * _noise(shape, 40, random)) + _ADDED[0] * added * cloud
    thermal = 290.5 - cloud * (7.5 + 1.5 * _noise(shape, 60, random))
    red, shortwave, thermal = red + 22 * high, shortwave * (1 - 0.6 * high), thermal - 42 * high
    bands = np.stack([red, shortwave, thermal])
    bands += random.normal(size=bands.shape) * np.array([0.6, 0.35, 0.25])[:, None, None]
    day = datetime(2019, 1, 1) + timedelta(days=7 * (number // 4), hours=17, minutes=25 + 5 * (number % 4))
    return Granule(np.maximum(bands, 0), tracks, day)


def _noise(shape: tuple[int, int], scale: float, random: np.random.Generator, octaves: int = 3) -> np.ndarray:
    """Fractal noise of a scale in pixels `[H, W]`, mean 0 and variance about 1."""
    x, y = np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5
    return noise.fractal(x, y, scale, int(random.integers(2**40)), octaves, 0.55)


def _cloud(shape: tuple[int, int], random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Thickness of low cloud and of high cloud, 0 to 1 `[H, W]` each.

    Low cloud is broken into cells, closed here and open there, and has streets; high cloud veils some of it.
    """
    cells = 1 - np.abs(_noise(shape, 14, random, 2))
    sheet = _noise(shape, 160, random, 3)
    streets = np.abs(_noise(shape, 45, random, 2))
    low = 1 / (1 + np.exp(-(2.2 * cells + 1.3 * sheet + 0.4 * streets + 0.4)))
    high = np.clip(0.8 * _noise(shape, 220, random, 5) - 1.0, 0, 1)
    return low, high


def _track(shape: tuple[int, int], random: np.random.Generator) -> Track:
    """A curved track; its ship may be beyond the edge, but a good part of it lies inside."""
    height, width = shape
    length = int(min(height, width) * random.uniform(0.35, 1.1))
    begin = np.array([width, height]) * random.uniform(0.12, 0.88, 2)
    middle = np.array([width, height]) * random.uniform(0.25, 0.75, 2)
    towards = np.arctan2(*(middle - begin)[::-1]) + random.normal(0, 0.35)
    steps = np.arange(length)
    bend = random.normal(0, 0.9) * steps / length + random.normal(0, 0.25) * np.sin(3 * np.pi * steps / length)
    heading = towards + bend
    line = begin + np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1), 0)
    share = steps / length
    thin, wide = WIDTHS[0] * random.uniform(1, 1.6), WIDTHS[1] * random.uniform(0.45, 1)
    fresh = random.uniform(0.55, 1)
    strength = fresh * np.exp(-share * np.log(fresh / _FAINTEST))
    inside = (line > 0).all(1) & (line < [width, height]).all(1)
    last = len(line) if inside.all() else max(int(np.argmin(inside)), 2)
    return Track(line[:last], (thin + (wide - thin) * np.sqrt(share))[:last], strength[:last])


def _brightening(track: Track, shape: tuple[int, int]) -> np.ndarray:
    """Strength of a track at each pixel `[H, W]`: full in its middle, half at its rim, none beyond."""
    reach = WIDTHS[1]
    low = np.maximum(np.floor(track.line.min(0) - reach), 0).astype(int)
    high = np.minimum(np.ceil(track.line.max(0) + reach), shape[::-1]).astype(int)
    x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
    distance, nearest = cKDTree(track.line).query(np.stack([x, y], -1), distance_upper_bound=reach)
    nearest = np.minimum(nearest, len(track.line) - 1)
    across = distance / (track.width[nearest] / 2)
    added = np.zeros(shape)
    piece = np.where(across <= 1, track.strength[nearest] * (1 - 0.5 * np.minimum(across, 1) ** 2), 0)
    added[low[1] : high[1], low[0] : high[0]] = piece
    return added


def cloudtracks(
    world: World, root: Path, granules: int = 12, shape: tuple[int, int] = (480, 320), most: int = 7
) -> list[Path]:
    """Granules with the outline of each track, as the data before CloudTracks are laid out (Zenodo 7038715).

    `images/<id>.png`, `annotated/<id>.json` (labelme 4) and `points/<id>.txt` with the middle of each track, a line
    each: a word, then x and y in turn. Of the world, only the seed counts.

    Args:
        world: The world.
        root: Where to.
        granules: Their number; four a day, of which one has no track.
        shape: Height and width in pixels; MODIS has 2030 x 1354.
        most: Tracks of a granule at most.
    """
    written: list[Path] = []
    for number in range(granules):
        seen = granule(world.seed, number, shape, most)
        name = f"mod{seen.time:%Y%j.%H%M}"
        image, labels, points = (
            root / f"images/{name}.png", root / f"annotated/{name}.json", root / f"points/{name}.txt",
        )  # fmt: skip
        with replacing(image) as temporary:
            Image.fromarray(seen.picture).save(temporary)
        write_text(labels, json.dumps(_labelme(seen, f"../images/{name}.png")))
        lines = [" ".join(["simulated", *(f"{v:.1f}" for v in track.line[::20].ravel())]) for track in seen.tracks]
        write_text(points, "".join(f"{line}\n" for line in lines))
        written += [image, labels, points]
    return written


def _labelme(seen: Granule, path: str) -> dict[str, object]:
    """A file of labelme 4; a track that leaves the granule and comes back has several polygons of one group."""
    shapes = [
        {
            "label": "shiptrack",
            "points": shapely.get_coordinates(part.exterior)[:-1].round(2).tolist(),
            "group_id": number,
            "shape_type": "polygon",
            "flags": {},
        }
        for number, outline in enumerate(seen.outlines, 1)
        for part in shapely.get_parts(outline)
    ]
    height, width = seen.bands.shape[1:]
    return {
        "version": "4.0.0", "flags": {}, "shapes": shapes, "imagePath": path, "imageData": None,
        "imageHeight": height, "imageWidth": width,
    }  # fmt: skip
