"""The LandCover.ai system: published weights of its encoder, what its builder refuses, and how well it maps."""

import pytest
import timm
import torch
from safetensors.torch import save_file

import swath
from swath.data.classes import Classes
from swath.errors import ConfigError, SwathError, WeightsError
from swath.nn.deeplab import ASPP
from swath.nn.dense_prediction_cell import DensePredictionCell
from swath.sensors.bands import Band, Bands

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
