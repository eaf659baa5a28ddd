"""First layers for other bands: exact where the bands are the same, derived by hand where they are not."""

import pytest
import timm
import torch

import swath
from swath.errors import WeightsError
from swath.nn.stem import adapt_stem, stem_name
from swath.sensors.bands import Band, Bands
from swath.sensors.catalogue import resolve

RGB = resolve("rgb")


def weight(seed=0, out=4, bands=3):
    return torch.randn(out, bands, 3, 3, generator=torch.Generator().manual_seed(seed))


def test_bands_in_another_order_give_the_same_answers():
    learned, image = weight(), torch.randn(2, 3, 8, 8)
    turned = Bands("rgb", tuple(RGB[i] for i in (2, 0, 1)))
    adapted = adapt_stem(learned, RGB, turned)
    expected = torch.nn.functional.conv2d(image, learned)
    assert torch.allclose(torch.nn.functional.conv2d(image[:, [2, 0, 1]], adapted), expected, atol=1e-6)
    assert torch.equal(adapt_stem(learned, RGB, RGB), learned)


def test_bands_of_another_sensor_are_known_by_name_and_wavelength():
    learned = weight()
    adapted = adapt_stem(learned, RGB, resolve("sentinel2_l2a", ["B04", "B08", "B02"]))
    assert torch.equal(adapted[:, 0], learned[:, 0])  # red
    assert torch.allclose(adapted[:, 1], learned.mean(1))  # 833 nm: none of the three is near
    assert torch.equal(adapted[:, 2], learned[:, 2])  # blue
    red_edge = Bands("custom", (Band("edge", "1", wavelength=705.0),))
    known = Bands("custom", (Band("a", "1", wavelength=560.0), Band("b", "1", wavelength=665.0)))
    assert torch.equal(adapt_stem(learned[:, :2], known, red_edge)[:, 0], 2 * learned[:, 1])


def test_a_scene_alike_in_all_bands_is_answered_as_strongly():
    learned = weight()
    many = Bands("custom", tuple(Band(f"x{i}", "1") for i in range(7)))
    grey = torch.randn(1, 1, 8, 8)
    before = torch.nn.functional.conv2d(grey.expand(1, 3, 8, 8), learned)
    after = torch.nn.functional.conv2d(grey.expand(1, 7, 8, 8), adapt_stem(learned, RGB, many))
    assert torch.allclose(after, before, atol=1e-5)


def test_a_layer_of_other_bands_is_refused():
    with pytest.raises(WeightsError, match="another number of bands"):
        adapt_stem(weight(bands=4), RGB, RGB)
    with pytest.raises(WeightsError, match="no convolution"):
        stem_name(torch.nn.Linear(2, 2))


def test_an_encoder_of_rgb_starts_a_network_of_four_bands(tmp_path):
    encoder = timm.create_model("resnet18", num_classes=1000)
    path = tmp_path / "resnet18.pth"
    torch.save(encoder.state_dict(), path)
    bands = resolve("sentinel2_l2a", ["B08", "B04", "B03", "B02"])
    net = swath.create("landcover_ai", encoder="resnet18", weights=path, bands=bands).net
    stem = dict(net.encoder.named_parameters())[stem_name(net.encoder)]
    assert torch.equal(stem[:, 1:], encoder.conv1.weight * 0.75)
    assert torch.allclose(stem[:, 0], encoder.conv1.weight.mean(1) * 0.75)
