"""The LandCover.ai system: published weights of its encoder, what its builder refuses, and how well it maps."""

import numpy as np
import pytest
import rasterio
import timm
import torch
from PIL import Image
from rasterio.transform import from_origin
from safetensors.torch import save_file

import swath
from swath.cli import main
from swath.data.classes import Classes
from swath.data.labels import RasterLabels
from swath.data.readers.landcover_ai import CLASSES
from swath.data.scenes import Collection, Scene
from swath.data.sources import ArraySource
from swath.errors import ConfigError, SwathError, WeightsError
from swath.geo.grids import pixel_grid
from swath.nn.deeplab import ASPP
from swath.nn.dense_prediction_cell import DensePredictionCell
from swath.sensors.bands import Band, Bands
from swath.sensors.catalogue import resolve
from swath.tasks.recipe import Recipe

_SMALL = {"encoder": "test_resnet"}


def _statistics(task):
    return task.normalise.layers["image"]


def test_the_default_is_the_published_network():
    task = swath.create("landcover_ai")
    assert task.classes.names == ("background", "building", "woodland", "water", "road")
    assert isinstance(task.net.context, DensePredictionCell)
    # xception71 as timm has it, without its classifier of 1000 classes on 2048 features
    assert sum(p.numel() for p in task.net.encoder.parameters()) == sum(
        p.numel() for p in timm.create_model("xception71").parameters()
    ) - 1000 * (2048 + 1)
    assert task.normalise is None  # without weights, statistics come from the data
    with torch.no_grad():
        assert task.net.eval()(torch.zeros(1, 3, 40, 50)).shape == (1, 5, 40, 50)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_timm_file_of_xception71_loads_as_it_is(tmp_path, suffix):
    torch.manual_seed(0)
    whole = timm.create_model("xception71", output_stride=16).eval()
    path = tmp_path / f"xception71{suffix}"
    if suffix == ".pth":
        torch.save(whole.state_dict(), path)
    else:
        save_file(whole.state_dict(), path)
    task = swath.create("landcover_ai", weights=path)
    assert _statistics(task).mean == _statistics(task).std == (127.5,) * 3  # bytes to -1..1
    image = torch.randn(1, 3, 65, 65)
    with torch.no_grad():
        expected = whole.forward_intermediates(image, intermediates_only=True)
        for a, b in zip(task.net.encoder.eval()(image), expected, strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize("encoder", ["test_resnet", "test_efficientnet", "mobilenetv3_small_100", "resnet18"])
def test_timm_files_of_other_encoders_load_as_they_are(tmp_path, encoder):
    torch.manual_seed(0)
    whole = timm.create_model(encoder)
    save_file(whole.state_dict(), tmp_path / "whole.safetensors")
    net = swath.create("landcover_ai", encoder=encoder, weights=tmp_path / "whole.safetensors").net
    loaded = net.encoder.state_dict()
    assert all(torch.equal(tensor, whole.state_dict()[name]) for name, tensor in loaded.items())


def test_weights_of_a_run_load(tmp_path):
    torch.manual_seed(0)
    net = swath.create("landcover_ai", **_SMALL).net
    save_file(net.state_dict(), tmp_path / "run.safetensors")
    again = swath.create("landcover_ai", **_SMALL, weights=tmp_path / "run.safetensors").net
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True))


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    for state, message in (
        (timm.create_model("resnet34").state_dict(), "not in the network"),
        (timm.create_model("mobilenetv3_small_100").state_dict(), "do not fit|neither"),
        ({"weight": torch.zeros(3)}, "neither this network nor its encoder resnet18"),
    ):
        save_file(state, path)
        with pytest.raises(WeightsError, match=message):
            swath.create("landcover_ai", encoder="resnet18", weights=path)


def test_normalisation_belongs_to_the_weights_where_the_image_is_rgb_in_counts(tmp_path):
    path = tmp_path / "resnet18.safetensors"
    save_file(timm.create_model("resnet18").state_dict(), path)
    options = {"encoder": "resnet18", "weights": path}
    of_resnet = _statistics(swath.create("landcover_ai", **options))
    assert of_resnet.mean == pytest.approx((123.675, 116.28, 103.53))  # ImageNet's, in bytes
    assert of_resnet.std == pytest.approx((58.395, 57.12, 57.375))
    reflectance = Bands("drone", tuple(Band(name, "reflectance") for name in ("red", "green", "blue")))
    assert swath.create("landcover_ai", **options, bands=reflectance).normalise is None


