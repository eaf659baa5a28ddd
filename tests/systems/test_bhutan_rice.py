"""The Bhutan rice system: its options, the published layout end to end, and what its networks learn."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import rasterio
import torch
from safetensors.torch import save_file

import swath
from bhutan import write_image, write_records
from phenology import make_world
from swath.data.classes import Classes
from swath.data.labels import RasterLabels
from swath.data.raster import open_raster
from swath.data.readers.bhutan_rice import CLASSES, read_bhutan_image, read_bhutan_rice
from swath.data.scenes import Collection, Scene
from swath.data.sources import ArraySource
from swath.data.splits import split_by_block
from swath.data.stack import StackSource
from swath.errors import ConfigError, SwathError, WeightsError
from swath.geo.windows import whole
from swath.sensors.bands import Band, Bands
from swath.sensors.catalogue import resolve
from swath.tasks.task import Task


def test_the_default_is_the_pixel_network_of_eight_features():
    task = swath.create("bhutan_rice")
    assert task.classes == CLASSES
    assert len(task.bands["image"]) == 8
    assert sum(p.numel() for p in task.net.parameters()) == 45_701
    assert task.recipe.batch * task.recipe.patch == 256  # points of a table


@pytest.mark.parametrize(
    ("features", "dnn", "unet"),
    [
        ("RGBN", 45_701, 2_060_997),
        ("RGBNE", 46_213, 2_061_573),
        ("RGBNS", 47_749, 2_063_301),
        ("RGBNES", 48_261, 2_063_877),
    ],
)
def test_each_set_of_features_has_the_published_count(features, dnn, unet):
    for network, count in (("dnn", dnn), ("unet", unet)):
        net = swath.create("bhutan_rice", features=features, network=network).net
        # Keras counts running statistics too, but no counter of batches
        assert sum(t.numel() for t in net.state_dict().values() if t.is_floating_point()) == count


def test_own_bands_and_classes_are_taken():
    bands = Bands("drone", tuple(Band(name, "reflectance") for name in ("red", "green", "nir")))
    task = swath.create("bhutan_rice", bands=bands, classes=Classes.of(["a", "b"]), network="unet", variant="published")
    batch = {"image": torch.rand(1, 3, 37, 20), "valid": torch.ones(1, 37, 20, dtype=torch.bool)}
    with torch.no_grad():
        assert task.eval()(batch).shape == (1, 2, 37, 20)  # padded to 48 x 32 and cut


def test_the_published_variant_feeds_values_as_they_are():
    task = swath.create("bhutan_rice", variant="published")
    image, valid = torch.rand(2, 8, 3, 3), torch.ones(2, 3, 3, dtype=torch.bool)
    torch.testing.assert_close(task.normalise(image, valid), image)
    assert swath.create("bhutan_rice").normalise is None  # from the training part


def test_running_statistics_of_the_published_network_follow_too_slowly_for_short_runs():
    share = {}
    for variant in ("published", "corrected"):
        net = swath.create("bhutan_rice", network="unet", variant=variant).net
        image = torch.randn(2, 8, 32, 32) + 3
        with torch.no_grad():
            seen = net.stem[0](image).mean((0, 2, 3))
            for _ in range(30):
                net.train()(image)
        share[variant] = (net.stem[1].running_mean / seen).mean().item()
    assert share["published"] == pytest.approx(1 - 0.99**30, rel=1e-3)  # 0.26
    assert share["corrected"] == pytest.approx(1 - 0.9**30, rel=1e-3)  # 0.96


def test_weights_load_from_keras_lists_and_from_runs(tmp_path):
    torch.manual_seed(0)
    net = swath.create("bhutan_rice", network="unet").net
    save_file(net.state_dict(), tmp_path / "run.safetensors")
    again = swath.create("bhutan_rice", network="unet", weights=tmp_path / "run.safetensors").net
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True))
    rng = np.random.default_rng(0)
    widths = (8, 256, 128, 64, 32, 5)
    arrays = [rng.normal(size=s) for a, b in pairwise(widths) for s in ((a, b), (b,))]
    np.savez(tmp_path / "keras.npz", *arrays)
    loaded = swath.create("bhutan_rice", weights=tmp_path / "keras.npz").net
    torch.testing.assert_close(loaded[0].weight[:, :, 0, 0], torch.tensor(arrays[0].T, dtype=torch.float32))
    with pytest.raises(WeightsError):
        swath.create("bhutan_rice", network="unet", weights=tmp_path / "keras.npz")
    with pytest.raises(WeightsError):
        swath.create("bhutan_rice", weights=tmp_path / "run.safetensors")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"features": "RGB"}, ConfigError),
        ({"network": "resnet"}, ConfigError),
        ({"variant": "best"}, ConfigError),
        ({"weights": "absent.npz"}, SwathError),
        ({"weights": "absent.safetensors"}, SwathError),
        ({"encoder": "resnet18"}, SwathError),
    ],
)
def test_options_that_cannot_be_met_are_refused(options, error):
    with pytest.raises(error):
        swath.create("bhutan_rice", **options)


def test_the_card_is_read_without_running_the_system():
    card = swath.card("bhutan-rice")
    assert card.family == "segmentation"
    assert len(card.checks) == 4


def _operations(net, image):
    """Multiplications of all convolutions in one forward pass."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        spread = inputs[0] if isinstance(module, torch.nn.ConvTranspose2d) else output
        total += module.weight.numel() * spread.shape[-2] * spread.shape[-1]

    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        net.eval()(image)
    return total


