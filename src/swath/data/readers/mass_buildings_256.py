"""Massachusetts Buildings as EfficientNet U-Net++ was published on it (arXiv 2310.06847): averaged to 256 pixels."""

from __future__ import annotations

from pathlib import Path

from swath.data.readers.mass_buildings import read_mass_buildings
from swath.data.scenes import Collection


def read_mass_buildings_256(root: str | Path) -> Collection:
    """Open the data set, reduced; see `read_mass_buildings`."""
    return read_mass_buildings(root, size=256)
