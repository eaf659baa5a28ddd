"""Trees: every crown with species group, height and biomass.

Crown diameter follows height by CD = 0.75 H^0.8, a tenth more for broadleaf, a quarter less for conifers (ours).
Biomass above ground follows Jucker et al. 2017 (Global Change Biology 23): AGB = 0.016 (H CD)^2.013 kg for broadleaf,
0.109 (H CD)^1.790 kg for conifers.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import shapely

from swath.simulate import noise

#: Spacing of forest trees, m.
SPACING = 6.5


def biomass(height: np.ndarray, crown: np.ndarray, conifer: np.ndarray) -> np.ndarray:
    """Biomass above ground, kg, of trees with `height` m and `crown` diameter m."""
    size = height * crown
    return np.where(conifer, 0.109 * size**1.790, 0.016 * size**2.013)


def forest(bounds: tuple[float, float, float, float], woods: np.ndarray, seed: int) -> gpd.GeoDataFrame:
    """Trees of the polygons `woods` within `bounds`, on a jittered triangular lattice."""
    x, y, ix, iy = _lattice(bounds, SPACING, seed)
    kept = _within(x, y, woods) & (noise.uniform(ix, iy, seed + 73) < 0.93)
    x, y, ix, iy = x[kept], y[kept], ix[kept], iy[kept]
    age = noise.fractal_at(x, y, 700, seed + 74, 3)
    stand = noise.fractal_at(x, y, 1100, seed + 75, 2)
    conifer = stand + 0.8 * (noise.uniform(ix, iy, seed + 76) - 0.5) > 0.15
    grown = np.clip(18 + 4.5 * age, 6, 27)
    height = grown * (0.75 + 0.45 * noise.uniform(ix, iy, seed + 77))
    return frame(x, y, height, conifer, "forest")


def scattered(
    bounds: tuple[float, float, float, float],
    areas: np.ndarray,
    avoid: np.ndarray,
    spacing: float,
    share: float,
    kind: str,
    seed: int,
) -> gpd.GeoDataFrame:
    """Single trees in `areas` but not in or near `avoid` (polygons), about one per `spacing`^2 / `share`."""
    x, y, ix, iy = _lattice(bounds, spacing, seed)
    kept = (noise.uniform(ix, iy, seed + 83) < share) & _within(x, y, areas)
    x, y, ix, iy = x[kept], y[kept], ix[kept], iy[kept]
    height = 5 + 11 * noise.uniform(ix, iy, seed + 84) ** 1.5
    conifer = noise.uniform(ix, iy, seed + 85) < 0.15
    made = frame(x, y, height, conifer, kind)
    if not len(avoid) or not len(made):
        return made
    near = shapely.STRtree(avoid).query(
        made.geometry.to_numpy(), "dwithin", distance=made["crown"].to_numpy() / 2 + 0.5
    )[0]
    return made.drop(index=np.unique(near)).reset_index(drop=True)


def orchard(bounds: tuple[float, float, float, float], areas: np.ndarray, seed: int) -> gpd.GeoDataFrame:
    """Fruit trees in straight rows on `areas`, 4 m high."""
    x, y, _, _ = _lattice(bounds, 5.5, seed, jitter=0.1)
    kept = _within(x, y, areas)
    x, y = x[kept], y[kept]
    return frame(x, y, np.full(len(x), 4.0), np.zeros(len(x), bool), "orchard")


def frame(x: np.ndarray, y: np.ndarray, height: np.ndarray, conifer: np.ndarray, kind: str) -> gpd.GeoDataFrame:
    """Trees as points: `natural`, `leaf_type`, `height` m, `crown` diameter m, `biomass` kg, `stand`."""
    height = np.round(height, 1)
    crown = np.round(0.75 * height**0.8 * np.where(conifer, 0.75, 1.1), 2)
    return gpd.GeoDataFrame(
        {
            "natural": "tree",
            "leaf_type": np.where(conifer, "needleleaved", "broadleaved"),
            "height": height,
            "crown": crown,
            "biomass": np.round(biomass(height, crown, conifer), 1),
            "stand": kind,
        },
        geometry=shapely.points(x, y),
        index=np.arange(len(x)),
    )


def _lattice(
    bounds: tuple[float, float, float, float], spacing: float, seed: int, jitter: float = 0.55
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Jittered triangular lattice points in half-open `bounds`, with their integer coordinates."""
    west, south, east, north = bounds
    rise = spacing * np.sqrt(3) / 2
    iy = np.arange(np.floor(south / rise) - 1, np.ceil(north / rise) + 2).astype(np.int64)
    ix = np.arange(np.floor(west / spacing) - 2, np.ceil(east / spacing) + 2).astype(np.int64)
    ix, iy = (a.ravel() for a in np.meshgrid(ix, iy))
    x = (ix + 0.5 * (iy % 2) + jitter * (noise.uniform(ix, iy, seed + 71) - 0.5)) * spacing
    y = (iy + jitter * (noise.uniform(ix, iy, seed + 72) - 0.5)) * rise
    mine = (x >= west) & (x < east) & (y >= south) & (y < north)
    return x[mine], y[mine], ix[mine], iy[mine]


def _within(x: np.ndarray, y: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Whether each point is in one of `areas`."""
    inside = np.zeros(len(x), bool)
    for area in areas:
        west, south, east, north = area.bounds
        near = np.flatnonzero(~inside & (x >= west) & (x <= east) & (y >= south) & (y <= north))
        if len(near):
            shapely.prepare(area)
            inside[near] = shapely.contains_xy(area, x[near], y[near])
    return inside
