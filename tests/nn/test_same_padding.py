"""TensorFlow's `SAME` padding: impulses and hand-made cases."""

import pytest
import torch

from swath.nn.same_padding import SameConv2d, SameMaxPool2d, same_padding


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [(8, 3, 2, (0, 1)), (7, 3, 2, (1, 1)), (8, 3, 1, (1, 1)), (8, 1, 2, (0, 0)), (5, 1, 2, (0, 0)), (8, 4, 2, (1, 1))],
)
def test_padding_by_hand(size, kernel, stride, expected):
    assert same_padding(size, kernel, stride) == expected


def _counting(conv):
    """Each tap of the kernel has its own power of two."""
    with torch.no_grad():
        conv.weight[:] = 2.0 ** torch.arange(9).reshape(1, 1, 3, 3)
        conv.bias[:] = 0
    return conv.double()


def test_an_impulse_shows_where_the_window_lies():
    """On an even size the window of output 0 covers pixels 0, 1, 2; `padding=1` of torch would cover -1, 0, 1."""
    conv = _counting(SameConv2d(1, 1, 3, stride=2))
    image = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    image[..., 0, 0] = 1
    out = conv(image)
    assert out.shape == (1, 1, 4, 4)
    assert out[0, 0, 0, 0] == 1  # the first tap
    assert out.sum() == 1
    torch_way = torch.nn.functional.conv2d(image, conv.weight, stride=2, padding=1)
    assert torch_way[0, 0, 0, 0] == 2**4  # the middle tap

    image = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    image[..., 7, 7] = 1
    out = conv(image)
    assert out[0, 0, 3, 3] == 2**4  # pixels 6, 7 and one of padding
    assert out.sum() == 2**4


def test_odd_sizes_are_padded_on_both_sides():
    conv = _counting(SameConv2d(1, 1, 3, stride=2))
    image = torch.zeros(1, 1, 7, 7, dtype=torch.float64)
    image[..., 0, 0] = 1
    out = conv(image)
    assert out.shape == (1, 1, 4, 4)
    assert out[0, 0, 0, 0] == 2**4


def test_padding_never_wins_a_maximum():
    out = SameMaxPool2d(3, 2)(torch.full((1, 1, 4, 4), -5.0))
    assert (out == -5).all()
    ramp = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert SameMaxPool2d(3, 2)(ramp).flatten().tolist() == [10, 11, 14, 15]
