"""The CloudTracks system: parity with smp, what the release does otherwise, granules of bands, the command line."""

import json
from types import SimpleNamespace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import segmentation_models_pytorch as smp
import shapely
import timm
import torch
import xarray
from rasterio.transform import from_origin
from safetensors.torch import save_file
from torch.nn import functional

import swath
from swath.cli import main
from swath.data.augment import Augment
from swath.data.classes import IGNORE, Classes
from swath.data.config import load_data
from swath.data.readers.cloudtracks import read_cloudtracks
from swath.errors import ConfigError, WeightsError
from swath.geo.grids import pixel_grid, window_grid
from swath.geo.windows import Window
from swath.losses import Loss
from swath.simulate.ship_tracks import cloudtracks, granule
from swath.simulate.world import make_world
from swath.systems.segmentation.cloudtracks import OnlyTracked, build_net, mirrored_apart

_SMALL = {"encoder": "test_resnet"}


@pytest.mark.parametrize(
    ("network", "oracle"), [("unet", smp.Unet), ("unetpp", smp.UnetPlusPlus), ("deeplab", smp.DeepLabV3Plus)]
)
def test_the_logit_is_that_of_segmentation_models_pytorch(network, oracle):
    torch.manual_seed(0)
    expected = oracle("tu-test_resnet", encoder_weights=None, classes=1).eval()
    net = build_net(network, "test_resnet", 3).eval()
    net.load_state_dict(expected.state_dict())
    image = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        found, logit = net(image), expected(image)
    assert torch.equal(found[:, 1:], logit)
    assert not found[:, 0].any()
    torch.testing.assert_close(found.softmax(1)[:, 1:], logit.sigmoid())


def test_the_loss_is_binary_cross_entropy_and_jaccard():
    torch.manual_seed(1)
    logit, truth = torch.randn(2, 1, 9, 8, dtype=torch.float64), torch.randint(0, 2, (2, 9, 8))
    expected = functional.binary_cross_entropy_with_logits(logit, truth[:, None].double())
    expected = expected + smp.losses.JaccardLoss("binary", smooth=1e-5)(logit, truth[:, None])
    both = torch.cat([torch.zeros_like(logit), logit], 1)
    torch.testing.assert_close(Loss("ce+foreground_jaccard")(both, truth), expected)


def test_the_default_is_the_published_network():
    task = swath.create("cloudtracks")
    assert isinstance(task.net, smp.Unet)
    assert task.net.encoder.model.layer3[35].conv2.weight.shape == (256, 256, 3, 3)  # 36 blocks, as ResNet-152 has
    assert task.recipe.loss == "ce+foreground_jaccard"


def test_a_buffered_line_has_the_area_of_a_band_and_a_disc():
    for length in (20.0, 133.0):
        area = shapely.LineString([(3, 4), (3 + 0.6 * length, 4 + 0.8 * length)]).buffer(5).area
        assert area == pytest.approx(10 * length + 25 * np.pi, rel=2e-3)


def test_a_band_of_ten_pixels_shifted_by_one_has_an_iou_of_nine_elevenths():
    """90 of each 100 pixels are shared, of 110 together."""
    from swath.metrics.confusion import confusion_matrix, per_class

    mask = np.zeros((40, 30), np.int64)
    mask[12:22] = 1
    assert per_class(confusion_matrix(np.roll(mask, 1, 0), mask, 2))["iou"][1] == pytest.approx(9 / 11)


