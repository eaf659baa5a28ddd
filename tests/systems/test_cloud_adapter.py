"""The Cloud-Adapter system: published tensors, its two variants, what a run holds, and clouds from the command line."""

import json

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from safetensors.torch import save_file

import swath
from published_heads import published_head
from swath.cli import main
from swath.data.classes import Classes
from swath.data.readers.cloud_adapter import read_cloud_adapter
from swath.errors import BandError, ConfigError, ReadError, RunError, WeightsError
from swath.nn.dino import resized, tokens
from swath.nn.mask2former import TINY
from swath.sensors.bands import Band, Bands
from swath.sensors.catalogue import sensor
from swath.simulate.cloudsen12 import cloud_adapter as layout
from swath.simulate.world import make_world
from swath.tasks.query_segment import LOSS
from swath.tasks.recipe import Recipe
from swath.tasks.task import Task
from swath.tasks.weights import load_state

_TINY = {"encoder": "vit_tiny", "head": "tiny", "image_size": 64}
_RECIPE = Recipe(
    loss=LOSS, learning_rate=2e-3, epochs=1, batch=4, patch=64, samples=8, augment=("flip",), sampling="area"
)


def released(tmp_path, suffix=".pth"):
    """Adapter and head, and the transformer, in the names of the release; `(adapter and head, DINOv2, all)`."""
    net = swath.create("cloud_adapter", **_TINY).net
    generator = torch.Generator().manual_seed(9)
    adapter = {
        f"backbone.cloud_adapter.{name}": torch.rand(tensor.shape, generator=generator).to(tensor.dtype)
        for name, tensor in net.adapter.state_dict().items()
    }
    head = {f"decode_head.{name}": tensor for name, tensor in published_head(64, 4, TINY).items()}
    dino = {name: torch.randn(t.shape, generator=generator) for name, t in net.encoder.state_dict().items()}
    dino["patch_embed.proj.weight"] = torch.randn(64, 3, 14, 14, generator=generator)
    dino["pos_embed"] = torch.randn(1, 37 * 37 + 1, 64, generator=generator)
    dino["mask_token"] = torch.zeros(1, 64)
    converted = {**resized(dino, 16, 4), "mask_token": dino["mask_token"]}
    paths = [tmp_path / f"{name}{suffix}" for name in ("head", "dinov2", "converted", "full")]
    torch.save({"state_dict": adapter | head}, paths[0])
    torch.save(dino, paths[1])
    torch.save(converted, paths[2])
    full = {f"backbone.{name}": tensor for name, tensor in converted.items()}
    torch.save({"state_dict": adapter | head | full}, paths[3])
    return paths


def test_published_tensors_load_as_they_are(tmp_path):
    head, dinov2, converted, full = released(tmp_path)
    pairs = ((dinov2, head), (converted, head), (full, head), (None, full), (full, full))
    states = [
        swath.create("cloud_adapter", **_TINY, encoder_weights=encoder, weights=rest).net.state_dict()
        for encoder, rest in pairs
    ]
    assert all(torch.equal(state[name], v) for state in states[1:] for name, v in states[0].items())
    plain = swath.create("cloud_adapter", **_TINY, weights=head).net.state_dict()
    assert torch.equal(
        plain["adapter.net.2.attn.to_q.loramlp.0.weight"], states[0]["adapter.net.2.attn.to_q.loramlp.0.weight"]
    )
    assert not torch.equal(plain["encoder.cls_token"], states[0]["encoder.cls_token"])
    told = torch.load(head, weights_only=True)["state_dict"]
    for name in ("cnn.proj_1x1.conv_dw.weight", "cnn.spp_dw.4.bn2.running_var", "net.3.attn.to_out.loramlp.1.weight"):
        assert torch.equal(states[0][f"adapter.{name}"], told[f"backbone.cloud_adapter.{name}"])


