"""What is in a folder, as a person would call it: rasters, vectors, tables, runs, data, and what is broken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import pyogrio
import yaml
from rasterio.errors import RasterioError
from rasterio.windows import Window

from swath.errors import SwathError
from swath.studio.rasters import opened
from swath.studio.roots import Roots
from swath.tasks.run import Run

Kind = Literal["folder", "run", "raster", "vector", "table", "data"]

RASTERS = {".tif", ".tiff", ".jp2", ".png", ".jpg", ".jpeg"}
VECTORS = {".gpkg", ".geojson", ".fgb", ".shp", ".parquet", ".geoparquet", ".kml"}
#: Entries of a folder beyond which a listing is cut.
MOST = 2000
_DATES = re.compile(r"(?<!\d)(?:19|20)\d{2}(?:-?(?:0[1-9]|1[0-2])(?:-?(?:0[1-9]|[12]\d|3[01])(?:T?\d{4,6})?)?)?(?!\d)")


def listing(roots: Roots, name: str) -> dict[str, Any]:
    """Entries of a folder, those that cannot be opened with the reason in `broken`.

    Raises:
        ReadError: If there is no such folder.
    """
    folder = roots.path(name)
    entries: list[dict[str, Any]] = []
    for path in sorted(folder.iterdir(), key=lambda p: (not p.is_dir(), p.name.casefold())):
        kind = None if path.name.startswith(".") else kind_of(path)
        if kind is None:
            continue
        if len(entries) == MOST:
            return {"path": name, "entries": entries, "cut": True}
        entry: dict[str, Any] = {"name": path.name, "path": f"{name}/{path.name}", "kind": kind}
        try:
            roots.path(entry["path"])
        except SwathError:
            entry["broken"] = "a link to a place outside of the served folders"
        else:
            stat = path.stat()
            if path.is_file():
                entry |= {"bytes": stat.st_size, "date": date_of(path.name)}
            entry["broken"] = _reason(path, kind, stat.st_mtime_ns)
        entries.append({key: value for key, value in entry.items() if value is not None})
    return {"path": name, "entries": entries, "cut": False}


def runs_below(roots: Roots) -> Iterator[Path]:
    """Run folders below all roots, at most four folders deep."""
    for name in roots.names:
        yield from _runs(roots.path(name), 4)


def kind_of(path: Path) -> Kind | None:
    """What an entry is by its name; None for what Studio does not show."""
    if path.is_dir():
        return "run" if (path / "task.json").is_file() or (path / "last.ckpt").is_file() else "folder"
    suffix = path.suffix.casefold()
    if suffix in RASTERS:
        return "raster"
    if suffix in VECTORS:
        return "vector"
    if suffix == ".csv":
        return "table"
    return "data" if suffix in (".yaml", ".yml") and path.name != "config.yaml" else None


def date_of(name: str) -> str | None:
    """The date in a file's name, as ISO 8601 to the precision that it has."""
    for found in _DATES.findall(name):
        digits = re.sub(r"\D", "", found)
        for length, pattern, shown in ((12, "%Y%m%d%H%M", "%Y-%m-%dT%H:%M"), (8, "%Y%m%d", "%Y-%m-%d")):
            if len(digits) >= length:
                try:
                    return datetime.strptime(digits[:length], pattern).strftime(shown)
                except ValueError:
                    continue
        if len(digits) in (4, 6):
            return f"{digits[:4]}-{digits[4:]}".rstrip("-")
    return None


@lru_cache(maxsize=4096)
def _reason(path: Path, kind: Kind, _changed: int) -> str | None:
    """Why a file cannot be opened; None if it can. `_changed` keeps answers apart when the file changes."""
    try:
        if kind == "raster":
            with opened(path) as raster:
                # The last block of a truncated file is missing.
                if raster.driver == "GTiff":
                    (height, width), (rows, cols) = raster.block_shapes[0], raster.shape
                    last = Window((cols - 1) // width * width, (rows - 1) // height * height, 1, 1)
                    raster.read(1, window=last)
        elif kind == "vector" and path.suffix.casefold() not in (".parquet", ".geoparquet"):
            pyogrio.list_layers(path)
        elif kind == "data":
            yaml.safe_load(path.read_text("utf-8"))
        elif kind == "run" and (path / "task.json").is_file():
            Run(path).description  # noqa: B018
    except (RasterioError, pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, SwathError) as error:
        return _plain(error, path)
    except (OSError, ValueError, yaml.YAMLError) as error:
        return _plain(error, path)
    return None


def _plain(error: Exception, path: Path) -> str:
    """The reason on one line, without the folders of the server."""
    chain = error if error.__cause__ is None else error.__cause__
    return " ".join(str(chain).replace(str(path.parent) + "/", "").split())[:300] or type(error).__name__


def _runs(folder: Path, depth: int) -> Iterator[Path]:
    if (folder / "task.json").is_file():
        yield folder
    elif depth:
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
                yield from _runs(path, depth - 1)
