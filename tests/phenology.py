"""A small world of fields, forest, towns and water in hills, seen on dated images, with exact classes.

Greenness follows a double logistic over the year (Beck et al. 2006). Each class has its own regional variation of
season, vigour and brightness, smooth over tens of pixels: near pixels of a class look alike, far ones less so.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from swath.data.composites import MedianComposite, of_season
from swath.data.scenes import Scene
from swath.data.sources import ArraySource
from swath.data.stack import StackSource
from swath.sensors.catalogue import sensor

CROPLAND, RICE, FOREST, URBAN, WATER = range(5)
COLOURS = ("red", "green", "blue", "nir")

# Base, amplitude, day of rise, day of fall of the vegetated share, for each class.
_SEASONS = np.array(
    [[0.25, 0.5, 110, 250], [0.15, 0.6, 175, 285], [0.7, 0.2, 100, 300], [0.1, 0.08, 120, 280], [0] * 4]
)
# Reflectance of red, green, blue, near infrared.
_PLANT = np.array([0.035, 0.07, 0.03, 0.42])
_SOIL = np.array([[0.19, 0.15, 0.11, 0.26], [0.12, 0.1, 0.08, 0.15], [0.13, 0.1, 0.07, 0.2], [0.22, 0.21, 0.19, 0.27]])
_OPEN_WATER = np.array([0.03, 0.05, 0.05, 0.02])


@dataclass(frozen=True)
class World:
    """Dated scenes, classes `[h, w]`, elevation in metres `[h, w]`, and their grid."""

    scenes: list
    classes: np.ndarray
    elevation: np.ndarray
    grid: GeoBox

    def features(self):
        """Medians of March to May and July to September, one after the other, as a source."""
        seasons = {"before": (3, 5), "during": (7, 9)}
        return StackSource(
            [
                MedianComposite(
                    [scene.layers["image"] for scene in of_season(self.scenes, *months)],
                    names=[f"{colour}_{season}" for colour in COLOURS],
                )
                for season, months in seasons.items()
            ]
        )


def make_world(shape=(128, 128), seed=0, region=1.0, terraces=False, parcel=90, noise=0.012):
    """A world; `region` scales the regional variation, a `parcel` has so many pixels.

    With `terraces`, rice and cropland share all spectra: both are half bright, half dark, but rice in stripes and
    cropland at random, so that no single pixel tells them apart.
    """
    rng = np.random.default_rng(seed)
    grid = GeoBox(shape, Affine(10, 0, 700_000, 0, -10, 3_040_000), "EPSG:32645")
    elevation = 1800 + 700 * _smooth(rng, shape, 18)
    classes = _parcels(rng, elevation, parcel)
    regions = _regions(rng, shape, region)
    share = _SEASONS[classes] + 0.0
    soil = np.concatenate([_SOIL, [_OPEN_WATER]])[classes]
    if terraces:
        farmed = (classes == RICE) | (classes == CROPLAND)
        rows, cols = np.mgrid[: shape[0], : shape[1]]
        bright = np.where(classes == RICE, (rows + cols) // 2 % 2 == 0, rng.random(shape) < 0.5)
        share[farmed], soil[farmed] = _SEASONS[RICE], _SOIL[RICE]
        soil[farmed & bright] *= 1.8
    pick = (classes, *np.mgrid[: shape[0], : shape[1]])
    shift, vigour, brightness = (field[pick] for field in regions)
    scenes = []
    for day in range(65, 275, 14):
        rise, fall = (1 / (1 + np.exp(-(day - share[..., n] - shift) / 9)) for n in (2, 3))
        green = np.clip((share[..., 0] + share[..., 1] * (rise - fall)) * (1 + vigour), 0, 0.98)[..., None]
        reflectance = green * _PLANT + (1 - green) * soil * (1 + brightness[..., None])
        reflectance = reflectance + rng.normal(0, noise, reflectance.shape)
        stored = np.clip(np.round(reflectance * 10_000), 1, 10_000).astype(np.uint16)
        stored[_smooth(rng, shape, 10) > 1.2] = 0  # cloud
        when = datetime(2021, 1, 1, tzinfo=UTC) + timedelta(days=day - 1)
        image = ArraySource(stored.transpose(2, 0, 1), sensor("nicfi").select(COLOURS), grid, name=f"{when:%Y-%m-%d}")
        scenes.append(Scene(image.name, {"image": image}, time=when))
    return World(scenes, classes, elevation, grid)


def _regions(rng, shape, region):
    """Shift in days, relative vigour and relative brightness of each class, `[3, class, h, w]`."""
    scales = np.array([22.0, 0.22, 0.25]) * region
    fields = np.array([[_smooth(rng, shape, 14) for _ in range(5)] for _ in scales])
    return fields * scales[:, None, None, None]


def _smooth(rng, shape, sigma):
    """A smooth random field of mean 0 and deviation 1."""
    field = gaussian_filter(rng.normal(size=shape), sigma, mode="wrap")
    return (field - field.mean()) / field.std()


def _parcels(rng, elevation, pixels):
    """Classes of Voronoi parcels, drawn by the elevation of their middle; rice grows from 1000 to 2600 m."""
    height, width = elevation.shape
    seeds = rng.uniform(0, (height, width), (height * width // pixels, 2))
    metres = elevation[tuple(seeds.astype(int).T)]
    chances = np.where(
        ((metres > 1000) & (metres < 2600))[:, None], [0.28, 0.3, 0.22, 0.12, 0.08], [0.25, 0, 0.6, 0.05, 0.1]
    )
    classes = (chances.cumsum(1) < rng.random((len(seeds), 1))).sum(1).clip(0, 4)
    _, nearest = cKDTree(seeds).query(np.stack(np.mgrid[:height, :width], -1) + 0.5)
    return classes[nearest]
