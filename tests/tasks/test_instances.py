"""Instance segmentation as a task: learning, finding things across tiles, scores beside baselines."""

import contextlib
import csv

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import torch
from scipy import ndimage
from torch import nn

import discs
import tiny
from swath.data.classes import Classes
from swath.data.raster import open_raster
from swath.data.scenes import Collection, Scene
from swath.data.splits import split_by_block
from swath.data.vectorlabels import VectorLabels
from swath.errors import ConfigError, DataError
from swath.nn.mask_rcnn import mask_rcnn
from swath.tasks.instances import InstanceSegmentation
from swath.tasks.normalise import Normalisation
from swath.tasks.recipe import Recipe
from swath.tasks.weights import load_state

PLAIN = {"image": Normalisation((0.0, 0.0), (1.0, 1.0))}


class Sees(nn.Module):
    """A network with a known answer: connected pixels of the first band above one, of class 1 or 2 by the second."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        answers = []
        for image in images:
            numbers, count = ndimage.label(image[0].numpy() > 1)
            masks = (
                np.stack([numbers == n for n in range(1, count + 1)]) if count else np.zeros((0, *numbers.shape), bool)
            )
            kinds = [2 if image[1][torch.from_numpy(m)].mean() < 0.5 else 1 for m in masks]
            answers.append(
                {"masks": torch.from_numpy(masks[:, None]).float(), "labels": torch.tensor(kinds),
                 "scores": torch.linspace(0.9, 0.6, len(masks))}
            )  # fmt: skip
        return answers


def task(net=None, **options):
    made = InstanceSegmentation(
        net or Sees(),
        bands=discs.BANDS,
        classes=discs.CLASSES,
        recipe=Recipe(patch=64, batch=4),
        normalisation=PLAIN,
        **options,
    )
    made.system = {"id": "discs", "options": {}}
    return made


def squares(tmp_path, part=None):
    """A scene with a CRS: squares, some across the edges of tiles."""
    values = np.zeros((2, 150, 170), np.float32)
    cells = [(4, 5, 12, 12), (55, 58, 14, 16), (100, 20, 20, 9), (120, 140, 20, 20), (60, 100, 8, 50)]
    for n, (row, col, height, width) in enumerate(cells):
        values[:, row : row + height, col : col + width] = [[[2]], [[n % 2]]]
    grid = tiny.grid(150, 170, size=0.5)
    path = tiny.write_raster(tmp_path / "scene.tif", values, grid)
    frame = tiny.boxes(cells, grid, kind=[1 - n % 2 for n in range(5)])
    labels = VectorLabels(frame, "kind", discs.CLASSES)
    return Scene("scene", {"image": open_raster(path, bands=discs.BANDS)}, labels, part=part), frame


def test_things_are_found_across_tiles_and_written_with_place_class_and_score(tmp_path):
    scene, truth = squares(tmp_path)
    written = task().predict(scene, tmp_path / "found.gpkg", products=("objects", "numbers"), tile=64, tile_overlap=0.5)
    found = gpd.read_file(written[0])
    assert found.crs == truth.crs
    assert len(found) == 5
    for row in found.itertuples():
        best = shapely.area(shapely.intersection(truth.geometry.to_numpy(), row.geometry)).argmax()
        assert row.geometry.symmetric_difference(truth.geometry[best]).area == pytest.approx(0, abs=1e-6)
        assert row.code == truth["kind"][best]
    with rasterio.open(written[1]) as file:
        numbers = file.read(1)
        assert (file.crs, file.transform, file.shape) == (truth.crs, scene.grid.affine, (150, 170))
    for number, row in enumerate(found.itertuples(), 1):
        assert (numbers == number).sum() * 0.25 == pytest.approx(row.geometry.area)
    assert len(np.unique(numbers)) == 6


def test_things_below_the_least_score_are_left_out(tmp_path):
    scene, _ = squares(tmp_path)
    (path,) = task().predict(scene, tmp_path / "found.geojson", tile=256, least_score=0.7)
    assert 0 < len(gpd.read_file(path)) < 5
    with pytest.raises(ConfigError, match="product"):
        task().predict(scene, tmp_path / "found.gpkg", products=("masks",))
    with pytest.raises(ConfigError, match="suppression"):
        task(suppression="soft")


def test_things_on_other_ground_are_left_out(tmp_path):
    scene, truth = squares(tmp_path)
    # a coarser map in another CRS: code 1 on the left, 0 in the middle, no data on the right
    codes = np.ones((1, 90, 110), np.uint8)
    ground = truth.to_crs("EPSG:3035").total_bounds
    place = tiny.grid(90, 110, "EPSG:3035", 1.0, ground[0] - 8, ground[3] + 8)
    middle = truth.to_crs("EPSG:3035").geometry[1].centroid.x - ground[0] + 8
    codes[:, :, int(middle) - 5 :] = 0
    codes[:, :, 75:] = 255
    path = tiny.write_raster(tmp_path / "ground.tif", codes, place, nodata=255)
    (written,) = task().predict(scene, tmp_path / "found.gpkg", tile=64, tile_overlap=0.5, within=path)
    found = gpd.read_file(written).to_crs("EPSG:3035")
    left = [row.geometry.centroid.x - ground[0] + 8 < middle - 5 for row in truth.to_crs("EPSG:3035").itertuples()]
    assert 0 < sum(left) < 5
    assert len(found) == sum(left)


def test_a_perfect_answer_scores_one_beside_its_baselines(tmp_path):
    data = discs.collection(train=4, val=0, test=3)
    scores = task().score(data, resamples=50)
    # touching discs are one for components of pixels: the network with a known answer is the baseline here
    assert 0 < scores.system["ap50"].value < 1
    assert set(scores.baselines) == {"connected components", "watershed"}
    assert scores.facts["scenes"] == 3
    assert scores.facts["things"] == sum(len(s.labels.instances(s.grid)) for s in data if s.part == "test")
    scene, _ = squares(tmp_path, "test")
    trained = [s for s in data if s.part == "train"]
    perfect = task().score(Collection((*trained, scene), discs.CLASSES), tile=64, tile_overlap=0.5)
    assert perfect.system["ap50"].value == perfect.system["ap"].value == 1
    assert perfect.system["count_mae"].value == 0
    assert perfect.details["ap50 by class"] == {"small": 1.0, "large": 1.0}
    counts = perfect.details["counts"]
    assert counts["scenes"] == [scene.id]
    assert counts["true"] == counts["system"] == [5]
    assert set(counts) == {"scenes", "true", "system", "connected components", "watershed"}


def test_things_of_a_divided_scene_count_where_most_of_them_lies(tmp_path):
    scene, _ = squares(tmp_path)
    data = split_by_block(Collection((scene,), discs.CLASSES), size=25, fractions=(0.4, 0.2, 0.4), seed=1)
    counted = {}
    for part in ("train", "val", "test"):
        with contextlib.suppress(DataError):
            counted[part] = task().score(data, part, tile=64, tile_overlap=0.5).facts["things"]
    assert sum(counted.values()) == 5
    assert len(counted) > 1


@pytest.mark.parametrize(("suppression", "count"), [("box", 3), ("mask", 2)])
def test_suppression_by_mask_keeps_things_that_cross(suppression, count):
    class Three(nn.Module):
        def forward(self, images):
            masks = torch.zeros(3, 1, 40, 40)
            masks[0, 0, 18:22] = masks[1, 0, :, 18:22] = masks[2, 0, 18:23] = 1  # a cross, and one bar again
            return [
                {"masks": masks, "labels": torch.ones(3, dtype=torch.long), "scores": torch.tensor([0.9, 0.8, 0.7])}
            ]

    batch = {"image": torch.zeros(1, 2, 40, 40), "valid": torch.ones(1, 40, 40, dtype=torch.bool)}
    ((shapes, _, _),) = task(Three(), suppression=suppression)._found(batch)
    assert len(shapes) == count
    assert shapes[0].area == 160
    decayed = next(task(Three(), suppression="matrix")._found(batch))[1]
    assert decayed[0] == pytest.approx(0.9)
    assert decayed[1] > 0.75
    assert decayed[2] < 0.3


def test_other_classes_and_labels_without_things_are_refused():
    data = discs.collection(train=1, val=0, test=1)
    with pytest.raises(DataError, match="other classes"):
        task().score(Collection(data.scenes, Classes.of(["small", "huge"])))
    nothing = [s if s.part == "train" else Scene("t", s.layers, None, part="test") for s in data]
    with pytest.raises(DataError, match="holds no thing"):
        task().score(Collection(tuple(nothing), discs.CLASSES))


def test_mask_rcnn_is_fitted_and_keeps_the_better_epoch(tmp_path):
    torch.manual_seed(0)
    net = mask_rcnn(
        2, 2, "test_resnet", width=16, head=32, anchors=(8, 16, 32, 64, 128), ratios=(1.0,), proposals=20, detections=10
    )
    learner = task(net)
    recipe = Recipe(learning_rate=3e-3, epochs=2, batch=4, patch=48, samples=24, augment=("d4", "affine"))
    data = discs.collection(train=3, val=1, test=1)
    learner.fit(data, tmp_path / "run", recipe=recipe, accelerator="cpu")
    with (tmp_path / "run" / "metrics.csv").open() as file:
        first, last = csv.DictReader(file)
    assert float(last["train_loss"]) < float(first["train_loss"])
    assert {"val_ap50", "val_count_mae"} <= first.keys()
    state = load_state(tmp_path / "run" / "weights.safetensors")
    assert all(torch.equal(state[name], tensor) for name, tensor in learner.net.state_dict().items())
