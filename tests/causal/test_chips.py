"""Chips of several dates, and units by their places."""

import json

import numpy as np
import pandas as pd
import pytest
import rasterio
import yaml
from affine import Affine
from rasterio.warp import transform

from swath.causal.units import read_units
from swath.errors import BandError, DataError, ReadError


def write_scene(path, value, bands=2, west=4e5):
    profile = {"driver": "GTiff", "width": 60, "height": 60, "count": bands, "dtype": "float32", "crs": "EPSG:32636"}
    values = np.full((bands, 60, 60), value, np.float32)
    with rasterio.open(path, "w", **profile, transform=Affine(30, 0, west, 0, -30, 3e5)) as raster:
        raster.write(values)


@pytest.fixture
def folder(tmp_path):
    """Two places in scenes of two years."""
    lon, lat = transform("EPSG:32636", "EPSG:4326", [400600, 401200], [299400, 299000])
    pd.DataFrame({"lon": lon, "lat": lat, "t": [0, 1], "y": [1.0, 2.0]}).to_csv(tmp_path / "units.csv", index=False)
    for year in (2000, 2010):
        write_scene(tmp_path / f"scene{year}.tif", year)
    return tmp_path


def read(folder, **images):
    said = {"units": "units.csv", "treatment": "t", "outcome": "y", "lon": "lon", "lat": "lat"}
    path = folder / "units.yaml"
    path.write_text(yaml.safe_dump({**said, "images": {"size": 8, **images}}))
    return read_units(path)


def test_a_pattern_for_each_date_makes_a_sequence(folder):
    units = read(folder, scenes={"first": "scene2000.tif", "second": "scene2010.tif"})
    assert units.images.shape == (2, 2, 2, 8, 8)
    assert (units.images[:, 0] == 2000).all()
    assert (units.images[:, 1] == 2010).all()


def test_several_scenes_of_one_date_share_the_places(folder):
    write_scene(folder / "scene2010b.tif", 7, west=400900)
    units = read(folder, scenes="scene2010*.tif")
    assert units.images.shape == (2, 1, 2, 8, 8)
    assert (units.images[0] == 2010).all()


def test_a_collection_makes_a_frame_of_each_year(folder):
    from swath.data.raster import open_raster
    from swath.geo.stac import write_item

    for year in (2010, 2000):
        path = folder / f"scene{year}.tif"
        write_item(
            path,
            grid=open_raster(path).grid,
            provenance={"system": "-", "weights": None, "inputs": {}, "version": "1"},
            bands=[],
        )
    items = sorted(folder.glob("*.stac.json"))
    for item in items:
        said = json.loads(item.read_text())
        said["properties"]["datetime"] = f"{item.name[5:9]}-06-01T00:00:00Z"
        item.write_text(json.dumps(said))
    collection = {
        "type": "Collection", "stac_version": "1.0.0", "id": "scenes", "description": "-", "license": "other",
        "extent": {"spatial": {"bbox": [[32, 2, 33, 3]]}, "temporal": {"interval": [[None, None]]}},
        "links": [{"rel": "item", "href": f"./{item.name}"} for item in items],
    }  # fmt: skip
    (folder / "collection.json").write_text(json.dumps(collection))
    units = read(folder, stac="collection.json")
    assert units.images.shape == (2, 2, 2, 8, 8)
    assert (units.images[:, 0] == 2000).all()
    assert (units.images[:, 1] == 2010).all()


def test_what_scenes_do_not_show_is_named(folder):
    write_scene(folder / "away.tif", 1, west=9e5)
    with pytest.raises(DataError, match="2 of 2 places lie outside every scene of frame 'second'"):
        read(folder, scenes={"first": "scene2000.tif", "second": "away.tif"})
    with pytest.raises(ReadError, match="No scene matches"):
        read(folder, scenes="nothing*.tif")
    write_scene(folder / "wide.tif", 1, bands=3)
    with pytest.raises(BandError, match="other bands"):
        read(folder, scenes={"first": "scene2000.tif", "second": "wide.tif"})
