"""What gas mapping writes: the map, the mask, the table of plumes and a quicklook."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from swath import __version__
from swath.data.cubes import Cube
from swath.files import replacing, write_text
from swath.geo.areas import cell_areas
from swath.geo.cog import describe_bands, write_cog
from swath.geo.stac import write_item
from swath.geo.vectors import write_vectors
from swath.geo.windows import whole
from swath.spectral.plumes import plume_table

if TYPE_CHECKING:
    import geopandas as gpd
    from odc.geo.geobox import GeoBox

_LEGEND = {0: ("no plume", (0, 0, 0)), 1: ("plume", (230, 60, 20))}
_UNKNOWN = 255
#: Edge of a quicklook in pixels, at most, and the wavelength of its background, nm.
_LOOK, _BACKGROUND_NM = 1600, 2140.0


def write_products(
    cube: Cube,
    enhancement: np.ndarray,
    mask: np.ndarray,
    output: Path,
    unit: str,
    products: Sequence[str],
    provenance: Mapping[str, Any],
    *,
    pixel_size: float | None,
) -> list[Path]:
    """Write the products of a map, those of a cube in the sensor's geometry on its map grid.

    Args:
        cube: What was mapped.
        enhancement: The map `[height, width]`, NaN where invalid.
        mask: Plumes `[height, width]`.
        output: The map's file.
        unit: Of the map.
        products: Of `mask`, `plumes`, `quicklook`.
        provenance: For the STAC items.
        pixel_size: Edge of a pixel in m, where there is no CRS.

    Returns:
        The paths, the map first.
    """
    background = _background(cube)
    grid = cube.grid
    stored = np.where(np.isfinite(enhancement), mask, _UNKNOWN).astype(np.uint8)
    if cube.lookup is not None:
        grid = cube.lookup.grid
        enhancement, background = (cube.lookup.project(plane, np.nan) for plane in (enhancement, background))
        stored = cube.lookup.project(stored, _UNKNOWN)
    stem = output.with_suffix("")
    told = {**provenance, "version": __version__}
    written = [_raster(output, enhancement.astype(np.float32), grid, "enhancement", float("nan"), unit, told)]
    if "mask" in products:
        path = stem.with_name(f"{stem.name}-mask.tif")
        written.append(_raster(path, stored, grid, "plume", _UNKNOWN, None, told))
    if {"plumes", "quicklook"} & set(products):
        table = plume_table(enhancement, stored == 1, grid, _areas(grid, pixel_size))
        if unit != "ppm m":
            table[["mass_kg", "mass_sd_kg"]] = np.nan
            table = table.rename(columns={"max_ppm_m": "max_score", "mean_ppm_m": "mean_score"})
    if "plumes" in products:
        path = stem.with_name(f"{stem.name}-plumes.gpkg")
        write_vectors(table, path)
        write_text(path.with_suffix(".csv"), table.drop(columns="geometry").to_csv(index=False))
        written += [path, path.with_suffix(".csv")]
    if "quicklook" in products:
        written.append(_quicklook(stem.with_suffix(".png"), background, enhancement, stored == 1, table, unit))
    return written


def _raster(
    path: Path,
    values: np.ndarray,
    grid: GeoBox,
    name: str,
    nodata: float,
    unit: str | None,
    provenance: Mapping[str, Any],
) -> Path:
    legend = _LEGEND if values.dtype == np.uint8 else None
    write_cog(
        path, [values[None]], grid, count=1, dtype=values.dtype, nodata=nodata, band_names=(name,), legend=legend,
        tags={"SWATH_VERSION": __version__, "SWATH_SYSTEM": str(provenance["system"]), "unit": unit or "1"},
        overviews="nearest" if legend else "average",
    )  # fmt: skip
    classes = {
        code: {"name": word, "colour": "#{:02x}{:02x}{:02x}".format(*rgb)} for code, (word, rgb) in _LEGEND.items()
    }
    write_item(
        path, grid=grid, provenance=provenance, classes=classes if legend else None,
        bands=describe_bands((name,), values.dtype, None if np.isnan(nodata) else nodata, unit),
    )  # fmt: skip
    return path


def _areas(grid: GeoBox, pixel_size: float | None) -> np.ndarray | None:
    if grid.crs is not None:
        return cell_areas(grid, whole(grid.shape))
    return None if pixel_size is None else np.full(grid.shape, pixel_size**2)


def _background(cube: Cube) -> np.ndarray:
    """Radiance of a band where the gas does not absorb `[height, width]`, NaN where invalid."""
    nm = np.array([band.wavelength for band in cube.bands], float)
    values, valid = cube.pick([int(np.abs(nm - _BACKGROUND_NM).argmin())]).read(whole(cube.grid.shape))
    return np.where(valid, values[0], np.nan)


def _quicklook(
    path: Path, background: np.ndarray, enhancement: np.ndarray, mask: np.ndarray, table: gpd.GeoDataFrame, unit: str
) -> Path:
    """The plumes over the ground, beside the whole map."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    step = max(1, -(-max(background.shape) // _LOOK))
    ground, column, plumes = (plane[::step, ::step] for plane in (background, enhancement, mask))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a map may be all NaN here
        dark, bright = np.nanpercentile(ground, [2, 98])
        top = np.nanpercentile(column[plumes] if plumes.any() else column, 98)
    height = 6 * ground.shape[0] / ground.shape[1]
    figure = Figure(figsize=(12.6, min(max(height, 3), 18)), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.imshow(ground, cmap="gray", vmin=dark, vmax=bright)
    left.imshow(np.where(plumes, column, np.nan), cmap="inferno", vmin=0, vmax=top)
    heaviest = "" if table.empty or np.isnan(table["mass_kg"][0]) else (
        f"; the heaviest {table['mass_kg'][0]:.0f} ± {table['mass_sd_kg'][0]:.0f} kg"
    )  # fmt: skip
    left.set_title(f"{len(table)} plumes{heaviest}")
    shown = right.imshow(column, cmap="inferno", vmin=0, vmax=top)
    right.set_title("enhancement" + (f", {unit}" if unit != "1" else ""))
    figure.colorbar(shown, ax=right, shrink=0.8)
    for axes in (left, right):
        axes.set_axis_off()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    return path
