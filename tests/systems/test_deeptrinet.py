"""The DeepTriNet system: parity without its attention, where attention stands, patches side by side, learning."""

import numpy as np
import pytest
import rasterio
import segmentation_models_pytorch as smp
import timm
import torch
from rasterio.transform import from_origin
from safetensors.torch import save_file
from torch import nn
from torchvision.ops import SqueezeExcitation

import swath
from swath.cli import main
from swath.data.classes import Classes
from swath.errors import ConfigError, SwathError, WeightsError
from swath.nn.tri_level_attention import TriLevelAttention
from swath.sensors.bands import Band, Bands
from swath.simulate import aerial
from swath.simulate.world import make_world
from swath.systems.segmentation.deeptrinet import build_net

_SMALL = {"encoder": "test_resnet"}


@pytest.mark.parametrize("output_stride", [16, 8])
def test_without_attention_it_is_deeplab_of_segmentation_models_pytorch(output_stride):
    torch.manual_seed(0)
    rates = tuple(16 // output_stride * rate for rate in (6, 12, 18))
    oracle = smp.DeepLabV3Plus(
        "tu-resnet18", encoder_weights=None, encoder_output_stride=output_stride, decoder_atrous_rates=rates, classes=16
    ).eval()
    for module in oracle.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    net = build_net(3, 16, "resnet18", "none", output_stride, aligned=False).eval()
    assert len(net.state_dict()) == len(oracle.state_dict())
    net.load_state_dict(dict(zip(net.state_dict(), oracle.state_dict().values(), strict=True)))
    image = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(net(image), oracle(image), atol=1e-5, rtol=1e-5)


class _Open(nn.Module):
    """A gate that lets all through."""

    def forward(self, x):
        return x


def test_with_its_gates_open_it_is_deeplab_too():
    plain, gated = (build_net(3, 16, "test_resnet", attention).eval() for attention in ("none", "sum_conv"))
    for module in list(gated.modules()):
        for name, child in module.named_children():
            if isinstance(child, TriLevelAttention | SqueezeExcitation):
                setattr(module, name, _Open())
    gated.load_state_dict(dict(zip(gated.state_dict(), plain.state_dict().values(), strict=True)))
    image = torch.randn(1, 3, 50, 40)
    with torch.no_grad():
        assert torch.equal(gated(image), plain(image))


def test_each_branch_has_an_attention_of_its_own():
    net = swath.create("deeptrinet", **_SMALL).net
    pyramid = net.context[0]
    gates = [branch[1] for branch in pyramid.branches]
    assert len(gates) == 5
    assert all(isinstance(gate, TriLevelAttention) for gate in gates)
    assert len({gate.pixel.weight.data_ptr() for gate in gates}) == 5
    assert sum(isinstance(m, SqueezeExcitation) for m in net.fuse) == 2


def test_every_gate_learns():
    net = build_net(3, 3, "test_resnet").train()
    net(torch.randn(2, 3, 64, 64)).square().mean().backward()
    for module in net.modules():
        if isinstance(module, TriLevelAttention):
            assert all(p.grad.abs().sum() > 0 for p in (module.channel[0].weight, module.spatial.weight))
            assert module.pixel.weight.grad.abs().sum() > 0


def test_bytes_go_from_minus_one_to_one_and_other_units_are_learned():
    statistics = swath.create("deeptrinet", **_SMALL).normalise.layers["image"]
    assert statistics.mean == statistics.std == (127.5,) * 3
    reflectance = Bands("drone", tuple(Band(name, "reflectance") for name in ("red", "green", "blue", "nir")))
    task = swath.create("deeptrinet", **_SMALL, bands=reflectance, classes=Classes.of(("wet", "dry")))
    assert task.normalise is None
    with torch.no_grad():
        assert task.net.eval()(torch.zeros(1, 4, 33, 35)).shape == (1, 2, 33, 35)


def test_a_timm_file_of_its_encoder_loads(tmp_path):
    whole = timm.create_model("test_resnet")
    save_file(whole.state_dict(), tmp_path / "whole.safetensors")
    net = swath.create("deeptrinet", **_SMALL, weights=tmp_path / "whole.safetensors").net
    assert all(torch.equal(v, whole.state_dict()[k]) for k, v in net.encoder.state_dict().items())
    save_file({"head": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="neither this network nor its encoder"):
        swath.create("deeptrinet", **_SMALL, weights=tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"attention": "cbam", **_SMALL}, ConfigError),
        ({"encoder": "resnet-fifty"}, ConfigError),
        ({"output_stride": 32, **_SMALL}, ConfigError),
        ({"weights": "absent.safetensors", **_SMALL}, SwathError),
    ],
)
def test_options_that_cannot_be_met_are_refused(options, error):
    with pytest.raises(error):
        swath.create("deeptrinet", **options)


class _Reads(nn.Module):
    """Logits whose largest is at the class that the first band holds as `17 * code`."""

    def forward(self, x):
        code = (x[:, :1] * 127.5 + 127.5) / 17
        return -((code - torch.arange(16.0)[:, None, None]) ** 2)


@pytest.mark.parametrize("shape", [(256, 256), (512, 300), (257, 513), (40, 70)])
def test_patches_set_side_by_side_are_the_image(tmp_path, shape):
    codes = np.random.default_rng(0).integers(0, 16, shape, dtype=np.uint8)
    place = {"crs": "EPSG:32650", "transform": from_origin(300_000, 4_000_000, 3, 3)}
    with rasterio.open(tmp_path / "in.tif", "w", "GTiff", shape[1], shape[0], 3, dtype="uint8", **place) as file:
        file.write(np.stack([17 * codes] * 3))
    task = swath.create("deeptrinet", **_SMALL)
    task.net = _Reads()
    task.predict(tmp_path / "in.tif", tmp_path / "map.tif", tile=256, overlap=0.0, progress=False)
    with rasterio.open(tmp_path / "map.tif") as file:
        assert np.array_equal(file.read(1), codes)


@pytest.mark.slow
def test_the_published_layout_is_fitted_scored_and_mapped_from_the_command_line(tmp_path):
    place = make_world(seed=3, width=1000, height=1000, towns=100)
    aerial.gid15(place, tmp_path / "data", pictures=6, edge=80)
    recipe = "--patch 64 --batch 4 --epochs 2 --samples 24 --learning_rate 0.002 --accelerator cpu"
    run = tmp_path / "run"
    assert (
        main(["fit", "deeptrinet", str(tmp_path / "data"), "-o", str(run), "--encoder=test_resnet", *recipe.split()])
        == 0
    )
    assert main(["score", str(run), str(tmp_path / "data")]) == 0
    scene = tmp_path / "data/GID/img_dir/test/GF2_world_04.tif"
    assert main(["predict", str(run), str(scene), "-o", str(tmp_path / "map.tif")]) == 0
    with rasterio.open(tmp_path / "map.tif") as found, rasterio.open(scene) as original:
        assert (found.crs, found.transform, found.shape) == (original.crs, original.transform, original.shape)
        assert found.colormap(1)[9][:3] == swath.create("deeptrinet", **_SMALL).classes.colours[9]