def test_other_bands_and_sizes_are_taken():
    four = Bands("drone", tuple(Band(name, "dn") for name in ("red", "green", "blue", "nir")))
    task = swath.create("landcover_ai", **_SMALL, bands=four, classes=Classes.of(("wet", "dry")))
    with torch.no_grad():
        assert task.net.eval()(torch.zeros(1, 4, 33, 35)).shape == (1, 2, 33, 35)


def test_rates_double_with_the_finer_features_of_output_stride_8():
    cell = swath.create("landcover_ai", **_SMALL, output_stride=8).net.context
    assert [b.depthwise.dilation for b in cell.branches] == [(2, 12), (36, 30), (12, 6), (2, 2), (12, 42)]
    pyramid = swath.create("landcover_ai", **_SMALL, output_stride=8, context="aspp").net.context
    assert isinstance(pyramid, ASPP)
    assert [b.depthwise.dilation[0] for b in pyramid.branches if hasattr(b, "depthwise")] == [12, 24, 36]


def test_variants_differ_in_training_only():
    corrected, published = (swath.create("landcover_ai", **_SMALL, variant=v) for v in ("corrected", "published"))
    assert corrected.net.state_dict().keys() == published.net.state_dict().keys()
    assert (published.recipe.optimizer, published.recipe.schedule, published.recipe.augment) == ("sgd", "poly", ())
    assert corrected.recipe.augment


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"encoder": "xception17"}, ConfigError),
        ({"encoder": "vit_tiny_patch16_224"}, ConfigError),
        ({"output_stride": 32, **_SMALL}, ConfigError),
        ({"variant": "best", **_SMALL}, ConfigError),
        ({"context": "psp", **_SMALL}, ConfigError),
        ({"weights": "absent.safetensors", **_SMALL}, SwathError),
        ({"backbone": "resnet18"}, SwathError),
    ],
)
def test_options_that_cannot_be_met_are_refused(options, error):
    with pytest.raises(error):
        swath.create("landcover_ai", **options)


def test_the_card_is_read_without_running_the_system():
    card = swath.card("landcover-ai")
    assert card.family == "segmentation"
    assert card.departures
    assert len(card.checks) == 4


def _painted_sheets(root):
    """Three sheets in the published layout: woods, a lake, roads and roofs in colours that vary."""
    rng = np.random.default_rng(0)
    colours = np.array([(150, 140, 100), (190, 70, 60), (30, 80, 30), (40, 90, 170), (90, 90, 90)])
    for number, name in enumerate(("M-33", "M-34", "N-33")):
        mask = np.zeros((520, 530), np.uint8)
        mask[:, :200], mask[300:, 300:] = 2, 3
        mask[240:256], mask[:, 260:272] = 4, 4
        for row, col in rng.integers((0, 280), (200, 490), (12, 2)):
            mask[row : row + 24, col : col + 30] = 1
        mask = np.roll(mask, rng.integers(0, 500, 2), (0, 1))
        image = np.clip(colours[mask] + rng.normal(0, 12, (*mask.shape, 3)), 0, 255).astype(np.uint8)
        for folder, values in (("images", np.moveaxis(image, 2, 0)), ("masks", mask[None])):
            path = root / folder / f"{name}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            place = {"crs": "EPSG:2180", "transform": from_origin(400_000 + 1000 * number, 500_000, 0.25, 0.25)}
            with rasterio.open(
                path, "w", "GTiff", values.shape[2], values.shape[1], values.shape[0], dtype=np.uint8, **place
            ) as file:
                file.write(values)