def test_costs_of_the_two_networks():
    """H: the residual network has 45 times the parameters, and three quarters of the multiplications a pixel."""
    nets = {name: swath.create("bhutan_rice", network=name).net for name in ("dnn", "unet")}
    parameters = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
    assert parameters["unet"] / parameters["dnn"] == pytest.approx(45.01, abs=0.01)
    operations = {name: _operations(net, torch.zeros(1, 8, 64, 64)) / 64**2 for name, net in nets.items()}
    assert operations["dnn"] == 8 * 256 + 256 * 128 + 128 * 64 + 64 * 32 + 32 * 5
    assert operations["unet"] / operations["dnn"] == pytest.approx(0.763, abs=0.001)


def _points(rng, count, centres):
    classes = rng.integers(0, 5, count)
    return np.clip(centres[classes] + rng.normal(0, 0.03, (count, 8)), 0.001, 1), classes


@pytest.mark.parametrize("variant", ["corrected", "published"])
def test_points_in_the_published_layout_end_to_end(tmp_path, variant):
    rng = np.random.default_rng(0)
    centres = rng.uniform(0.05, 0.35, (5, 8))
    for folder, count in {"training": 350, "validation": 80, "testing": 60}.items():
        write_records(tmp_path / folder / f"{folder}.tfrecord.gz", *_points(rng, count, centres))
    data = read_bhutan_rice(tmp_path)
    torch.manual_seed(0)
    task = swath.create("bhutan_rice", variant=variant)
    run = task.fit(data, tmp_path / "run", recipe=replace(task.recipe, epochs=8), accelerator="cpu")
    scores = task.score(data)
    assert scores.facts["pixels"] == 60
    assert scores.system["accuracy"].value > scores.baselines["majority"]["accuracy"].value + 0.3

    rows = np.kron(np.arange(5), np.ones(7, int))[:32]
    image = centres[np.broadcast_to(rows[:, None], (32, 32))].transpose(2, 0, 1)
    scene = read_bhutan_image(write_image(tmp_path, image, 16))[0]
    (path,) = Task.load(run.folder).predict(scene, tmp_path / "map.tif", progress=False)
    with rasterio.open(path) as mapped:
        assert mapped.crs.to_epsg() == 4326
        assert (mapped.read(1) == rows[:, None]).mean() > 0.9
        assert mapped.transform.c == pytest.approx(89.4)


def test_patches_in_the_published_layout_end_to_end(tmp_path):
    rng = np.random.default_rng(0)
    centres = rng.uniform(0.05, 0.35, (5, 8))
    for folder, count in {"training": 4, "validation": 2, "testing": 2}.items():
        classes = np.kron(rng.integers(0, 5, (count, 2, 2)), np.ones((1, 16, 16), int))
        values = centres[classes].transpose(0, 3, 1, 2) + rng.normal(0, 0.02, (count, 8, 32, 32))
        write_records(tmp_path / folder / "part.tfrecord.gz", np.clip(values, 0.001, 1), classes)
    data = read_bhutan_rice(tmp_path)
    task = swath.create("bhutan_rice", network="unet")
    task.fit(data, tmp_path / "run", recipe=replace(task.recipe, epochs=2, patch=32, batch=2), accelerator="cpu")
    scores = task.score(data)
    assert scores.facts["pixels"] == 2 * 32 * 32
    assert 0 <= scores.system["macro_f1"].value <= 1


