"""A user's own files, and a run that was fitted on them by the command line."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import yaml

import tiny
from swath.cli import main

QUICK = ["--epochs=3", "--patch=16", "--batch=16", "--samples=256", "--learning-rate=0.01", "--accelerator=cpu"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """`data.yaml` with two scenes, in UTM 32 and 33, and polygons of three bright fields in each in EPSG:3035."""
    root = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    fields = []
    for name, grid in {"west": tiny.grid(96, 96, tiny.UTM32, x=700_000), "east": tiny.grid(96, 96)}.items():
        values = rng.normal(0.2, 0.03, (2, 96, 96))
        cells = [(8, 8, 30, 30), (50, 10, 30, 40), (20, 60, 50, 25)]
        for row, col, height, width in cells:
            values[:, row : row + height, col : col + width] += 0.3
        tiny.write_raster(root / f"{name}.tif", values.astype(np.float32), grid, names=("a", "b"))
        fields.append(tiny.boxes(cells, grid, kind=["field"] * 3).to_crs(tiny.LAEA))
    gpd.GeoDataFrame(pd.concat(fields, ignore_index=True)).to_file(root / "fields.gpkg")
    description = {
        "layers": {"image": {"files": "*.tif", "sensor": "custom", "bands": ["a", "b"], "unit": "1"}},
        "labels": {"files": "fields.gpkg", "attribute": "kind", "background": "other"},
        "classes": {1: "other", 2: {"name": "field", "colour": "#ffcc00"}},
        "split": {"by": "block", "size": 200, "buffer": 10, "fractions": [0.6, 0.2, 0.2], "seed": 0},
    }
    (root / "data.yaml").write_text(yaml.safe_dump(description))
    return root


@pytest.fixture(scope="session")
def run(folder, tmp_path_factory):
    made = tmp_path_factory.mktemp("runs") / "fields"
    assert main(["fit", "bhutan_rice", str(folder / "data.yaml"), "-o", str(made), *QUICK]) == 0
    return made