def test_the_release_tears_image_and_label_apart_and_the_corrected_variant_does_not():
    """The mask can be told from the image: where both were moved alike, it still can."""
    image = torch.arange(64.0).reshape(1, 1, 8, 8).expand(24, -1, -1, -1)
    batch = {
        "image": image, "mask": (image[:, 0].long() // 8 + image[:, 0].long()) % 3, "scene": torch.arange(24),
        "valid": torch.ones(24, 8, 8, dtype=torch.bool), "window": torch.zeros(24, 4, dtype=torch.long),
    }  # fmt: skip

    def torn(moved):
        values = moved["image"][:, 0].long()
        return ((values // 8 + values) % 3 != moved["mask"]).flatten(1).any(1)

    torch.manual_seed(0)
    released = mirrored_apart(batch)
    assert 4 < torn(released).sum() < 20
    first = int(torn(released).int().argmax())
    assert torch.equal(released["image"][first], image[first].flip(-1))
    assert torch.equal(released["mask"][first], batch["mask"][first].flip(-2))
    corrected = Augment(("d4",), 0)(batch)
    assert not torch.equal(corrected["image"], image)
    assert not torn(corrected).any()
    assert "d4" in swath.create("cloudtracks", **_SMALL).recipe.augment


def test_only_the_release_learns_from_torn_patches(monkeypatch):
    from swath.systems.segmentation import cloudtracks as module
    from swath.tasks.segment import Segmentation

    seen = []
    monkeypatch.setattr(Segmentation, "training_step", lambda self, batch, number: seen.append(batch))
    monkeypatch.setattr(module, "mirrored_apart", lambda batch: "torn")
    for variant in ("published", "corrected"):
        swath.create("cloudtracks", variant=variant, **_SMALL).training_step("whole", 0)
    assert seen == ["torn", "whole"]


class _Labels:
    name = "a track in the second tile"

    def read(self, grid):
        x, y = grid.affine @ (0, 0)
        rows, cols = np.mgrid[: grid.shape[0], : grid.shape[1]]
        return ((rows - y == 100) & (cols + x >= 448) & (cols + x < 500)).astype(np.int16)


def test_the_release_learns_nothing_from_tiles_without_a_track():
    grid = pixel_grid(448, 1344)
    seen = OnlyTracked(_Labels(), grid).read(window_grid(grid, Window(90, 400, 20, 600)))
    cols = np.arange(400, 1000)
    assert (seen[:, cols < 448] == IGNORE).all()
    assert (seen[:, cols >= 896] == IGNORE).all()
    assert (seen[:, (cols >= 448) & (cols < 896)] >= 0).all()
    assert (seen == 1).sum() == 52
    assert (_Labels().read(grid) >= 0).all()  # the corrected variant learns that they are empty


def test_the_release_stretches_granules_and_the_corrected_variant_keeps_them(granules):
    data = read_cloudtracks(granules)
    released, corrected = (
        swath.create("cloudtracks", variant=variant, **_SMALL).seen(data) for variant in ("published", "corrected")
    )
    assert released[0].grid.shape == (2240, 1344)
    assert corrected[0].grid.shape == data[0].grid.shape
    stored, valid = released[0].layers["image"].read(Window(500, 300, 200, 200))
    assert valid.all()
    whole = torch.from_numpy(data[0].layers["image"].read(Window(0, 0, 96, 64))[0])[None].float()
    expected = functional.interpolate(whole, (2240, 1344), mode="bilinear")[0, :, 500:700, 300:500]
    assert np.abs(stored - expected.numpy()).max() <= 1
    number = next(i for i, s in enumerate(data) if s.part == "test" and (s.labels.read(s.grid) == 1).any())
    shares = [(d[number].labels.read(d[number].grid) == 1).mean() for d in (data, released)]
    assert shares[0] == pytest.approx(shares[1], rel=0.05)


@pytest.fixture(scope="module")
def granules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("granules")
    cloudtracks(make_world(seed=2, width=600, height=600), folder, granules=12, shape=(96, 64))
    return folder


def test_a_timm_file_of_its_encoder_loads(tmp_path):
    whole = timm.create_model("test_resnet")
    save_file(whole.state_dict(), tmp_path / "whole.safetensors")
    net = swath.create("cloudtracks", **_SMALL, weights=tmp_path / "whole.safetensors").net
    assert all(torch.equal(v, whole.state_dict()[k]) for k, v in net.encoder.model.state_dict().items())
    save_file({"head": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="neither this network nor its encoder"):
        swath.create("cloudtracks", **_SMALL, weights=tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    "options",
    [
        {"network": "maskformer", **_SMALL},
        {"encoder": "resnet-fifty"},
        {"encoder": "vit_tiny_patch16_224"},
        {"variant": "legacy", **_SMALL},
        {"classes": Classes.of(["sea", "track", "cloud"]), **_SMALL},
    ],
)
def test_options_that_cannot_be_met_are_refused(options):
    with pytest.raises(ConfigError):
        swath.create("cloudtracks", **options)


@pytest.fixture(scope="module")
def run(granules, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    recipe = "--patch 64 --batch 4 --epochs 1 --samples 8 --accelerator cpu"
    words = ["fit", "cloudtracks", str(granules), "-o", str(folder), "--encoder=test_resnet", *recipe.split()]
    assert main(words) == 0
    return folder


@pytest.mark.slow
def test_the_published_layout_is_fitted_scored_and_mapped_from_the_command_line(granules, run, tmp_path, capsys):
    capsys.readouterr()
    assert main(["score", str(run), str(granules), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"track_iou", "count_mae", "empty_right"} <= told["system"].keys()
    assert {"majority", "frangi", "top-hat", "training mean"} <= told["baselines"].keys()
    assert len(told["details"]["counts"]["true"]) == len(told["details"]["counts"]["system"])
    scene = next(s for s in read_cloudtracks(granules) if s.part == "test")
    image = granules / f"images/{scene.id}.png"
    words = ["predict", str(run), str(image), "-o", str(tmp_path / "map.tif"), "--crs", "none"]
    assert main([*words, "--products", "classes", "things", "count"]) == 0
    with rasterio.open(tmp_path / "map.tif") as found:
        assert found.shape == (96, 64)
        mask = found.read(1) == 1
    assert pd.read_csv(tmp_path / "map-count.csv")["count"].item() == _components(mask)


def _components(mask):
    from skimage.measure import label

    numbers = label(mask, connectivity=2)
    return int((np.bincount(numbers.ravel())[1:] >= 30).sum())


def test_bands_of_modis_are_made_a_picture(granules, tmp_path):
    """From NetCDF, a variable a band, and from one GeoTIFF with the zenith of the sun beside it."""
    seen = granule(3, 0, (64, 64))
    names = ("1", "20", "31")
    found = xarray.Dataset({f"band_{n}": (("y", "x"), b.astype("f4")) for n, b in zip(names, seen.bands, strict=True)})
    found.to_netcdf(tmp_path / "granule.nc", engine="h5netcdf")
    zenith = np.full((64, 64), 30.0)
    zenith[:, 32:] = 95.0
    for name, values in (("bands", seen.bands), ("zenith", zenith[None])):
        place = {"dtype": "float32", "transform": from_origin(500_000, 0, 1000, 1000)}
        with rasterio.open(tmp_path / f"{name}.tif", "w", "GTiff", 64, 64, len(values), **place) as file:
            file.write(values.astype("f4"))
    task = swath.create("cloudtracks", **_SMALL)
    netcdf = ",".join(f'NETCDF:"{tmp_path / "granule.nc"}":band_{n}' for n in names)
    for words in ([netcdf], [str(tmp_path / "bands.tif"), f"zenith={tmp_path / 'zenith.tif'}"]):
        scene = task.open_source(words, "none")
        picture, valid = scene.layers["image"].read(Window(0, 0, 64, 64))
        day = slice(None) if len(words) == 1 else slice(32)
        assert valid.sum() == valid[:, day].sum() == picture[0][:, day].size
        assert np.array_equal(np.moveaxis(picture, 0, -1)[:, day], seen.picture[:, day])


def test_a_yaml_of_ones_own_granules_says_the_same_as_the_layout(granules, tmp_path):
    (tmp_path / "own.yaml").write_text(
        "crs: none\n"
        f"layers: {{image: {{files: '{granules}/images/{{id}}.png', sensor: rgb}}}}\n"
        f"labels: {{files: '{granules}/annotated/{{id}}.json', format: labelme, background: sea}}\n"
        "classes: {0: sea, 1: shiptrack}\n"
    )
    own, published = load_data(tmp_path / "own.yaml"), read_cloudtracks(granules)
    assert own.classes.names == ("sea", "shiptrack")
    truth = {scene.id: scene for scene in published}
    for scene in own:
        assert np.array_equal(scene.labels.read(scene.grid), truth[scene.id].labels.read(scene.grid))
        assert len(scene.labels.instances(scene.grid)) == len(truth[scene.id].labels.instances(scene.grid))


@pytest.mark.slow
def test_single_tracks_are_searched_from_the_command_line_beginning_with_the_u_net_of_masks(
    granules, run, tmp_path, capsys
):
    recipe = "--patch 64 --batch 4 --epochs 1 --accelerator cpu"
    words = ["fit", "cloudtracks:instances", str(granules), "-o", str(tmp_path / "run"), "--encoder=test_resnet"]
    assert main([*words, f"--weights={run / 'weights.safetensors'}", *recipe.split()]) == 0
    capsys.readouterr()
    assert main(["score", str(tmp_path / "run"), str(granules), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"ap50", "count_mae", "empty_right"} <= told["system"].keys()
    image = next((granules / "images").glob("*.png"))
    words = ["predict", str(tmp_path / "run"), str(image), "-o", str(tmp_path / "tracks.gpkg"), "--crs", "none"]
    assert main([*words, "--least_score", "0.01", "--products", "objects", "count"]) == 0
    assert pd.read_csv(tmp_path / "tracks-count.csv")["count"].item() == len(gpd.read_file(tmp_path / "tracks.gpkg"))


def test_the_search_for_single_tracks_begins_with_the_u_net_of_masks(tmp_path):
    net = build_net("unet", "test_resnet", 3)
    save_file(net.state_dict(), tmp_path / "mask.safetensors")
    found = swath.create("cloudtracks:instances", **_SMALL, weights=tmp_path / "mask.safetensors").net
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        shared = found.unet.eval()(image)
        assert torch.equal(shared[:, -1:], net.eval()(image)[:, 1:])
    save_file(found.state_dict(), tmp_path / "whole.safetensors")
    again = swath.create("cloudtracks:instances", **_SMALL, weights=tmp_path / "whole.safetensors").net
    assert all(torch.equal(v, found.state_dict()[k]) for k, v in again.state_dict().items())
    save_file({"head": torch.zeros(3)}, tmp_path / "other.safetensors")
    for network in ("dynamic", "mask_rcnn"):
        with pytest.raises(WeightsError, match="do not fit"):
            swath.create("cloudtracks:instances", network=network, **_SMALL, weights=tmp_path / "other.safetensors")


def test_tracks_count_from_the_score_that_errs_least_on_and_empty_granules_stay_empty(granules, monkeypatch):
    """True tracks have 0.62 and one false one 0.31: all scores between are right, and the highest is the safest."""
    task = swath.create("cloudtracks:instances", **_SMALL)

    def sighting(scene):
        true = len(scene.labels.instances(scene.grid))
        return SimpleNamespace(objects=SimpleNamespace(scores=np.array([0.62] * true + [0.31])))

    monkeypatch.setattr(task, "sighting", sighting)
    assert task.settle(read_cloudtracks(granules))
    assert task.counted == pytest.approx(0.6)


@pytest.mark.parametrize("options", [{"network": "solo"}, {"suppression": "none"}, {"encoder": "resnet-fifty"}])
def test_searches_that_cannot_be_made_are_refused(options):
    with pytest.raises(ConfigError):
        swath.create("cloudtracks:instances", **(_SMALL | options))
