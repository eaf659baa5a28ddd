"""The OAM-TCD system: parity of its networks, published tensor names, confidence, pixel sizes, both forms in use."""

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models.detection import maskrcnn_resnet50_fpn
from transformers import SegformerConfig, SegformerForSemanticSegmentation

import swath
import tiny
from swath.cli import main
from swath.data.classes import Classes
from swath.data.config import load_data
from swath.data.labels import RasterLabels
from swath.data.raster import open_raster
from swath.data.readers import read_layout
from swath.data.scenes import Collection, Scene
from swath.errors import ConfigError, SwathError, WeightsError
from swath.scene.dissolve import DissolveMerge
from swath.sensors.catalogue import resolve
from swath.simulate import crowns as simulated
from swath.simulate import moment
from swath.simulate.world import make_world
from swath.systems.segmentation.oam_tcd import build_net

_SMALL = {"backbone": "test_resnet", "width": 16, "head": 32, "detections": 20}


@pytest.mark.parametrize("size", ["b0", "b1"])
def test_segformer_is_that_of_transformers(size, tmp_path):
    torch.manual_seed(0)
    config = SegformerConfig(
        hidden_sizes=[32, 64, 160, 256] if size == "b0" else [64, 128, 320, 512], decoder_hidden_size=256
    )
    config.num_labels = 2
    oracle = SegformerForSemanticSegmentation(config).eval()
    # the published file is what `save_pretrained` writes: the tensors under transformers' own names
    save_file({k: v.contiguous() for k, v in oracle.state_dict().items()}, tmp_path / "model.safetensors")
    net = swath.create("oam_tcd", network=f"mit-{size}", weights=tmp_path / "model.safetensors").net.eval()
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        wanted = nn.functional.interpolate(oracle(image).logits, size=(64, 96), mode="bilinear", align_corners=False)
        torch.testing.assert_close(net(image), wanted)


def test_parameters_are_those_of_the_published_sizes():
    with torch.device("meta"):
        counts = {n: sum(p.numel() for p in build_net(f"mit-{n}", 3, 2).parameters()) / 1e6 for n in ("b0", "b5")}
    assert counts == pytest.approx({"b0": 3.7, "b5": 84.6}, abs=0.06)


def test_u_net_is_that_of_segmentation_models_pytorch():
    oracle = smp.Unet("tu-test_resnet", encoder_weights=None, classes=2).eval()
    net = build_net("tu-test_resnet", 3, 2).eval()
    net.load_state_dict(oracle.state_dict())
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(net(image), oracle(image))


def test_bytes_reach_the_networks_as_their_weights_expect():
    def statistics(form="oam_tcd", **options):
        return swath.create(form, **options).normalise.layers["image"]

    published = statistics(network="tu-test_resnet", variant="published")
    assert (published.mean, published.std) == ((0.0,) * 3, (1.0,) * 3)
    imagenet = tuple(255 * v for v in (0.485, 0.456, 0.406))
    assert statistics(network="mit-b0", variant="published").mean == pytest.approx(imagenet)
    assert statistics(network="tu-test_resnet").mean == pytest.approx(imagenet)


@pytest.mark.parametrize(
    ("form", "options", "error"),
    [
        ("oam_tcd", {"network": "mit-b9"}, ConfigError),
        ("oam_tcd", {"network": "resnet-thirty"}, ConfigError),
        ("oam_tcd", {"variant": "released"}, ConfigError),
        ("oam_tcd", {"weights": "absent.safetensors"}, SwathError),
        ("oam_tcd:instances", {"variant": "released", **_SMALL}, ConfigError),
        ("oam_tcd:instances", {"suppression": "soft", **_SMALL}, ConfigError),
    ],
)
def test_options_that_cannot_be_met_are_refused(form, options, error):
    with pytest.raises(error):
        swath.create(form, **options)


def test_weights_of_another_network_are_refused(tmp_path):
    save_file({"head": torch.zeros(3)}, tmp_path / "other.safetensors")
    for form, options in (("oam_tcd", {}), ("oam_tcd:instances", _SMALL)):
        with pytest.raises(WeightsError):
            swath.create(form, weights=tmp_path / "other.safetensors", **options)


