"""Pictures kept as encoded bytes in the rows of Parquet files, as the Hugging Face hub publishes data sets."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from PIL import Image, UnidentifiedImageError

from swath.data.blocks import default_cache
from swath.data.sources import ArraySource
from swath.errors import DataError, MissingExtraError, ReadError
from swath.geo.grids import shape_of
from swath.geo.windows import Window
from swath.sensors.bands import Bands


@dataclass(frozen=True)
class Row:
    """A row of a file.

    Attributes:
        path: The file.
        group: Number of its row group.
        place: Place in the row group.
        values: What the columns hold that were asked for.
    """

    path: Path
    group: int
    place: int
    values: dict[str, Any]


def read_rows(path: Path, columns: Sequence[str]) -> list[Row]:
    """All rows of a file, with some columns read; pictures are better left to `PictureInRow`.

    Raises:
        ReadError: If the file is no Parquet.
        DataError: If it lacks a column.
        MissingExtraError: If pyarrow is not installed.
    """
    file = _open(path)
    if lacking := [name for name in columns if name not in file.schema_arrow.names]:
        raise DataError(f"{path} lacks a column", got=", ".join(file.schema_arrow.names), expected=", ".join(lacking))
    return [
        Row(path, group, place, values)
        for group in range(file.num_row_groups)
        for place, values in enumerate(file.read_row_group(group, columns=list(columns)).to_pylist())
    ]


class PictureInRow:
    """The picture of a row as a source, decoded when it is read and kept with other decoded blocks.

    Args:
        row: The row.
        column: The column, of `{bytes, path}` or of bytes.
        bands: What the picture holds: one band or three.
        grid: Where it is.
    """

    def __init__(self, row: Row, column: str, bands: Bands, grid: GeoBox) -> None:
        self._row, self._column = row, column
        self._key = (str(row.path), row.group, row.place, column)
        self.name = f"{row.path} row {row.group}:{row.place}"
        self.bands, self.grid, self.dtype = bands, grid, np.dtype(np.uint8)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `Source.read`.

        Raises:
            ReadError: If the bytes are no picture.
            DataError: If the picture is of another size than its row says.
        """
        return ArraySource(default_cache().get(self._key, self._decoded), self.bands, self.grid).read(window)

    def _decoded(self) -> np.ndarray:
        table = _open(self._row.path).read_row_group(self._row.group, columns=[self._column])
        found = table.column(0)[self._row.place].as_py()
        content: Any = found.get("bytes") if isinstance(found, dict) else found
        try:
            with Image.open(io.BytesIO(content)) as picture:
                values = np.asarray(picture.convert("RGB" if len(self.bands) == 3 else "L"))
        except (TypeError, UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
            raise ReadError(f"The picture of {self.name} cannot be decoded", got=error) from error
        if values.shape[:2] != shape_of(self.grid):
            raise DataError(f"{self.name} has another size", got=values.shape[:2], expected=shape_of(self.grid))
        return np.moveaxis(values, -1, 0) if values.ndim == 3 else values[None]


def _open(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet") from error
    try:
        return parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise ReadError(f"{path} is no readable Parquet file", got=error) from error
