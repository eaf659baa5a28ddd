"""Classification by text: learning, places, ignored images, batches, and what the sampler draws."""

import json

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
from swath.nn.clip import clip
from swath.sensors.catalogue import resolve
from swath.tasks.normalise import Normalisation
from swath.tasks.recipe import Recipe
from swath.tasks.text_classify import Asking, TextClassification

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
    judge.address(scenes, "description_city")
    together = judge._probabilities(scenes, "cpu")
    for number in (0, 1, 9):
        judge.address([scenes[number]], "description_city")
        np.testing.assert_allclose(judge._probabilities([scenes[number]], "cpu")[0], together[number], atol=1e-6)
    np.testing.assert_allclose(together.sum(1), 1, atol=1e-6)


def test_places_change_what_is_asked():
    judge, scene = task().eval(), images()[2]
    found = []
    for place in ("Corrin", "Aldmoor"):
        judge.address([Placed("a", scene.layers, place=place)], "description_city")
        found.append(judge._probabilities([scene], "cpu"))
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