@pytest.mark.parametrize("older", [False, True])
def test_torchvisions_file_of_other_classes_loads_but_for_its_predictors(tmp_path, older):
    torch.manual_seed(0)
    state = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=5).state_dict()
    state = {k: torch.randn(v.shape) if v.is_floating_point() else v for k, v in state.items()}
    told = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    if older:  # names before torchvision 0.12
        for n in range(4):
            told = {k.replace(f"mask_head.{n}.0.", f"mask_head.mask_fcn{n + 1}."): v for k, v in told.items()}
            told = {k.replace(f"_blocks.{n}.0.", f"_blocks.{n}."): v for k, v in told.items()}
        told = {k.replace("rpn.head.conv.0.0.", "rpn.head.conv."): v for k, v in told.items()}
        assert told.keys() != state.keys()
    save_file(told, tmp_path / "coco.safetensors")
    net = swath.create("oam_tcd:instances", norm="frozen", frozen_stages=2, weights=tmp_path / "coco.safetensors").net
    own = net.state_dict()
    same = {k for k, v in own.items() if k in state and v.shape == state[k].shape and torch.equal(v, state[k])}
    assert own.keys() - same == {
        f"roi_heads.{name}.{kind}" for kind in ("weight", "bias")
        for name in ("box_predictor.cls_score", "box_predictor.bbox_pred", "mask_predictor.mask_fcn_logits")
    }  # fmt: skip


def test_the_published_variant_merges_as_the_release_and_reports_from_two_tenths_on():
    published = swath.create("oam_tcd:instances", variant="published", **_SMALL)
    assert published._merge == DissolveMerge((1,), at_border=True)
    assert published._even
    assert published.net.roi_heads.score_thresh == 0.2
    assert swath.create("oam_tcd:instances", **_SMALL)._merge is None


class _Green(nn.Module):
    """Logits whose odds of a tree rise with the second band of bytes, without any context."""

    def forward(self, x):
        green = x[:, 1] * 57.12 + 116.28
        return torch.stack([torch.zeros_like(green), (green - 128) / 16], 1)


def picture(tmp_path, size=0.1, shape=(150, 170)):
    """A GeoTIFF of bytes with white ground on its right."""
    values = np.random.default_rng(0).integers(0, 250, (3, *shape), dtype=np.uint8)
    values[:, :, shape[1] // 2 :] = 255
    grid = tiny.grid(*shape, "EPSG:3395", size, 1_000_000, 6_000_000)
    return tiny.write_raster(tmp_path / "tile.tif", values, grid), values, grid


@pytest.mark.parametrize("options", [{"blend": "crop", "even": True}, {}])
def test_confidence_of_tiles_is_that_of_the_whole_picture_and_blank_tiles_have_none(tmp_path, options):
    path, values, grid = picture(tmp_path)
    task = swath.create("oam_tcd", network="tu-test_resnet")
    task.net = _Green()
    products = ("classes", "confidence")
    written = task.predict(
        path, tmp_path / "map.tif", products=products, tile=64, overlap=0.25, progress=False, **options
    )
    with rasterio.open(written[1]) as file:
        found = file.read(1)
        assert (file.nodata, file.transform, file.shape) == (0, grid.affine, (150, 170))
    odds = (values[1].astype(np.float64) - 128) / 16
    wanted = np.clip(np.floor(255 / (1 + np.exp(-odds))), 1, 255)
    seen = found > 0
    assert seen[:, :80].all()
    assert not seen[:, -20:].any()
    assert np.abs(found[seen] - wanted[seen]).max() <= 1
    with rasterio.open(written[0]) as file:
        classes = file.read(1)
    assert np.array_equal(classes[:, :80] == 1, values[1, :, :80] > 128)


def test_files_side_by_side_are_mapped_as_one_through_a_virtual_raster(tmp_path):
    path, values, grid = picture(tmp_path)
    parts = {0: values[:, :, :80], 80: values[:, :, 80:]}
    for col, part in parts.items():
        tiny.write_raster(tmp_path / f"from{col}.tif", part, grid[:, col : col + part.shape[2]])
    sources = {
        band: "".join(
            f"<SimpleSource><SourceFilename>{tmp_path}/from{col}.tif</SourceFilename><SourceBand>{band}</SourceBand>"
            f'<SrcRect xOff="0" yOff="0" xSize="{part.shape[2]}" ySize="150"/>'
            f'<DstRect xOff="{col}" yOff="0" xSize="{part.shape[2]}" ySize="150"/></SimpleSource>'
            for col, part in parts.items()
        )
        for band in (1, 2, 3)
    }
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}">{inside}</VRTRasterBand>' for band, inside in sources.items()
    )
    (tmp_path / "all.vrt").write_text(
        f'<VRTDataset rasterXSize="170" rasterYSize="150"><SRS>EPSG:3395</SRS>'
        f"<GeoTransform>{', '.join(map(str, grid.affine.to_gdal()))}</GeoTransform>{bands}</VRTDataset>"
    )
    task = swath.create("oam_tcd", network="tu-test_resnet")
    task.net = _Green()
    maps = []
    for source in (path, tmp_path / "all.vrt"):
        (written,) = task.predict(source, tmp_path / f"{source.stem}-map.tif", tile=64, progress=False)
        with rasterio.open(written) as file:
            maps.append((file.transform, file.read()))
    assert maps[0][0] == maps[1][0]
    assert np.array_equal(maps[0][1], maps[1][1])


