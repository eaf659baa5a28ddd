"""The network of single pixels."""

import pytest
import torch

from swath.nn.pixel_network import PixelNetwork


@pytest.mark.parametrize(("channels", "count"), [(8, 45_701), (10, 46_213), (16, 47_749), (18, 48_261)])
def test_counts_are_the_published_ones(channels, count):
    assert sum(p.numel() for p in PixelNetwork(channels, 5).parameters()) == count


def test_a_pixel_sees_no_other_pixel():
    net = PixelNetwork(3, 2).eval()
    image = torch.randn(1, 3, 5, 7)
    with torch.no_grad():
        whole = net(image)
        alone = net(image[:, :, 2:3, 4:5])
    torch.testing.assert_close(whole[:, :, 2:3, 4:5], alone)


def test_dropout_is_by_unit_and_only_in_training():
    torch.manual_seed(0)
    net = PixelNetwork(3, 2)
    net.eval()
    image = torch.randn(1, 3, 2, 2)
    torch.testing.assert_close(net(image), net(image))
    net.train()
    dropped = (net[2](net[1](net[0](torch.ones(1, 3, 200, 200)))) == 0).float().mean((0, 2, 3))
    on = dropped < 0.9  # units that the rectifier leaves on
    assert dropped[on].mean().item() == pytest.approx(0.2, abs=0.01)
