"""FloodNet: three forms, each through the command line on the published layout of simulated pictures."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import rasterio
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

import swath
from swath.cli import main
from swath.data.config import load_data
from swath.data.readers.floodnet import CLASSES, read_floodnet
from swath.data.readers.floodnet_classification import read_floodnet_classification
from swath.data.readers.floodnet_vqa import read_floodnet_vqa
from swath.data.whole_images import ImageLabel
from swath.errors import ConfigError, DataError, ReadError, WeightsError
from swath.nn.enet import ENet
from swath.nn.pyramid_pooling import PSPNet
from swath.simulate import drone
from swath.simulate.world import make_world
from swath.tasks.normalise import Normalisation, Normalise
from swath.tasks.recipe import Recipe

QUICK = ["--epochs=2", "--batch=4", "--accelerator=cpu"]


@pytest.fixture(scope="module")
def world():
    return make_world(seed=3, width=3000, height=2400, towns=30)


@pytest.fixture(scope="module")
def folders(world, tmp_path_factory):
    root = tmp_path_factory.mktemp("floodnet")
    drone.floodnet(world, root / "masks", pictures=8, edge=128)
    drone.floodnet_classification(world, root / "classes", pictures=10, edge=96)
    drone.floodnet_vqa(world, root / "questions", pictures=14, edge=96)
    return root


def test_networks_of_the_paper():
    task = swath.create("floodnet", encoder="test_resnet")
    assert isinstance(task.net, PSPNet)
    assert task.classes.names == CLASSES.names
    assert task.head_weights == (1.0, 0.4)
    assert isinstance(swath.create("floodnet", network="enet").net, ENet)
    with torch.no_grad():
        net = swath.create("floodnet", network="deeplab", encoder="test_resnet").net.eval()
        assert net(torch.zeros(1, 3, 40, 50)).shape == (1, 10, 40, 50)
    with pytest.raises(ConfigError, match="no such network"):
        swath.create("floodnet", network="unet")


def test_enet_has_half_a_percent_of_the_parameters_of_pspnet():
    small, large = (
        sum(p.numel() for p in swath.create("floodnet", network=name).net.parameters()) for name in ("enet", "pspnet")
    )
    assert small / large == pytest.approx(0.0053, abs=0.0001)


def test_truth_of_the_pictures_agrees_with_itself(world):
    shots = list(drone.shots(world, 6, 128))
    assert [shot.flooded for shot in shots] == [True, False] * 3
    for shot in shots:
        flooded, standing = shot.buildings
        assert (flooded > 0) >= (shot.mask == 1).any()
        assert flooded + standing >= 1
        answers = {question: answer for _, question, answer in drone.asked(shot)}
        assert answers["How many buildings are in the image?"] == flooded + standing
        assert answers["What is the overall condition of the given image?"] in ("flooded", "non flooded")
        if not shot.flooded:
            assert not np.isin(shot.mask, (1, 3)).any()


def test_masks_are_learned_and_mapped(folders, tmp_path):
    data, run, product = folders / "masks", tmp_path / "run", tmp_path / "map.tif"
    words = ["--network=enet", "--patch=64", "--samples=8", "--optimizer=adamw", "--learning-rate=0.003"]
    assert main(["fit", "floodnet", str(data), "-o", str(run), *words, *QUICK]) == 0
    assert main(["score", str(run), str(data)]) == 0
    scores = json.loads((run / "scores-test.json").read_text())
    assert set(scores["baselines"]) == {"majority", "nearest centroid", "random forest"}
    picture = next((data / "test" / "test-org-img").glob("*.jpg"))
    assert main(["predict", str(run), str(picture), "-o", str(product), "--crs", "none"]) == 0
    with rasterio.open(product) as file:
        assert file.shape == (128, 128)
        assert set(np.unique(file.read(1))) <= set(range(10))


def test_pictures_are_classified(folders, tmp_path):
    data, run, product = folders / "classes", tmp_path / "run", tmp_path / "classes.csv"
    words = ["--encoder=test_resnet", "--patch=64"]
    assert main(["fit", "floodnet:classification", str(data), "-o", str(run), *words, *QUICK]) == 0
    assert main(["score", str(run), str(data)]) == 0
    assert main(["predict", str(run), str(data / "Test" / "image"), "-o", str(product), "--crs", "none"]) == 0
    table = pd.read_csv(product)
    assert list(table["image"]) == [8000, 8001, 8002]
    assert set(table["class"]) <= {"flooded", "not flooded"}
    np.testing.assert_allclose(table["p_flooded"] + table["p_not flooded"], 1, atol=1e-5)


def test_questions_are_answered(folders, tmp_path, capsys):
    data, run, product = folders / "questions", tmp_path / "run", tmp_path / "answers.csv"
    words = ["--encoder=test_resnet", "--patch=64"]
    assert main(["fit", "floodnet:vqa", str(data), "-o", str(run), *words, *QUICK]) == 0
    assert main(["score", str(run), str(data)]) == 0
    scores = json.loads((run / "scores-test.json").read_text())
    assert set(scores["baselines"]) == {"majority", "question only", "another image"}
    assert {"accuracy", "Simple_Counting", "Complex_Counting"} <= scores["system"].keys()
    ask = ["predict", str(run), str(data / "Images" / "Test_Image"), "-o", str(product), "--crs", "none"]
    assert main(ask) == 1
    assert "No question is asked" in capsys.readouterr().err
    assert main([*ask, "--questions", "How many buildings are in the image?", "Is the road dry?"]) == 0
    table = pd.read_csv(product)
    assert len(table) == 4
    answers = read_floodnet_vqa(data).classes.names
    assert set(table["answer"].astype(str)) <= set(answers)


def test_the_prior_of_a_question_needs_no_image(folders):
    """Where answers follow from the question, the blind baseline is right, and the majority is not."""
    data = read_floodnet_vqa(folders / "questions")
    fixed = {question: n % 3 for n, question in enumerate(sorted({scene.question for scene in data}))}
    scenes = tuple(replace(scene, labels=ImageLabel(fixed[scene.question])) for scene in data)
    task = swath.create("floodnet:vqa", encoder="test_resnet", classes=list(data.classes.names))
    task.normalise = Normalise({"image": Normalisation((0.0,) * 3, (255.0,) * 3)})
    task.recipe = replace(task.recipe, patch=64)
    baselines = task.score(replace(data, scenes=scenes), resamples=20).baselines
    assert baselines["question only"]["accuracy"].value == 1
    assert baselines["majority"]["accuracy"].value < 0.8


def test_a_network_that_looks_answers_otherwise_about_another_image(folders, tmp_path):
    data = read_floodnet_vqa(folders / "questions")
    recipe = Recipe(epochs=1, batch=4, patch=64, sampling="area")
    found = {}
    for fusion in ("question", "product"):
        torch.manual_seed(0)
        task = swath.create("floodnet:vqa", encoder="test_resnet", classes=data.classes, fusion=fusion)
        task.fit(data, tmp_path / fusion, recipe=recipe, accelerator="cpu")
        found[fusion] = []
        for seed in range(4):
            # a large head on what it sees: different images are then answered differently, if not by another accuracy
            torch.manual_seed(seed)
            task.net.head[1].weight.data = torch.randn_like(task.net.head[1].weight) * 10
            scores = task.score(data, "train", resamples=20)
            values = scores.system, scores.baselines["another image"]
            found[fusion].append(tuple(each["accuracy"].value for each in values))
    assert all(own == other for own, other in found["question"])
    assert any(own != other for own, other in found["product"])


def test_timm_files_of_the_classifier_load(tmp_path):
    torch.manual_seed(0)
    whole = timm.create_model("test_resnet")
    path = tmp_path / "resnet.safetensors"
    save_file(whole.state_dict(), path)
    net = swath.create("floodnet:classification", encoder="test_resnet", weights=path).net
    loaded, given = net.state_dict(), whole.state_dict()
    changed = [key for key in given if loaded[key].shape != given[key].shape]
    assert changed
    assert all("fc" in key for key in changed)
    assert all(torch.equal(loaded[key], given[key]) for key in given if key not in changed)
    save_file({"other": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"do not fit|not in the network"):
        swath.create("floodnet:classification", encoder="test_resnet", weights=path)


def _spoil(root, kind):
    picture = next((root / "train" / "train-org-img").glob("*.jpg"))
    mask = root / "train" / "train-label-img" / f"{picture.stem}_lab.png"
    if kind == "missing":
        mask.unlink()
    elif kind == "alone":
        picture.unlink()
    elif kind == "size":
        Image.fromarray(np.zeros((64, 64), np.uint8)).save(mask)
    elif kind == "code":
        Image.fromarray(np.full((128, 128), 77, np.uint8)).save(mask)
    elif kind == "part":
        (root / "train").rename(root / "training")
        (root / "training" / "train-org-img").rename(root / "training" / "training-org-img")
        (root / "training" / "train-label-img").rename(root / "training" / "training-label-img")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "without mask"),
        ("alone", "without image"),
        ("size", "not on the pixels"),
        ("code", r"77 \(\d+ pixels\)"),
        ("part", "folder of no part"),
    ],
)
def test_what_is_wrong_with_masks_is_named(folders, tmp_path, kind, message):
    root = shutil.copytree(folders / "masks", tmp_path / "masks")
    _spoil(root, kind)
    with pytest.raises(DataError, match=message):
        read_floodnet(root)


def test_what_is_wrong_with_classes_and_questions_is_named(folders, tmp_path):
    with pytest.raises(ReadError, match="does not exist"):
        read_floodnet_classification(tmp_path / "nowhere")
    with pytest.raises(ReadError, match="does not hold FloodNet's questions"):
        read_floodnet_vqa(tmp_path)
    (tmp_path / "Questions").mkdir()
    path = tmp_path / "Questions" / "Training Question.json"
    entry = {"Image_ID": "1.JPG", "Question": "?", "Question_Type": "Yes_No"}
    path.write_text(json.dumps({"0": entry}))
    with pytest.raises(DataError, match="no answered question"):
        read_floodnet_vqa(tmp_path)
    path.write_text(json.dumps({"0": {**entry, "Ground_Truth": "Yes"}}))
    with pytest.raises(ReadError, match=r"1\.JPG"):
        read_floodnet_vqa(tmp_path)


def test_a_users_folders_name_the_classes(folders, tmp_path):
    path = tmp_path / "data.yaml"
    labelled = folders / "classes" / "Train" / "Labeled"
    path.write_text(
        f"layers: {{image: {{files: '{labelled}/{{state}}/image/{{id}}.jpg', sensor: rgb}}}}\n"
        "labels: {field: state}\nclasses: {Flooded: wet, Non-Flooded: dry}\ncrs: none\n"
        "split: {by: source, fractions: [0.6, 0.2, 0.2]}\n"
    )
    data = load_data(path)
    assert data.classes.names == ("wet", "dry")
    for scene in data:
        assert scene.labels.index == (1 if "Non-Flooded" in scene.id else 0)
    path.write_text(path.read_text().replace("Non-Flooded: dry", "Other: dry"))
    with pytest.raises(DataError, match="names no class"):
        load_data(path)