def test_scenes_of_other_pixels_are_brought_to_a_tenth_of_a_metre(tmp_path):
    path, _, _ = picture(tmp_path, size=0.05)
    task = swath.create("oam_tcd", network="tu-test_resnet")
    task.net = _Green()
    (written,) = task.predict(path, tmp_path / "map.tif", progress=False)
    with rasterio.open(written) as file:
        assert file.res == pytest.approx((0.1, 0.1))
        assert file.shape == (75, 85)


def test_scenes_are_brought_to_the_pixel_size_that_is_asked_for(tmp_path):
    path, _, _ = picture(tmp_path)
    task = swath.create("oam_tcd", network="tu-test_resnet", pixel_size=0.2)
    task.net = _Green()
    (written,) = task.predict(path, tmp_path / "map.tif", progress=False)
    with rasterio.open(written) as file:
        assert file.res == pytest.approx((0.2, 0.2))
    assert swath.create("oam_tcd:instances", pixel_size=0.2, **_SMALL).pixel_size == 0.2


def test_empty_masks_stay_empty(tmp_path):
    """The release sets pixel [0, 0] so that no mask is empty; that is a crown where there is none."""
    path, _, grid = picture(tmp_path)
    tiny.write_raster(tmp_path / "mask.tif", np.zeros((150, 170), np.uint8), grid)
    task = swath.create("oam_tcd", network="tu-test_resnet")
    labels = RasterLabels.open(tmp_path / "mask.tif", task.classes)
    scene = Scene("s", {"image": open_raster(path, bands=resolve("rgb"))}, labels, part="train")
    assert (task.seen(Collection((scene,), task.classes))[0].labels.read(grid) == 0).all()


def test_simulated_crowns_are_exact_and_groups_are_told(tmp_path):
    world = make_world(seed=3, width=1000, height=1000, towns=100)
    trees = world.layer("trees")
    forest = trees[trees["stand"] == "forest"].geometry.iloc[40]
    grid = tiny.grid(300, 300, str(world.grid.crs), 0.1, round(forest.x, 1) - 15, round(forest.y, 1) + 15)
    owner = simulated.crown_owners(world, grid, moment.at(world, 170, 11.0))
    found = simulated.crowns(owner)
    assert any(crown.category == 1 for crown in found)
    single = trees[trees["stand"] == "town"]
    alone = next(i for i, tree in enumerate(single.geometry) if (trees.distance(tree) < 15).sum() == 1)
    single = single.iloc[alone:]
    near = single.geometry.iloc[0]
    grid = tiny.grid(120, 120, str(world.grid.crs), 0.1, round(near.x, 1) - 6, round(near.y, 1) + 6)
    (crown,) = simulated.crowns(simulated.crown_owners(world, grid, moment.at(world, 170, 11.0)))
    assert crown.category == 2
    # a disc of the crown's diameter, in pixels of 0.1 m
    assert crown.mask.sum() * 0.01 == pytest.approx(np.pi * (single["crown"].iloc[0] / 2) ** 2, rel=0.02)