def test_files_of_other_networks_are_refused(tmp_path):
    _, dinov2, *_ = released(tmp_path)
    with pytest.raises(WeightsError, match="no adapter and head"):
        swath.create("cloud_adapter", **_TINY, weights=dinov2)
    with pytest.raises(WeightsError, match="do not fit"):
        swath.create("cloud_adapter", encoder="vit_small_patch14_dinov2", head="tiny", encoder_weights=dinov2)
    with pytest.raises(ReadError):
        swath.create("cloud_adapter", **_TINY, encoder_weights=tmp_path / "absent.pth")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"variant": "best"}, ConfigError),
        ({"head": "huge"}, ConfigError),
        ({"patch_size": 12}, ConfigError),
        ({"encoder": "resnet50"}, ConfigError),
        ({"image_size": 100}, ConfigError),
        ({"bands": Bands("radar", (Band("VV", "dB"), Band("VH", "dB")))}, BandError),
    ],
)
def test_options_that_cannot_be_met_are_refused(options, error):
    with pytest.raises(error):
        swath.create("cloud_adapter", **{**_TINY, **options})


def batch(image):
    return {"image": image, "valid": torch.ones(len(image), *image.shape[-2:], dtype=torch.bool)}


def test_bytes_are_normalised_as_in_the_release():
    for variant in ("corrected", "published"):
        task = swath.create("cloud_adapter", **_TINY, variant=variant)
        found = task.inputs(batch(torch.full((1, 3, 32, 32), 255.0)))[0]
        assert np.allclose(
            found[0, :, 0, 0], [(255 - m) / s for m, s in ((123.675, 58.395), (116.28, 57.12), (103.53, 57.375))]
        )


def test_red_green_and_blue_are_taken_of_other_bands():
    task = swath.create("cloud_adapter", **_TINY, bands="sentinel2_l1c")
    assert task.bands["image"].names == ("B04", "B03", "B02")
    three = Bands("radar", tuple(Band(name, "dB") for name in ("VV", "VH", "ratio")))
    task = swath.create("cloud_adapter", **_TINY, bands=three)
    assert task.bands["image"] == three
    assert task.normalise is None  # learned from the data


def test_a_cloud_is_as_bright_in_any_patch_and_was_not_in_the_release():
    """The same ground beside a cloud and alone: stretched by itself, clear ground becomes as bright as a cloud."""
    patches = torch.full((2, 3, 32, 32), 0.05)
    patches[:, :, 16:] = 0.1
    patches[0, :, :8] = 0.9
    bands = sensor("sentinel2_l1c")
    corrected = swath.create("cloud_adapter", **_TINY, bands=bands).inputs(batch(patches))[0]
    assert torch.equal(corrected[0, :, 16:], corrected[1, :, 16:])
    published = swath.create("cloud_adapter", **_TINY, bands=bands, variant="published").inputs(batch(patches))[0]
    as_bytes = published * torch.tensor([58.395, 57.12, 57.375])[:, None, None]
    as_bytes += torch.tensor([123.675, 116.28, 103.53])[:, None, None]
    # floor(255 (0.10 - 0.05) / (0.90 - 0.05)), and the cloud; alone, the ground is the largest number
    assert np.allclose([as_bytes[0, 0, 20, 0], as_bytes[0, 0, 0, 0], as_bytes[1, 0, 20, 0]], [14, 254, 254], atol=1e-3)
    assert torch.allclose(as_bytes[1, 0, 0], torch.zeros(32), atol=1e-3)


def test_all_bands_of_a_patch_are_stretched_together():
    patch = torch.rand(1, 3, 32, 32)
    task = swath.create("cloud_adapter", **_TINY, bands="sentinel2_l1c", variant="published")
    values = (task.inputs(batch(patch))[0] * task.normalise.std_image + task.normalise.mean_image)[0].numpy()
    seen = patch[0].numpy()
    expected = np.floor(255 * (seen - seen.min()) / (seen.max() - seen.min() + np.float32(1e-6)))
    assert np.abs(values - expected).max() < 1.01  # rounding of float32 at whole numbers
    assert (np.abs(values - expected) < 0.01).mean() > 0.99


