"""Plumes: masks out of enhancement maps, and what each plume holds.

Sources: the morphological detector of Herec et al. 2025; the integrated mass enhancement (IME) of Varon et al. 2018,
doi:10.5194/amt-11-5673-2018, equation 6. The uncertainty is our choice: the spread of the same mask's mass laid over
plume-free places of the map, so that it holds clutter and correlated noise, too.
"""

from __future__ import annotations

from collections.abc import Iterator

import geopandas as gpd
import numpy as np
import rasterio.features
import shapely
from odc.geo.geobox import GeoBox
from scipy import ndimage

from swath.errors import ConfigError

#: Mass of methane over 1 m2 where the column is 1 ppm m, kg: 16.043 g/mol in air of 1013.25 hPa and 288.15 K.
KG_PER_PPM_M = 1e-6 * 0.016043 * 101325 / (8.314463 * 288.15)
#: Pixels that a plume has at least: a tile counts as positive beyond five.
FEWEST_PIXELS = 6
_CROSS = ndimage.generate_binary_structure(2, 1)
_EIGHT = ndimage.generate_binary_structure(2, 2)
#: Places where the mask of a plume is laid to learn its noise.
_PLACES = 200
#: Share of the mask that must fall on valid, plume-free pixels there.
_CLEAR = 0.9


def plume_mask(enhancement: np.ndarray, threshold: float, fewest: int = FEWEST_PIXELS) -> np.ndarray:
    """Plumes `[height, width]` (bool): above the threshold, opened with a cross of 3 x 3, of enough pixels.

    Args:
        enhancement: Map `[height, width]`; NaN is no plume.
        threshold: In the map's unit.
        fewest: Pixels that a plume has at least, corners touching.

    Raises:
        ConfigError: If the threshold is not finite.
    """
    if not np.isfinite(threshold):
        raise ConfigError("The threshold of plumes is not a finite number", got=threshold)
    return large_enough(ndimage.binary_opening(np.nan_to_num(enhancement, nan=-np.inf) > threshold, _CROSS), fewest)


def large_enough(mask: np.ndarray, fewest: int) -> np.ndarray:
    """The pieces of a mask `[height, width]` that have enough pixels, corners touching."""
    labels, _ = ndimage.label(mask, _EIGHT)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(sizes[labels] >= max(fewest, 1))


def plume_table(
    enhancement: np.ndarray, mask: np.ndarray, grid: GeoBox, areas: np.ndarray | None, seed: int = 0
) -> gpd.GeoDataFrame:
    """A row for each plume, the heaviest first, with its outline.

    Args:
        enhancement: Column `[height, width]`, ppm m.
        mask: Plumes `[height, width]`.
        grid: Where.
        areas: Of the pixels, m2 `[height, width]`; None leaves areas, masses and lengths NaN.
        seed: Of the places where the noise is learned.

    Returns:
        Columns `plume`, `pixels`, `area_m2`, `mass_kg` (IME less the mean mass of the same mask elsewhere),
        `mass_sd_kg` (spread there), `length_m` (largest distance across), `max_ppm_m`, `mean_ppm_m`, `x`, `y` (of the
        maximum), and the geometry.
    """
    labels, count = ndimage.label(mask, _EIGHT)
    column = np.nan_to_num(enhancement, nan=0.0).astype(np.float64)
    clear = np.isfinite(enhancement) & ~mask
    rng = np.random.default_rng(seed)
    pixel = np.full(mask.shape, np.nan) if areas is None else areas
    outlines = dict(_outlines(labels, grid))
    rows = []
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        inside = labels[box] == number
        area, weights = pixel[box][inside], column[box][inside]
        mass = KG_PER_PPM_M * float((area * weights).sum())
        elsewhere = KG_PER_PPM_M * float(area.mean()) * np.array(list(_elsewhere(column, clear, inside, rng)))
        known = len(elsewhere) > 1
        row, col = np.unravel_index(np.where(labels[box] == number, column[box], -np.inf).argmax(), inside.shape)
        x, y = grid.affine @ (box[1].start + int(col) + 0.5, box[0].start + int(row) + 0.5)
        rows.append(
            {
                "pixels": int(inside.sum()),
                "area_m2": float(area.sum()),
                "mass_kg": mass - (float(elsewhere.mean()) if known else 0.0),
                "mass_sd_kg": float(elsewhere.std(ddof=1)) if known else float("nan"),
                "length_m": _diameter(inside) * float(np.sqrt(area.mean())),
                "max_ppm_m": float(weights.max()),
                "mean_ppm_m": float(weights.mean()),
                "x": float(x),
                "y": float(y),
                "geometry": outlines[number],
            }
        )
    rows.sort(key=lambda found: (-np.nan_to_num(found["mass_kg"]), -found["pixels"]))
    names = ("pixels", "area_m2", "mass_kg", "mass_sd_kg", "length_m", "max_ppm_m", "mean_ppm_m", "x", "y", "geometry")
    columns = {name: [row[name] for row in rows] for name in names}
    return gpd.GeoDataFrame({"plume": range(1, count + 1), **columns}, geometry="geometry", crs=grid.crs)


def _elsewhere(column: np.ndarray, clear: np.ndarray, inside: np.ndarray, rng: np.random.Generator) -> Iterator[float]:
    """Sums of the column under the mask at random clear places, ppm m."""
    height, width = inside.shape
    tops = rng.integers(0, column.shape[0] - height + 1, _PLACES)
    lefts = rng.integers(0, column.shape[1] - width + 1, _PLACES)
    count = inside.sum()
    for top, left in zip(tops, lefts, strict=True):
        place = slice(top, top + height), slice(left, left + width)
        seen = clear[place] & inside
        if seen.sum() >= _CLEAR * count:
            yield float(column[place][seen].sum() * count / seen.sum())


def _diameter(inside: np.ndarray) -> float:
    """Largest distance between the outer corners of pixels, in pixels."""
    rows, cols = np.nonzero(inside)
    corners = np.concatenate([np.column_stack((rows + r, cols + c)) for r in (0, 1) for c in (0, 1)])
    hull = shapely.get_coordinates(shapely.convex_hull(shapely.multipoints(corners)))
    return float(np.sqrt(((hull[:, None] - hull[None]) ** 2).sum(-1)).max())


def _outlines(labels: np.ndarray, grid: GeoBox) -> Iterator[tuple[int, shapely.Geometry]]:
    shapes = rasterio.features.shapes(labels.astype(np.int32), labels > 0, connectivity=8, transform=grid.affine)
    for outline, number in shapes:
        yield int(number), shapely.make_valid(shapely.geometry.shape(outline))