@pytest.mark.slow
def test_simulated_tiles_hold_groups_in_every_part_that_learns_or_tests(tmp_path):
    simulated.oam_tcd(make_world(seed=3, width=1000, height=1000, towns=100), tmp_path, tiles=6, edge=256)
    for part in ("train", "test"):
        annotations = json.loads((tmp_path / f"{part}.json").read_text())["annotations"]
        assert {entry["category_id"] for entry in annotations} == {1, 2}


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    root = tmp_path_factory.mktemp("oam")
    simulated.oam_tcd(make_world(seed=3, width=1000, height=1000, towns=100), root, tiles=6, edge=96)
    return root


@pytest.mark.slow
def test_both_forms_run_from_the_command_line_on_the_published_layout(layout, tmp_path):
    recipe = ["--patch", "64", "--batch", "2", "--epochs", "1", "--samples", "4", "--accelerator", "cpu"]
    forms = {
        "oam_tcd": (["--network=tu-test_resnet", "--pixel-size=0.2"], "map.tif"),
        "oam_tcd:instances": (["--backbone=test_resnet", "--width=16", "--head=32", "--detections=10"], "crowns.gpkg"),
    }
    scene = next((layout / "images").glob("*.tif"))
    for number, (form, (options, output)) in enumerate(forms.items()):
        run = tmp_path / f"run{number}"
        assert main(["fit", form, str(layout), "-o", str(run), *options, *recipe]) == 0
        assert main(["score", str(run), str(layout), "--resamples=20"]) == 0
        assert (run / "scores-test.json").is_file()
        assert main(["predict", str(run), str(scene), "-o", str(tmp_path / output), "--tile=64"]) == 0
        assert (tmp_path / output).is_file()
    with rasterio.open(tmp_path / "map.tif") as file:  # the run remembers its pixel size
        assert file.res == pytest.approx((0.2, 0.2))


@pytest.mark.slow
def test_a_users_own_polygons_in_another_crs_train_the_instance_form(layout, tmp_path):
    data = read_layout("oam_tcd:instances", layout)
    rows = []
    for scene in data:
        labels = scene.labels
        rows += [(shape, int(kind)) for shape, kind in zip(labels._shapes, labels._classes, strict=True)]
    frame = gpd.GeoDataFrame(
        {"kind": [kind for _, kind in rows]}, geometry=[s for s, _ in rows], crs=data[0].grid.crs.proj
    )
    frame.to_crs(4326).to_file(tmp_path / "crowns.gpkg")
    yaml = tmp_path / "mine.yaml"
    yaml.write_text(
        f"layers: {{image: {{files: '{layout}/images/*.tif', sensor: rgb}}}}\n"
        "labels: {files: crowns.gpkg, attribute: kind}\nclasses: {0: canopy, 1: tree}\n"
        "split: {by: source, seed: 1}\n"
    )
    own = load_data(yaml)
    for scene in data:
        other = next(s for s in own if s.id == scene.id)
        theirs, mine = scene.labels.instances(scene.grid), other.labels.instances(other.grid)
        assert len(theirs) == len(mine)
        assert mine.areas.sum() == pytest.approx(theirs.areas.sum(), rel=0.03)
    options = "--backbone=test_resnet --width=16 --head=32 --detections=10 --patch 64 --batch 2 --epochs 1 --samples 2"
    run = tmp_path / "run"
    assert main(["fit", "oam_tcd:instances", str(yaml), "-o", str(run), *options.split(), "--accelerator=cpu"]) == 0


def test_other_classes_and_bands_build_too():
    task = swath.create("oam_tcd:instances", classes=Classes.of(["palm"]), bands="sentinel2_l2a", **_SMALL)
    assert task.normalise is None
    assert task.net.backbone.body.conv1[0].weight.shape[1] == len(task.bands["image"])
