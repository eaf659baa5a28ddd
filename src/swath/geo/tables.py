"""Tables as products: rows with or without geometries, in the format of the suffix."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import geopandas as gpd
import pandas as pd

from swath.errors import ConfigError, MissingExtraError
from swath.files import replacing
from swath.geo.vectors import write_vectors

#: Suffixes of tables without geometries.
SUFFIXES = (".csv", ".json", ".parquet")


def write_count(image: str, count: int, path: Path) -> Path:
    """Write how many things an image holds, a table of one row; returns the path."""
    write_table(pd.DataFrame([{"image": image, "count": count}]), path)
    return path


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table, `.csv`, `.json` (a list of rows) or `.parquet`; geometries also as `write_vectors` does.

    Geometries are left out of `.csv` and `.json`.

    Raises:
        ConfigError: If the suffix is another.
        MissingExtraError: If Parquet is asked for without its library.
        SwathError: As `write_vectors` raises it.
    """
    path = Path(path)
    if isinstance(frame, gpd.GeoDataFrame):
        if path.suffix not in (".csv", ".json"):
            write_vectors(frame, path)
            return
        frame = pd.DataFrame(frame.drop(columns=frame.geometry.name))
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"Cannot tell the format of {path}", got=path.suffix or "no suffix", expected=list(SUFFIXES))
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise MissingExtraError("pyarrow", "parquet")
    with replacing(path) as temporary:
        if path.suffix == ".csv":
            frame.to_csv(temporary, index=False)
        elif path.suffix == ".json":
            frame.to_json(temporary, orient="records", indent=1)
        else:
            frame.to_parquet(temporary, index=False)
