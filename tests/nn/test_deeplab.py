"""DeepLabv3+ against segmentation_models_pytorch and timm; alignment against an analytic ramp."""

from types import SimpleNamespace

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from torch import nn

from swath.errors import ConfigError
from swath.nn.deeplab import ASPP, DeepLabV3Plus, decoder_blocks, separable_block, timm_encoder


def _randomise(net: nn.Module) -> None:
    """Give batch normalisation statistics that matter."""
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(0.1 * torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=generator))
            module.weight.data.copy_(0.5 + torch.rand(module.num_features, generator=generator))
            module.bias.data.copy_(0.1 * torch.randn(module.num_features, generator=generator))


@pytest.mark.parametrize("output_stride", [16, 8])
def test_same_weights_give_the_logits_of_segmentation_models_pytorch(output_stride):
    rates = (12, 24, 36)
    oracle = smp.DeepLabV3Plus(
        "tu-resnet18", encoder_weights=None, encoder_output_stride=output_stride, decoder_atrous_rates=rates, classes=5
    ).eval()
    _randomise(oracle)
    encoder = timm_encoder("resnet18", 3, output_stride)
    net = DeepLabV3Plus(
        encoder,
        nn.Sequential(ASPP(512, 256, rates, split=False), separable_block(256, 256, split=False)),
        separable_block(256 + 48, 256, split=False),
        classes=5,
        aligned=False,
    ).eval()
    encoder.load_state_dict({k.removeprefix("model."): v for k, v in oracle.encoder.state_dict().items()})
    published = oracle.decoder.state_dict() | oracle.segmentation_head.state_dict()
    own = {k: v for k, v in net.state_dict().items() if not k.startswith("encoder.")}
    assert [v.shape for v in own.values()] == [v.shape for v in published.values()]
    net.load_state_dict(dict(zip(own, published.values(), strict=True)), strict=False)
    image = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(net(image), oracle(image), atol=1e-5, rtol=1e-5)


class _Picks(nn.Module):
    """An encoder whose features are the input's pixels at multiples of the stride."""

    feature_info = SimpleNamespace(reduction=lambda: [4, 16], channels=lambda: [1, 1])

    def forward(self, x):
        return [x[..., ::4, ::4], x[..., ::16, ::16]]


class _Coarse(nn.Module):
    """A decoder that keeps the context's channel."""

    def forward(self, x):
        return x[:, :1]


def _interpolator(aligned):
    net = DeepLabV3Plus(_Picks(), nn.Identity(), _Coarse(), classes=1, channels=1, aligned=aligned)
    nn.init.ones_(net.classify.weight)
    nn.init.zeros_(net.classify.bias)
    return net.eval()


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (70, 33), (16, 1)])
def test_logits_lie_on_the_pixels_that_they_speak_of(size):
    rows, cols = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    ramp = (3.0 * rows + 5.0 * cols)[None, None]
    result = _interpolator(aligned=True)(ramp)
    assert result.shape == ramp.shape
    inside = result[..., : 16 * ((size[0] - 1) // 16) + 1, : 16 * ((size[1] - 1) // 16) + 1]
    torch.testing.assert_close(inside, ramp[..., : inside.shape[2], : inside.shape[3]], atol=1e-3, rtol=0)


def test_without_alignment_a_ramp_is_displaced_by_almost_a_stride():
    ramp = torch.arange(64.0).expand(1, 1, 64, 64)
    with torch.no_grad():
        displaced = (ramp - _interpolator(aligned=False)(ramp)).abs().max()
    assert float(displaced) == pytest.approx(15.0, abs=1e-3)


@pytest.mark.parametrize("output_stride", [16, 8])
def test_xception71_gives_the_features_of_the_whole_timm_network(output_stride):
    torch.manual_seed(0)
    whole = timm.create_model("xception71", output_stride=output_stride).eval()
    encoder = timm_encoder("xception71", 3, output_stride).eval()
    features = {k.replace(".", "_", 1): v for k, v in whole.state_dict().items() if not k.startswith("head.")}
    encoder.load_state_dict(features)
    image = torch.randn(1, 3, 65, 81)
    with torch.no_grad():
        expected = whole.forward_intermediates(image, intermediates_only=True)
        found = encoder(image)
    assert encoder.feature_info.channels() == [128, 256, 728, 1024, 2048]
    assert found[-1].shape[2:] == (64 // output_stride + 1, 80 // output_stride + 1)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_a_gate_stands_after_every_branch_of_the_pyramid():
    torch.manual_seed(0)
    plain, closed = ASPP(8, 4).eval(), ASPP(8, 4, gate=lambda channels: _Gate(channels)).eval()
    gates = [m for m in closed.modules() if isinstance(m, _Gate)]
    assert len(gates) == 5
    x = torch.randn(1, 8, 20, 20)
    closed.load_state_dict(dict(zip(closed.state_dict(), plain.state_dict().values(), strict=True)))
    torch.testing.assert_close(closed(x), plain(x))
    for gate in gates:
        gate.factor = 0.0
    assert closed(x).var(dim=(2, 3)).max() == 0


class _Gate(nn.Module):
    factor = 1.0

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, x):
        assert x.shape[1] == self.channels
        return x * self.factor


def test_images_of_any_size_and_any_number_of_bands_are_taken_and_every_weight_learns():
    net = DeepLabV3Plus(timm_encoder("test_resnet", 4, 16), ASPP(96, 32), decoder_blocks(32), classes=3, channels=32)
    logits = net.eval()(torch.zeros(1, 4, 37, 50))
    assert logits.shape == (1, 3, 37, 50)
    net.train()(torch.randn(2, 4, 64, 64)).mean().backward()
    assert all(p.grad is not None for p in net.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("name", "stride", "message"),
    [
        ("resnet", 16, "no such encoder"),
        ("nope", 16, "no such encoder"),
        ("resnet18", 32, "output stride"),
        ("vit_tiny_patch16_224", 16, "does not suit dilation"),
        ("vgg11", 16, "does not suit dilation"),
    ],
)
def test_an_encoder_that_does_not_fit_is_refused(name, stride, message):
    with pytest.raises(ConfigError, match=message):
        timm_encoder(name, 3, stride)
