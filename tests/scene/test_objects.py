"""Objects and vectors of whole scenes, from files to files."""

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import scipy.ndimage
import shapely
import torch

import tiny
from swath.data.classes import Classes
from swath.data.raster import open_raster
from swath.data.scenes import Scene
from swath.geo.windows import Window
from swath.scene.objects import find_objects, map_vectors, seek_objects, write_numbers, write_objects

CLASSES = Classes.of({4: "roof"})
SPOTS = [(5, 7, 20, 12), (60, 90, 30, 30), (120, 30, 8, 90), (150, 150, 25, 25), (100, 180, 12, 12)]


def connected(batch):
    """A model with a known answer: boxes around connected bright pixels."""
    answers = []
    for image, valid in zip(batch["image"].numpy(), batch["valid"].numpy(), strict=True):
        labelled, _ = scipy.ndimage.label((image[0] > 0.5) & valid)
        spots = scipy.ndimage.find_objects(labelled)
        boxes = [shapely.box(x.start, y.start, x.stop, y.stop) for y, x in spots]
        answers.append((boxes, [0.5] * len(boxes), [0] * len(boxes)))
    return answers


@pytest.fixture
def scene(tmp_path):
    values = np.zeros((200, 220), np.float32)
    for row, col, height, width in SPOTS:
        values[row : row + height, col : col + width] = 1
    values[:, 215:] = -9
    path = tiny.write_raster(tmp_path / "scene.tif", values, tiny.grid(200, 220), nodata=-9)
    return Scene("scene", {"image": open_raster(path)})


@pytest.mark.parametrize("tile", [48, 64, 512])
@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "parquet"])
def test_boxes_lie_where_things_are(scene, tmp_path, tile, suffix):
    output = find_objects(connected, scene, tmp_path / f"found.{suffix}", CLASSES, rule="boxes", tile=tile)
    found = gpd.read_parquet(output) if suffix == "parquet" else gpd.read_file(output)
    truth = tiny.boxes(SPOTS, tiny.grid(200, 220))
    found = found.to_crs(truth.crs)
    assert len(found) == len(SPOTS)
    near = shapely.intersection(found.geometry.to_numpy()[:, None], truth.geometry.to_numpy()[None])
    either = shapely.union(found.geometry.to_numpy()[:, None], truth.geometry.to_numpy()[None])
    assert (shapely.area(near) / shapely.area(either)).max(1) == pytest.approx(1, abs=1e-4)
    assert set(found["class"]) == {"roof"}
    assert set(found["code"]) == {4}
    item = json.loads(output.with_name(output.name + ".stac.json").read_text())
    assert item["properties"]["swath:provenance"]["rule"] == "boxes"


def test_a_scene_without_things_gives_an_empty_layer(tmp_path):
    path = tiny.write_raster(tmp_path / "dark.tif", np.zeros((60, 60), np.float32), tiny.grid(60, 60))
    dark = Scene("dark", {"image": open_raster(path)})
    output = find_objects(connected, dark, tmp_path / "none.gpkg", CLASSES, rule="boxes", tile=32)
    assert len(gpd.read_file(output)) == 0


def test_means_of_tiles_become_a_raster_of_cells(scene, tmp_path):
    def means(batch):
        shares = batch["image"][:, 0].flatten(1).mean(1)
        return torch.stack([shares, 1 - shares], 1)

    output = map_vectors(means, scene, tmp_path / "vectors.tif", tile=20, overlap=0.0)
    with rasterio.open(output) as file:
        cells = file.read()
        assert file.transform.a == 200
        assert file.crs == tiny.UTM33
        assert file.descriptions == ("d0", "d1")
    truth = scene.layers["image"].read(Window(0, 0, 200, 220))[0][0].clip(0)
    assert cells[0] == pytest.approx(truth.reshape(10, 20, 11, 20).mean((1, 3)), abs=1e-6)
    assert cells[1] == pytest.approx(1 - cells[0], abs=1e-6)


def test_a_way_of_its_own_to_merge_and_even_tiles(scene, tmp_path):
    def largest(found, tiling):
        assert tiling.even
        return found.take(np.array([shapely.area(found.shapes).argmax()]))

    sighting = seek_objects(connected, scene, rule=largest, tile=64, overlap=0.25, even=True)
    assert (len(sighting.objects), sighting.rule) == (1, "largest")
    output = write_objects(sighting, scene, tmp_path / "one.gpkg", CLASSES)
    item = json.loads(output.with_name(output.name + ".stac.json").read_text())
    assert item["properties"]["swath:provenance"]["rule"] == "largest"


def test_of_things_that_lie_on_each_other_the_surest_has_the_number(scene, tmp_path):
    def two(batch):
        low, high = shapely.box(10, 10, 60, 60), shapely.box(40, 40, 90, 70)
        return [([low, high], [0.9, 0.2], [0, 0])] * len(batch["valid"])

    sighting = seek_objects(two, scene, rule="polygons", tile=512)
    with rasterio.open(write_numbers(sighting, scene, tmp_path / "numbers.tif")) as file:
        numbers = file.read(1)
    assert (numbers[10:60, 10:60] == 1).all()
    assert (numbers[60:70, 40:90] == 2).all()
    assert (numbers == 2).sum() == 30 * 50 - 20 * 20
