"""The EfficientNet U-Net++ system: what its builder makes and refuses, and how well it maps buildings."""

import json

import numpy as np
import pytest
import rasterio
import timm
import torch
from safetensors.torch import save_file
from skimage.filters import threshold_otsu

import swath
from swath.cli import main
from swath.data.classes import Classes
from swath.data.readers.mass_buildings import CLASSES, read_mass_buildings
from swath.errors import ConfigError, SwathError, WeightsError
from swath.geo.windows import whole
from swath.metrics.confusion import confusion_matrix, per_class
from swath.sensors.bands import Band, Bands
from swath.simulate import aerial
from swath.simulate.world import make_world
from swath.tasks.deep_supervision import DeeplySupervised

_SMALL = {"encoder": "test_efficientnet"}


def test_the_default_is_the_published_network():
    task = swath.create("effunetpp")
    assert isinstance(task, DeeplySupervised)
    assert task.classes == CLASSES
    assert task.net.encoder.feature_info.channels()[1:] == [32, 56, 160, 448]  # of EfficientNet-B4
    assert task.normalise.layers["image"].mean == task.normalise.layers["image"].std == (127.5,) * 3


@pytest.mark.parametrize("head", ["average", "1", "4"])
def test_any_size_is_mapped(head):
    task = swath.create("effunetpp", **_SMALL, head=head).eval()
    batch = {"image": torch.zeros(1, 3, 33, 70), "valid": torch.ones(1, 33, 70, dtype=torch.bool)}
    with torch.no_grad():
        assert task(batch).shape == (1, 2, 33, 70)


def test_other_bands_and_classes_are_taken():
    four = Bands("drone", tuple(Band(name, "dn") for name in ("red", "green", "blue", "nir")))
    task = swath.create("effunetpp", **_SMALL, bands=four, classes=Classes.of(("wet", "dry", "ice")))
    assert task.normalise is None  # statistics come from the data
    assert task.target is None  # no class of most interest
    with torch.no_grad():
        assert task.net.eval()(torch.zeros(1, 4, 32, 64)).shape == (1, 3, 32, 64)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_timm_file_of_its_encoder_loads_as_it_is(tmp_path, suffix):
    whole_net = timm.create_model("efficientnet_b0")
    path = tmp_path / f"b0{suffix}"
    torch.save(whole_net.state_dict(), path) if suffix == ".pth" else save_file(whole_net.state_dict(), path)
    found = swath.create("effunetpp", encoder="efficientnet_b0", weights=path).net.encoder.model.state_dict()
    assert all(torch.equal(tensor, whole_net.state_dict()[name]) for name, tensor in found.items())


def test_weights_of_a_run_load_and_others_are_refused(tmp_path):
    net = swath.create("effunetpp", **_SMALL).net
    save_file(net.state_dict(), tmp_path / "run.safetensors")
    again = swath.create("effunetpp", **_SMALL, weights=tmp_path / "run.safetensors").net
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True))
    for state in (timm.create_model("efficientnet_b0").state_dict(), {"weight": torch.zeros(3)}):
        save_file(state, tmp_path / "other.safetensors")
        with pytest.raises(WeightsError):
            swath.create("effunetpp", **_SMALL, weights=tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"encoder": "efficientnet_b99"}, ConfigError),
        ({"encoder": "convnext_atto"}, ConfigError),
        ({"head": "5", **_SMALL}, ConfigError),
        ({"weights": "absent.safetensors", **_SMALL}, SwathError),
    ],
)
def test_options_that_cannot_be_met_are_refused(options, error):
    with pytest.raises(error):
        swath.create("effunetpp", **options)


def _otsu(folder):
    """IoU of buildings as what is brighter than Otsu's threshold of each test picture."""
    counts = np.zeros((2, 2), int)
    for scene in read_mass_buildings(folder):
        if scene.part == "test":
            grey = scene.layers["image"].read(whole(scene.grid.shape))[0].mean(0)
            counts += confusion_matrix((grey > threshold_otsu(grey)).astype(int), scene.labels.read(scene.grid), 2)
    return float(per_class(counts)["iou"][1])


@pytest.mark.slow
def test_towns_are_fitted_scored_and_mapped_from_the_command_line(tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    aerial.mass_buildings(make_world(seed=7, width=1600, height=1600, coast=0.0, towns=200, relief=50), data, 5, 160)
    recipe = "--patch 64 --batch 4 --epochs 2 --samples 160 --learning_rate 0.005 --schedule cosine --accelerator cpu"
    assert main(["fit", "effunetpp", str(data), "-o", str(run), "--encoder=test_efficientnet", *recipe.split()]) == 0
    assert main(["score", str(run), str(data)]) == 0
    scores = json.loads((run / "scores-test.json").read_text())
    found = scores["system"]["building_iou"]["value"]
    assert found > _otsu(data) + 0.1
    assert found > scores["baselines"]["random forest"]["building_iou"]["value"]
    assert scores["system"]["relaxed_f1"]["low"] <= scores["system"]["relaxed_f1"]["value"] <= 1
    scene = next((data / "test/sat").iterdir())
    assert main(["predict", str(run), str(scene), "-o", str(tmp_path / "map.tif")]) == 0
    with rasterio.open(tmp_path / "map.tif") as mapped, rasterio.open(scene) as original:
        assert (mapped.crs, mapped.transform, mapped.shape) == (original.crs, original.transform, original.shape)
        assert mapped.colormap(1)[1][:3] == CLASSES.colours[1]
