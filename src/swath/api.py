"""What `import swath` offers beside the registry: each name is loaded when it is first used."""

from __future__ import annotations

from pathlib import Path

from swath.data.config import load_data
from swath.data.raster import open_raster as open  # noqa: A004 - `swath.open`, as `rasterio.open`
from swath.tasks.task import Task

__all__ = ["load", "load_data", "open"]


def load(run: str | Path) -> Task:
    """The task of a run folder, with what it learned; see `Task.load`."""
    return Task.load(Path(run))
