"""Tables of images and maps of scenes, of what a causal study says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from swath import __version__
from swath.causal.maps import ChipGrid
from swath.causal.units import Units
from swath.data.sources import Source
from swath.errors import ConfigError
from swath.files import write_text
from swath.geo.cog import describe_bands, write_cog
from swath.geo.stac import write_item

if TYPE_CHECKING:
    import pandas as pd

_VECTORS = (".gpkg", ".parquet", ".geojson")


def write_image_table(table: pd.DataFrame, units: Units, output: Path) -> list[Path]:
    """Write a table with a row for each image, with the mean place of its units where those are known.

    Args:
        table: In the order of the images.
        units: With no images but their own.
        output: `.csv`, or `.gpkg`, `.parquet`, `.geojson` with points in degrees.

    Raises:
        ConfigError: If the suffix is another, or points are wanted of units without places.
    """
    import pandas as pd

    places = pd.DataFrame({"lon": units.lon, "lat": units.lat}).groupby(units.image_of).mean()
    placed = table.assign(lon=places["lon"].to_numpy(), lat=places["lat"].to_numpy())
    suffix = output.suffix.casefold()
    if suffix == ".csv":
        write_text(output, placed.to_csv(index=False))
    elif suffix in _VECTORS and placed["lon"].notna().all():
        import geopandas as gpd

        from swath.geo.vectors import write_vectors

        points = gpd.points_from_xy(placed["lon"], placed["lat"])
        write_vectors(gpd.GeoDataFrame(table, geometry=points, crs=4326), output)
    else:
        raise ConfigError(
            "A table of images cannot be written so",
            got=f"{output.name}, places {'known' if placed['lon'].notna().all() else 'unknown'}",
            expected=f".csv, or of known places {', '.join(_VECTORS)}",
        )
    return [output]


def write_unit_table(table: pd.DataFrame, units: Units, output: Path) -> list[Path]:
    """Write a table with a row for each unit, with its place where that is known.

    Args:
        table: In the order of the units, with columns `lon` and `lat`.
        units: Whose places these are.
        output: `.csv`, `.json` or `.parquet`; of known places `.parquet`, `.gpkg` and `.geojson` hold points.

    Raises:
        ConfigError: If the suffix is another, or points are wanted of units without places.
    """
    from swath.geo.tables import write_table

    placed, suffix = bool(np.isfinite(units.lon).all() and np.isfinite(units.lat).all()), output.suffix.casefold()
    if suffix in _VECTORS and placed:
        import geopandas as gpd

        table = gpd.GeoDataFrame(table, geometry=gpd.points_from_xy(units.lon, units.lat), crs=4326)
    elif suffix in (".gpkg", ".geojson"):
        raise ConfigError("Units without places are no points", got=output.name, fix="Name the columns `lon` and `lat`")
    write_table(table, output)
    return [output]


def write_scene_map(
    scenes: Sequence[Source],
    chip: tuple[int, int],
    cells: tuple[int | None, float | None],
    tell: Callable[[np.ndarray], pd.DataFrame],
    bands: Sequence[str],
    output: Path,
    provenance: Mapping[str, Any],
) -> list[Path]:
    """Write a map of scenes, whose cells are chips, with its STAC item.

    Args:
        scenes: One for each frame.
        chip: Number of frames, and the edge of a chip in pixels.
        cells: Edge of a cell in pixels of a chip, and that of a pixel in metres; see `swath.causal.maps.ChipGrid`.
        tell: As `write_effect_map` takes it.
        bands: Likewise.
        output: `.tif`.
        provenance: For the STAC item.

    Raises:
        ConfigError: If there is another number of scenes, or the suffix is another.
    """
    if len(scenes) != chip[0]:
        raise ConfigError("There must be a scene for each frame", got=len(scenes), expected=chip[0])
    chips = ChipGrid(scenes, chip[1], *cells)
    inputs = {f"frame {number + 1}": frame.name for number, frame in enumerate(scenes)}
    return write_effect_map(chips, tell, bands, output, {**provenance, "inputs": inputs})


def write_effect_map(
    chips: ChipGrid,
    tell: Callable[[np.ndarray], pd.DataFrame],
    bands: Sequence[str],
    output: Path,
    provenance: Mapping[str, Any],
) -> list[Path]:
    """Write a map whose cells are chips, with its STAC item.

    Args:
        chips: Of the scenes.
        tell: Columns of images `[images, frames, bands, size, size]`.
        bands: Those of the columns that become bands.
        output: `.tif`.
        provenance: For the STAC item.

    Raises:
        ConfigError: If the suffix is another.
    """
    if output.suffix.casefold() not in (".tif", ".tiff"):
        raise ConfigError("A map of effects cannot be written so", got=output.name, expected="a .tif")

    def rows() -> Iterator[np.ndarray]:
        for images, enough in chips:
            row = np.full((len(bands), 1, len(images)), np.nan, np.float32)
            if enough.any():
                row[:, 0, enough] = tell(images[enough])[list(bands)].to_numpy().T
            yield row

    write_cog(output, rows(), chips.grid, count=len(bands), dtype="float32", nodata=float("nan"), band_names=bands)
    about = {**provenance, "version": __version__}
    described = describe_bands(bands, "float32", None)  # JSON has no NaN
    return [output, write_item(output, grid=chips.grid, provenance=about, bands=described)]
