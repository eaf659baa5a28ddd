"""Classification by text: learning, places, ignored images, batches, and what the sampler draws."""

import json

import geopandas as gpd
import numpy as np
import pytest
import torch

from swath.data.classes import IGNORE, Classes
from swath.data.labelled import LabelledPlaces
from swath.data.placed import Placed
from swath.data.scenes import Collection
from swath.data.sources import ArraySource
from swath.data.whole_images import ImageLabel, whole_images
from swath.errors import ConfigError
from swath.geo.grids import pixel_grid
from swath.geo.vectors import write_vectors
from swath.nn.clip import clip
from swath.sensors.catalogue import resolve
from swath.tasks.normalise import Normalisation
from swath.tasks.recipe import Recipe
from swath.tasks.text_classify import Asking, TextClassification
from tiny import UTM33, WGS84, boxes, grid, write_raster

CLASSES = Classes.of(["bright", "dark"])
RECIPE = Recipe(learning_rate=3e-3, epochs=6, batch=8, patch=32, samples=48, sampling="classes", augment=())


def images(count=24, rare=4):
    """Bright pictures, and some dark ones, at two places."""
    rng, scenes = np.random.default_rng(0), []
    for number in range(count):
        dark = number % rare == 0
        values = np.clip(rng.normal(60 if dark else 190, 25, (3, 40, 36)), 0, 255).astype(np.uint8)
        label = IGNORE if number == 1 else int(dark)
        source = ArraySource(values, resolve("rgb"), pixel_grid(40, 36), name=f"{number}.jpg")
        part = ("train", "train", "val", "test")[number // 4 % 4]
        place = "Corrin" if number % 3 else ""
        scenes.append(Placed(str(number), {"image": source}, ImageLabel(label), part=part, place=place))
    return Collection(tuple(scenes), CLASSES)


def task(**options):
    torch.manual_seed(0)
    return TextClassification(
        clip("tiny"), bands=resolve("rgb"), classes=CLASSES, recipe=RECIPE,
        normalisation={"image": Normalisation((127.5,) * 3, (60.0,) * 3)}, asking=Asking({}, **options),
    )  # fmt: skip


def test_bright_and_dark_are_told_apart_at_places_with_and_without_name(tmp_path):
    learner = task()
    learner.system = {"id": "roofnet", "options": {}}
    learner.fit(images(), tmp_path, accelerator="cpu")
    scores = learner.score(images())
    assert scores.system["accuracy"].value == 1
    assert scores.baselines["majority"]["accuracy"].value < 1
    # the texts of the kept weights are used, not those of the last epoch
    fresh = task()
    fresh.recall(tmp_path, json.loads((tmp_path / "task.json").read_text()))
    again = fresh.score(images())
    assert again.to_dict() == scores.to_dict()


def test_probabilities_do_not_depend_on_batches():
    judge, data = task(), images()
    scenes = list(data)
    together = judge._probabilities(scenes, "cpu")
    for number in (0, 1, 9):
        np.testing.assert_allclose(judge._probabilities([scenes[number]], "cpu")[0], together[number], atol=1e-6)
    np.testing.assert_allclose(together.sum(1), 1, atol=1e-6)


def test_places_change_what_is_asked():
    judge, scene = task().eval(), images()[2]
    found = [judge._probabilities([Placed("a", scene.layers, place=place)], "cpu") for place in ("Corrin", "Aldmoor")]
    assert not np.allclose(*found)


def test_a_batch_without_a_class_teaches_nothing():
    judge, data = task(), images()
    judge.prepare(whole_images(data, 32))
    batch = {
        "image": torch.zeros(1, 3, 32, 32), "valid": torch.ones(1, 32, 32, dtype=torch.bool),
        "mask": torch.full((1, 32, 32), IGNORE), "scene": torch.tensor([1]),
    }  # fmt: skip
    assert judge.training_step(batch, 0) is None


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"temperature": float("nan")}, {"smoothing": 1.0}])
def test_comparisons_that_cannot_be_made(options):
    with pytest.raises(ConfigError, match="cannot be compared"):
        task(**options)


def test_classes_are_drawn_equally_often_by_images_not_pixels():
    data = whole_images(images(400, rare=20), 32)
    classes = np.array([scene.labels.index for scene in data])
    for balanced, share in ((True, 0.5), (False, 0.05)):
        places = LabelledPlaces(4000, balanced=balanced)(data, "train", 32, seed=0, epoch=0)
        drawn = classes[places.scenes]
        assert (drawn != IGNORE).all()
        assert {data[int(n)].part for n in places.scenes} == {"train"}
        assert (drawn == 1).mean() == pytest.approx(share, abs=0.025)
        assert not places.rows.any()
        assert not places.cols.any()
    # as many as there are labelled images
    assert len(LabelledPlaces()(data, "train", 32, seed=0)) == sum(
        scene.part == "train" and scene.labels.index != IGNORE for scene in data
    )


def test_outlined_things_on_a_scene_are_judged_one_by_one(tmp_path):
    place = grid(60, 80, UTM33, 0.5)
    values = np.random.default_rng(0).integers(0, 255, (3, 60, 80), np.uint8)
    scene = write_raster(tmp_path / "town.tif", values, place)
    cells = [(2, 2, 20, 20), (30, 40, 20, 20), (300, 40, 20, 20)]
    write_vectors(boxes(cells, place, floors=[1, 2, 3]).to_crs(WGS84), tmp_path / "houses.gpkg")
    product = tmp_path / "classes.gpkg"
    task().predict(scene, product, footprints=tmp_path / "houses.gpkg", margin=0.0)
    found = gpd.read_file(product)
    assert found["floors"].tolist() == [1, 2]  # the third lies elsewhere
    assert set(found["class"]) <= set(CLASSES.names)
    np.testing.assert_allclose(found["p_bright"] + found["p_dark"], 1, atol=1e-6)
    # a house is judged as a picture of the same pixels would be
    crop = write_raster(tmp_path / "crop.tif", values[:, 2:22, 2:22], grid(20, 20, UTM33, 0.5, 500_001, 4_999_999))
    (path,) = task().predict(crop, tmp_path / "crop.geojson")
    alone = gpd.read_file(path)
    assert alone["p_dark"][0] == pytest.approx(found["p_dark"][0], abs=1e-5)
    both = alone.geometry[0].intersection(found.geometry[0])
    assert both.area > 0.99 * found.geometry[0].area
    item = json.loads((tmp_path / "crop.geojson.stac.json").read_text())
    assert item["properties"]["swath:provenance"]["inputs"] == [str(crop)]