def _collection(world):
    """The world's features with elevation, kept in memory, and its classes."""
    features = world.features()
    values, valid = features.read(whole(world.classes.shape))
    height = ArraySource(world.elevation[None], Bands("nicfi", (Band("elevation", "m"),)), world.grid)
    codes = ArraySource(world.classes[None].astype(np.uint8), Bands("label", (Band("class", "1"),)), world.grid)
    image = StackSource([ArraySource(values, features.bands, world.grid, valid), height])
    return Collection((Scene("world", {"image": image}, RasterLabels(codes, CLASSES)),), CLASSES, "simulated seasons")


def _fitted(data, folder, network, **changes):
    torch.manual_seed(0)
    task = swath.create("bhutan_rice", bands=data.bands["image"], network=network)
    task.fit(data, folder, recipe=replace(task.recipe, patience=None, **changes), accelerator="cpu")
    return task.score(data)


def _value(scores, name, metric="macro_f1"):
    return (scores.system if name == "system" else scores.baselines[name])[metric].value


@pytest.mark.slow
def test_a_random_split_scores_higher_than_a_split_by_blocks(tmp_path):
    """B: pixels near training pixels are easier than ground that was never seen; both beat the naive baselines."""
    found = {}
    for metres in (80, 480):
        for seed in (0, 1):
            data = split_by_block(_collection(make_world(seed=seed)), metres, fractions=(0.6, 0.15, 0.25), seed=seed)
            found[metres, seed] = _fitted(
                data, tmp_path / f"{metres}-{seed}", "dnn", epochs=10, samples=64, learning_rate=3e-3
            )
            assert _value(found[metres, seed], "system") > _value(found[metres, seed], "majority") + 0.5
            print(metres, seed, {n: round(_value(found[metres, seed], n), 3) for n in ("system", *_RIVALS)})
    means = {
        name: [np.mean([_value(found[metres, seed], name) for seed in (0, 1)]) for metres in (80, 480)]
        for name in ("system", "nearest centroid")
    }
    assert means["system"][0] > means["system"][1] > means["nearest centroid"][1]


_RIVALS = ("majority", "nearest centroid", "random forest")


@pytest.mark.slow
def test_the_residual_network_sees_what_no_pixel_tells(tmp_path):
    """B: rice in terraces and cropland share all spectra; only their neighbourhood differs."""
    world = make_world((192, 192), seed=5, region=0.3, terraces=True, parcel=1500)
    data = split_by_block(_collection(world), 480, fractions=(0.6, 0.15, 0.25))
    pixel = _fitted(data, tmp_path / "dnn", "dnn", epochs=4, samples=80, learning_rate=2e-3)
    budget = {"epochs": 10, "samples": 80, "batch": 4, "patch": 64}
    residual = _fitted(data, tmp_path / "unet", "unet", learning_rate=2e-3, **budget)
    print({n: round(_value(pixel, n), 3) for n in ("system", *_RIVALS)}, round(_value(residual, "system"), 3))
    assert _value(residual, "system") > _value(pixel, "system") + 0.05


_LANDSAT = Classes.of(["developed", "agriculture", "herbaceous", "shrubland", "forest", "water", "sediment"])
_LANDSAT = replace(_LANDSAT, codes=(1, 2, 3, 4, 5, 6, 7), ignored=(0,))


@pytest.mark.slow
@pytest.mark.data
def test_labelled_landsat_pixels_of_unseen_blocks(tmp_path, data_folder):
    """B, on real pixels: sparse labels of 1996 on a Landsat-7 image of 2000, split by blocks of 1.5 km."""
    folder = data_folder / "landsat7_nc_labels"
    image = open_raster(folder / "landsat7_2000_6band.tif", bands=resolve("landsat7_dn", nodata=-1))
    labels = RasterLabels.open(folder / "labels_1996.tif", _LANDSAT)
    scene = Scene("wake", {"image": image}, labels)
    data = split_by_block(Collection((scene,), _LANDSAT, "Landsat-7"), 1500, fractions=(0.6, 0.15, 0.25))
    torch.manual_seed(0)
    task = swath.create("bhutan_rice", bands=data.bands["image"], classes=_LANDSAT)
    task.fit(data, tmp_path / "run", accelerator="cpu")
    scores = task.score(data)
    print(scores.facts, {m: str(v) for m, v in scores.system.items()})
    print({n: {m: str(v) for m, v in s.items()} for n, s in scores.baselines.items()})
    for metric in ("accuracy", "macro_f1"):
        assert _value(scores, "system", metric) > _value(scores, "nearest centroid", metric)
        assert _value(scores, "system", metric) > _value(scores, "majority", metric) + 0.3
