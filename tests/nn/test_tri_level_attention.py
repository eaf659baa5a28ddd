"""Tri-level attention: what each gate may depend on, against numpy, and by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from swath.errors import ConfigError
from swath.nn.tri_level_attention import TriLevelAttention


@pytest.fixture
def x():
    return torch.randn(3, 8, 5, 7, generator=torch.Generator().manual_seed(0))


def _attention(fusion):
    torch.manual_seed(1)
    return TriLevelAttention(8, fusion, reduction=4).eval()


def _sigmoid(values):
    return 1 / (1 + np.exp(-values))


def _conv(conv, values):
    weight, bias = conv.weight.detach().numpy()[:, :, 0, 0], conv.bias.detach().numpy()
    return np.einsum("oc,bchw->bohw", weight, values) + bias[:, None, None]


@pytest.mark.parametrize("fusion", ["sum_conv", "sequential"])
def test_it_is_the_formula_in_numpy(x, fusion):
    net, values = _attention(fusion), x.numpy()
    hidden = np.maximum(_conv(net.channel[0], values.mean((2, 3), keepdims=True)), 0)
    channel = _sigmoid(_conv(net.channel[2], hidden))
    spatial, pixel = _sigmoid(_conv(net.spatial, values)), _sigmoid(_conv(net.pixel, values))
    if fusion == "sequential":
        expected = values * channel * spatial * pixel
    else:
        every = np.concatenate([values * channel, values * spatial, values * pixel], 1)
        weight = net.join.conv.weight.detach().numpy()[:, :, 0, 0]
        joined = np.einsum("oc,bchw->bohw", weight, every) / np.sqrt(1 + net.join.norm.eps)  # a new norm: mean 0, var 1
        expected = values + np.maximum(joined, 0)
    with torch.no_grad():
        np.testing.assert_allclose(net(x).numpy(), expected, atol=1e-5)


def test_gates_are_of_channels_of_places_and_of_numbers(x):
    channel, spatial, pixel = _attention("sequential").gates(x)
    assert (channel.shape, spatial.shape, pixel.shape) == ((3, 8, 1, 1), (3, 1, 5, 7), (3, 8, 5, 7))


def test_gates_without_weights_are_a_half(x):
    net = _attention("sequential")
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    torch.testing.assert_close(net(x), x / 8)  # three gates of sigmoid(0)


@pytest.mark.parametrize("fusion", ["sum_conv", "sequential"])
def test_every_gate_learns_and_images_do_not_mix(x, fusion):
    net = _attention(fusion)
    net(x).square().sum().backward()
    for gate in (net.channel[0], net.channel[2], net.spatial, net.pixel):
        assert gate.weight.grad.abs().sum() > 0
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(net(x[order]), net(x)[order])


def test_an_unknown_fusion_is_refused():
    with pytest.raises(ConfigError, match="no such fusion"):
        TriLevelAttention(8, "product")
