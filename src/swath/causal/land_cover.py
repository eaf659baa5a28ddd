"""What land a place shows, and which effects go with it: a reading aid for effects that images told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pyproj import CRS
from scipy.stats import norm

from swath.causal.chips import utm_zone
from swath.causal.cluster_study import clustered_least_squares
from swath.data.sources import Source
from swath.errors import ConfigError, DataError
from swath.geo.grids import positions, require_crs, transformer
from swath.geo.windows import Window


def land_cover_shares(source: Source, lon: np.ndarray, lat: np.ndarray, square: float) -> pd.DataFrame:
    """Share of each class in a square around each place; columns are class codes, most common first.

    Args:
        source: Raster of class codes, one band.
        lon: Of the middles, degrees.
        lat: Likewise.
        square: Edge in metres. Pixels count whose centre lies in the square's outline on the raster's grid.

    Raises:
        ConfigError: If the square has no size.
        DataError: If the raster has several bands, or a place lies where it shows nothing.
    """
    if not square > 0:
        raise ConfigError("The square around places needs an edge", got=square, expected="metres")
    if len(source.bands) != 1:
        raise DataError(f"{source.name} is no map of classes", got=f"{len(source.bands)} bands", expected="one")
    crs, counts = require_crs(source.grid, source.name), []
    for x, y in zip(lon, lat, strict=True):
        if not np.isfinite([x, y]).all():
            raise DataError("Land cover needs places", fix="Name the columns `lon` and `lat`")
        zone = CRS.from_epsg(utm_zone(float(x), float(y)))
        east, north = transformer(CRS.from_epsg(4326), zone).transform(x, y)
        half = square / 2
        corners = np.array([(east + i * half, north + j * half) for i in (-1, 1) for j in (-1, 1)])
        rows, cols = positions(source.grid, *transformer(zone, crs).transform(*corners.T))
        top, left, bottom, right = (int(np.floor(v + 0.5)) for v in (rows.min(), cols.min(), rows.max(), cols.max()))
        values, valid = source.read(Window(top, left, max(bottom - top, 1), max(right - left, 1)))
        if not valid.any():
            raise DataError(f"{source.name} shows nothing around a place", got=f"{x:.5f}, {y:.5f} (lon, lat)")
        codes, number = np.unique(values[0][valid], return_counts=True)
        counts.append(dict(zip(codes.tolist(), (number / number.sum()).tolist(), strict=True)))
    table = pd.DataFrame(counts).fillna(0.0)
    return table[table.mean().sort_values(ascending=False, kind="stable").index]


@dataclass(frozen=True)
class Explained:
    """Slopes of effects on shares of land cover, beside the most common class."""

    names: tuple[str, ...]
    slopes: np.ndarray
    errors: np.ndarray

    def plain(self) -> list[dict[str, float | str]]:
        """A mapping for each class."""
        return [
            {"class": name, "slope": float(s), "error": float(e), "p": float(2 * norm.sf(abs(s / e))) if e > 0 else 1.0}
            for name, s, e in zip(self.names, self.slopes, self.errors, strict=True)
        ]


def explain(values: np.ndarray, shares: pd.DataFrame, groups: np.ndarray) -> Explained:
    """Least squares of effects of units on shares of classes, errors clustered by image.

    Of predicted effects, slopes describe the model; of doubly robust scores they test what is true of effects (Semenova
    & Chernozhukov 2021), with errors as large as those scores are noisy.

    Args:
        values: Of each unit.
        shares: Of each unit; the first column is what others are compared with.
        groups: Image of each unit.

    Raises:
        DataError: If there is one class only.
    """
    if shares.shape[1] < 2:
        raise DataError("All places show one class of land cover alone", got=list(shares.columns))
    others = shares.iloc[:, 1:]
    design = np.concatenate([np.ones((len(shares), 1)), others.to_numpy()], axis=1)
    slopes, covariance = clustered_least_squares(values, design, groups)
    return Explained(tuple(str(c) for c in others.columns), slopes[1:], np.sqrt(np.diag(covariance))[1:])
