"""Networks of sequences and the U-Net of series: published parameters, and what each must and must not tell apart."""

import numpy as np
import pytest
import torch

from swath.errors import ConfigError
from swath.nn.sequence_lstm import SequenceLSTM
from swath.nn.sequence_transformer import SequenceTransformer
from swath.nn.series_unet import SeriesUNet
from swath.nn.temp_cnn import PixelTempCNN, TempCNN


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (lambda: SeriesUNet(24, 12), 1_878_220),
        (lambda: SequenceLSTM(26, 11), 15_341_579),
        (lambda: TempCNN(26, 11, 7), 719_755),
        (lambda: SequenceTransformer(26, 11), 171_927),
    ],
)
def test_parameters_are_the_published(make, parameters):
    assert sum(p.numel() for p in make().parameters()) == parameters


def test_a_temporal_convolution_is_that_of_numpy():
    torch.manual_seed(0)
    net = TempCNN(1, 3, 9, hidden=1, kernel=3, dropout=0.5).double().eval()
    series = torch.rand(2, 9, 1, dtype=torch.float64)
    expected = series[..., 0].numpy()
    for block in net.blocks:
        kernel, bias = block[0].weight[0, 0].detach().numpy(), block[0].bias.item()
        convolved = np.stack([np.correlate(row, kernel, "same") for row in expected]) + bias
        expected = np.maximum(convolved / np.sqrt(1 + 1e-5), 0)
    weight, bias = net.dense[0].weight.detach().numpy(), net.dense[0].bias.detach().numpy()
    expected = np.maximum((expected @ weight.T + bias) / np.sqrt(1 + 1e-5), 0)
    expected = expected @ net.head.weight.detach().numpy().T + net.head.bias.detach().numpy()
    with torch.no_grad():
        found = net(series).numpy()
    np.testing.assert_allclose(found, expected - np.log(np.exp(expected).sum(1, keepdims=True)), atol=1e-10)


def test_on_images_it_sees_each_pixel_by_itself():
    torch.manual_seed(0)
    net = PixelTempCNN(TempCNN(2, 3, 4, hidden=8)).eval()
    series = torch.randn(2, 4, 2, 3, 5)
    with torch.no_grad():
        found = net(series)
        torch.testing.assert_close(found[1, :, 2, 4], net.net(series[1, :, :, 2, 4][None])[0])
    assert found.shape == (2, 3, 3, 5)


def test_positions_are_those_of_the_paper():
    table = SequenceTransformer(6, 3).positions.table
    assert table.shape == (1, 30, 6)
    by_hand = [np.sin(2), np.cos(2), np.sin(2 / 10_000 ** (1 / 3)), np.cos(2 / 10_000 ** (1 / 3))]
    np.testing.assert_allclose(table[0, 2, :4], by_hand, atol=1e-6)


@pytest.mark.parametrize(
    "make", [lambda: SequenceLSTM(4, 3, 8), lambda: SequenceTransformer(4, 3), lambda: TempCNN(4, 3, 5)]
)
def test_the_order_of_steps_matters(make):
    torch.manual_seed(0)
    net, series = make().eval(), torch.randn(2, 5, 4)
    with torch.no_grad():
        assert not torch.allclose(net(series), net(series.flip(1)))


def test_a_transformer_needs_an_even_width():
    with pytest.raises(ConfigError, match="width"):
        SequenceTransformer(1, 3)
    with torch.no_grad():
        assert SequenceTransformer(1, 3, width=8).eval()(torch.randn(2, 5, 1)).shape == (2, 3)


@pytest.mark.parametrize("size", [(61, 61), (5, 7)])
def test_a_unet_takes_any_size_with_or_without_an_axis_of_time(size):
    net = SeriesUNet(6, 3, width=8).eval()
    series = torch.randn(2, 3, 2, *size)
    with torch.no_grad():
        found = net(series)
        assert torch.equal(found, net(series.reshape(2, 6, *size)))
    assert found.shape == (2, 3, *size)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(2, *size))


def test_a_unet_joins_what_stands_at_one_place():
    """With 61 pixels, halves are 30 and 15: what comes up is padded by one at the end, as in the release."""
    net = SeriesUNet(1, 2, width=4, levels=2).eval()
    skip, below = torch.zeros(1, 4, 61, 61), torch.ones(1, 8, 30, 30)
    up = net.up[0]
    torch.nn.init.ones_(up.upsample.weight)
    torch.nn.init.zeros_(up.upsample.bias)
    seen = []
    up.conv.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        up(below, skip)
    assert (seen[0][0, 4:, :60, :60] == 8).all()
    assert (seen[0][0, 4:, 60] == 0).all()
    assert (seen[0][0, :4] == 0).all()