@pytest.mark.slow
def test_the_published_layout_is_fitted_scored_and_mapped_from_the_command_line(tmp_path):
    _painted_sheets(tmp_path / "data")
    data, run, sheet = tmp_path / "data", tmp_path / "run", tmp_path / "data" / "images" / "M-33.tif"
    torch.manual_seed(0)
    recipe = "--patch 128 --batch 4 --epochs 2 --samples 48 --learning_rate 0.003 --loss ce+dice --accelerator cpu"
    assert main(["fit", "landcover_ai", str(data), "-o", str(run), "--encoder", "test_resnet", *recipe.split()]) == 0
    assert main(["score", str(run), str(data)]) == 0
    assert main(["predict", str(run), str(sheet), "-o", str(tmp_path / "map.tif")]) == 0

    with rasterio.open(tmp_path / "map.tif") as found, rasterio.open(sheet) as original:
        assert found.crs == original.crs
        assert found.transform == original.transform
        assert found.shape == original.shape
        codes = found.read(1)
        assert found.colormap(1)[2][:3] == CLASSES.colours[2]
    with rasterio.open(data / "masks" / "M-33.tif") as file:
        truth = file.read(1)
    majority = np.bincount(truth.ravel()).max() / truth.size
    assert (codes == truth).mean() > majority


_DUBAI_CLASSES = Classes.of(("building", "land", "road", "vegetation", "water"), ignored=(255,))
_DUBAI_COLOURS = ("#3c1098", "#8429f6", "#6ec1e4", "#fedd3a", "#e2a929")
_DUBAI_PARTS = {1: "train", 4: "train", 7: "train", 8: "train", 3: "val", 2: "test", 5: "test"}
_DUBAI_STEP = 3  # every third pixel of sub-metre pictures: roofs still show, and the test is three times as quick


def _dubai(folder):
    """Seven tiles of nine pictures, each tile in one part; tiles were dealt before anything was scored on 2 and 5."""
    codes = {tuple(bytes.fromhex(c[1:])): code for code, c in enumerate(_DUBAI_COLOURS)}
    scenes = []
    for tile, part in _DUBAI_PARTS.items():
        for path in sorted((folder / f"Tile {tile}" / "images").glob("*.jpg")):
            image = np.asarray(Image.open(path).convert("RGB"))
            colours = np.asarray(Image.open(path.parents[1] / "masks" / f"{path.stem}.png").convert("RGB"))
            rows, cols = (edge // _DUBAI_STEP for edge in image.shape[:2])
            blocks = image[: rows * _DUBAI_STEP, : cols * _DUBAI_STEP].reshape(rows, _DUBAI_STEP, cols, _DUBAI_STEP, 3)
            mask = np.full((rows, cols), 255, np.uint8)
            centres = colours[1::_DUBAI_STEP, 1::_DUBAI_STEP][:rows, :cols]
            for colour, code in codes.items():
                mask[(centres == colour).all(-1)] = code
            grid = pixel_grid(rows, cols)
            pixels = np.moveaxis(blocks.mean((1, 3)).round().astype(np.uint8), 2, 0)
            labels = RasterLabels(ArraySource(mask[None], Bands("mask", (Band("class", "1"),)), grid), _DUBAI_CLASSES)
            layers = {"image": ArraySource(pixels, resolve("rgb"), grid)}
            scenes.append(Scene(f"{tile}/{path.stem}", layers, labels, group=f"tile {tile}", part=part))
    return Collection(tuple(scenes), _DUBAI_CLASSES, "Dubai")


@pytest.mark.slow
@pytest.mark.data
def test_unseen_tiles_of_dubai_are_mapped_better_than_pixel_by_pixel(data_folder, tmp_path, capsys):
    data = _dubai(data_folder / "dubai_landcover_seg")
    torch.manual_seed(0)
    task = swath.create("landcover_ai", **_SMALL, classes=_DUBAI_CLASSES)
    recipe = Recipe(
        loss="ce+dice", learning_rate=2e-3, epochs=4, batch=8, patch=96, samples=640, augment=("d4", "colour")
    )
    task.fit(data, tmp_path / "run", recipe=recipe, accelerator="cpu")
    scores = task.score(data, "test")
    with capsys.disabled():
        for name, found in {"landcover_ai": scores.system, **scores.baselines}.items():
            print(f"\nDubai, tiles 2 and 5: {name}: mIoU {found['miou']}, accuracy {found['accuracy']}", end="")
    for name in ("majority", "nearest centroid"):
        assert scores.system["miou"].value > scores.baselines[name]["miou"].value
        assert scores.system["accuracy"].value > scores.baselines[name]["accuracy"].value
