"""ENet against counts and numbers derived by hand."""

import pytest
import torch
from torch.nn import functional

from swath.nn.enet import Bottleneck, Down, ENet, Up


def _parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_a_bottleneck_has_the_parameters_of_the_paper():
    # 64 -> 16 by 1x1, 16 -> 16 by 3x3, 16 -> 64 by 1x1; norms 2 a channel, PReLU 1 a channel
    assert _parameters(Bottleneck(64, 1, 0.01)) == 64 * 16 + 16 * 16 * 9 + 16 * 64 + 2 * (16 + 16 + 64) + 16 + 16 + 64
    # 5x1 and 1x5 in place of 3x3
    assert _parameters(Bottleneck(64, "asymmetric", 0.1)) == _parameters(Bottleneck(64, 1, 0.1)) + 16 * 16 * (10 - 9)
    # the decoder rectifies without parameters
    assert _parameters(Bottleneck(64, 1, 0.1, decodes=True)) == _parameters(Bottleneck(64, 1, 0.1)) - 96


def test_the_whole_has_about_the_parameters_that_the_paper_gives():
    assert 0.35e6 < _parameters(ENet(3, 12)) < 0.38e6  # 0.37 million, section 5.1


@pytest.mark.parametrize("bands", [1, 3, 13])
def test_logits_lie_on_the_pixels(bands):
    with torch.no_grad():
        assert ENet(bands, 5).eval()(torch.zeros(2, bands, 40, 64)).shape == (2, 5, 40, 64)


def test_maxima_come_back_where_they_were():
    torch.manual_seed(0)
    down, up = Down(4, 8, 0.0).eval(), Up(8, 4).eval()
    x = torch.randn(2, 4, 6, 8)
    with torch.no_grad():
        _, positions = down(x)
        for part in up.extension:
            if hasattr(part, "weight"):
                part.weight.zero_()  # what is left is the shortcut
        small = torch.rand(2, 8, 3, 4)
        found = up(small, positions)
        expected = functional.relu(functional.max_unpool2d(up.shortcut(small), positions, 2))
    torch.testing.assert_close(found, expected)
    assert ((found != 0).sum((2, 3)) <= 12).all()


def test_dilated_blocks_reach_as_far_as_they_say():
    torch.manual_seed(0)
    for kind, reach in ((1, 1), (2, 2), (16, 16), ("asymmetric", 2)):
        block = Bottleneck(8, kind, 0.0).eval()
        x = torch.zeros(1, 8, 41, 41, requires_grad=True)
        block(x)[0, :, 20, 20].sum().backward()
        rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
        assert (int(rows.min()), int(rows.max())) == (20 - reach, 20 + reach)