@pytest.mark.parametrize("patch", [4, 8])
def test_tokens_can_be_of_fewer_pixels(patch):
    """Tokens, context and masks are finer; scores have the image's own size."""
    task = swath.create("cloud_adapter", **_TINY, patch_size=patch)
    image = torch.rand(2, 3, 64, 64)
    assert tokens(task.net.encoder, image).shape == (2, 1 + (64 // patch) ** 2, 64)
    assert task.net.adapter.cnn(image).shape == (2, 64, 64 // patch, 64 // patch)
    assert task.net.train()(image).masks.shape[-2:] == (256 // patch, 256 // patch)
    with torch.no_grad():
        assert task.eval()(batch(torch.rand(1, 3, 40, 50) * 255)).shape == (1, 4, 40, 50)


def test_neither_variant_begins_at_zero():
    for variant in ("corrected", "published"):
        net = swath.create("cloud_adapter", **_TINY, variant=variant).net
        assert all(module.attn.to_out.loramlp[1].weight.std() > 0.01 for module in net.adapter.net)


def test_the_recipe_decays_what_the_release_decays():
    from swath.tasks.decay import decay_groups

    task = swath.create("cloud_adapter", **_TINY)
    decayed, free = decay_groups(task.net, 0.05, task.undecayed)
    names = {id(p): name for name, p in task.net.named_parameters()}
    assert not any(names[id(p)].startswith("encoder.") for group in (decayed, free) for p in group["params"])
    decayed, free = ({names[id(p)] for p in group["params"]} for group in (decayed, free))
    assert {"head.transformer.queries_embedder.weight", "head.transformer.level_embed.weight"} <= free
    assert {"adapter.cnn.proj_1x1.bn1.weight", "head.pixel_decoder.adapter_1.1.weight"} <= free
    assert {"head.transformer.queries_features.weight", "head.pixel_decoder.level_embed"} <= decayed


@pytest.fixture(scope="module")
def clouds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clouds")
    layout(make_world(seed=11, width=2400, height=1500, coast=0.0, towns=12), folder, pictures=6, edge=64)
    return folder


@pytest.fixture(scope="module")
def fitted(clouds, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    head, dinov2, *_ = released(folder)
    task = swath.create("cloud_adapter", **_TINY, encoder_weights=dinov2, weights=head)
    before = {name: v.clone() for name, v in task.net.encoder.state_dict().items()}
    task.fit(read_cloud_adapter(clouds), folder / "run", recipe=_RECIPE, accelerator="cpu")
    return task, folder, before


def test_the_transformer_stays_bit_by_bit_and_the_run_does_not_hold_it(fitted):
    task, folder, before = fitted
    assert all(torch.equal(task.net.encoder.state_dict()[name], v) for name, v in before.items())
    assert all(p.grad is None for p in task.net.encoder.parameters())
    kept = load_state(folder / "run/weights.safetensors")
    assert {name.split(".")[0] for name in kept} == {"adapter", "head"}
    moved = load_state(folder / "run/weights.safetensors")["adapter.net.0.attn.to_q.loramlp.0.weight"]
    started = torch.load(folder / "head.pth", weights_only=True)["state_dict"]
    assert not torch.equal(moved, started["backbone.cloud_adapter.net.0.attn.to_q.loramlp.0.weight"])


def test_a_run_comes_back_with_the_transformer_of_its_file(fitted):
    task, folder, _ = fitted
    (folder / "head.pth").rename(folder / "gone.pth")
    again = Task.load(folder / "run")
    (folder / "gone.pth").rename(folder / "head.pth")
    assert again.weights_hash() == task.weights_hash()
    (folder / "dinov2.pth").rename(folder / "gone.pth")
    with pytest.raises(ReadError, match=r"no weights file .*dinov2\.pth"):
        Task.load(folder / "run")
    (folder / "gone.pth").rename(folder / "dinov2.pth")
    description = json.loads((folder / "run/task.json").read_text())
    del description["system"]["options"]["encoder_weights"]
    (folder / "other").mkdir()
    (folder / "other/task.json").write_text(json.dumps(description))
    (folder / "other/weights.safetensors").write_bytes((folder / "run/weights.safetensors").read_bytes())
    with pytest.raises(RunError, match="beside other frozen weights"):
        Task.load(folder / "other")


def test_a_run_begun_with_the_whole_release_comes_back(clouds, tmp_path):
    *_, full = released(tmp_path)
    task = swath.create("cloud_adapter", **_TINY, weights=full)
    task.fit(read_cloud_adapter(clouds), tmp_path / "run", recipe=_RECIPE, accelerator="cpu")
    assert Task.load(tmp_path / "run").weights_hash() == task.weights_hash()


def test_probabilities_are_shares_and_rank_as_scores(fitted):
    task = fitted[0]
    image = batch(torch.rand(1, 3, 40, 50) * 255)
    with torch.no_grad():
        scores, shares = task(image), task.probabilities(image)
    assert scores.shape == (1, 4, 40, 50)
    assert torch.allclose(shares.sum(1), torch.ones(1, 40, 50))
    assert torch.equal(shares.argmax(1), scores.argmax(1))


def test_other_losses_are_refused(clouds, tmp_path):
    task = swath.create("cloud_adapter", **_TINY)
    with pytest.raises(ConfigError, match="a loss of their own"):
        task.fit(read_cloud_adapter(clouds), tmp_path, recipe=Recipe(loss="ce", patch=64), accelerator="cpu")


@pytest.mark.slow
def test_the_published_layout_is_fitted_and_scored_and_a_scene_of_one_s_own_mapped(clouds, tmp_path):
    run, recipe = tmp_path / "run", "--patch 64 --batch 4 --epochs 1 --samples 8 --accelerator cpu"
    options = "--encoder=vit_tiny --head=tiny --image_size=64"
    assert main(["fit", "cloud_adapter", str(clouds), "-o", str(run), *options.split(), *recipe.split()]) == 0
    assert main(["score", str(run), str(clouds)]) == 0
    scores = json.loads((run / "scores-test.json").read_text())
    assert {"majority", "nearest centroid", "random forest", "brightness"} == set(scores["baselines"])
    picture = next(clouds.glob("*/img_dir/test/*.png"))
    assert main(["predict", str(run), str(picture), "-o", str(tmp_path / "picture.tif"), "--crs=none"]) == 0


@pytest.mark.slow
def test_reflectance_of_one_s_own_is_fitted_and_mapped_from_a_yaml(tmp_path):
    rng = np.random.default_rng(0)
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_300_000, 10, 10)}
    bright = np.kron(rng.random((6, 6)) < 0.4, np.ones((32, 32))).astype(bool)
    reflectance = np.where(bright, 6000, 900) + rng.normal(0, 80, (13, 192, 192))
    with rasterio.open(tmp_path / "s2.tif", "w", "GTiff", 192, 192, 13, dtype="uint16", **place) as file:
        file.write(reflectance.astype(np.uint16))
        file.descriptions = sensor("sentinel2_l1c").names
    with rasterio.open(tmp_path / "mask.tif", "w", "GTiff", 192, 192, 1, dtype="uint8", **place) as file:
        file.write(bright.astype(np.uint8), 1)
    (tmp_path / "data.yaml").write_text(
        "layers: {image: {files: s2.tif, sensor: sentinel2_l1c}}\nlabels: {files: mask.tif}\n"
        "classes: [clear, cloud]\nsplit: {by: block, size: 320}\n"
    )
    run = tmp_path / "run"
    options = "--encoder=vit_tiny --head=tiny --image_size=64 --patch 64 --batch 4 --epochs 1 --samples 8"
    assert (
        main(
            ["fit", "cloud_adapter", str(tmp_path / "data.yaml"), "-o", str(run), *options.split(), "--accelerator=cpu"]
        )
        == 0
    )
    assert main(["predict", str(run), str(tmp_path / "s2.tif"), "-o", str(tmp_path / "map.tif")]) == 0
    with rasterio.open(tmp_path / "map.tif") as found:
        assert (found.crs, found.transform, found.shape) == (place["crs"], place["transform"], (192, 192))


def test_weights_of_a_run_begin_another(fitted):
    task, folder, _ = fitted
    path = folder / "run/weights.safetensors"
    again = swath.create("cloud_adapter", **_TINY, encoder_weights=folder / "dinov2.pth", weights=path)
    assert again.weights_hash() == task.weights_hash()
    save_file(
        {name: v for name, v in load_state(path).items() if name.startswith("adapter.")}, folder / "half.safetensors"
    )
    with pytest.raises(WeightsError, match="no adapter and head"):
        swath.create("cloud_adapter", **_TINY, weights=folder / "half.safetensors")


def test_another_legend_is_taken():
    task = swath.create("cloud_adapter", **_TINY, classes=Classes.of(("clear", "cloud")))
    with torch.no_grad():
        assert task.eval()(batch(torch.zeros(1, 3, 64, 64))).shape == (1, 2, 64, 64)
