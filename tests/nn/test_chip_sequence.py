"""Encoders of chips and of sequences: shapes, what each way sees, and what it must not see."""

import pytest
import torch

from swath.errors import ConfigError
from swath.nn.chip_encoder import ChipTransformer
from swath.nn.chip_sequence import aggregate, sequence_encoder

WAYS = ("stacked", "last", "mean", "concatenate", "difference", "mean_variance", "transformer")


def test_frames_by_hand():
    features = torch.tensor([[[1.0, 2.0], [4.0, 2.0], [4.0, 8.0]]])
    assert aggregate(features, "last").tolist() == [[4, 8]]
    assert aggregate(features, "mean").tolist() == [[3, 4]]
    assert aggregate(features, "concatenate").tolist() == [[1, 2, 4, 2, 4, 8]]
    assert aggregate(features, "difference").tolist() == [[1, 2, 3, 0, 0, 6]]
    assert aggregate(features, "mean_variance").tolist() == [[3, 4, 2, 8]]
    assert aggregate(features[:, :1], "difference").tolist() == [[1, 2]]
    with pytest.raises(ConfigError, match="put together so"):
        aggregate(features, "transformer")


@pytest.mark.parametrize("backbone", ["convolutions", "peaks", "transformer"])
@pytest.mark.parametrize("how", WAYS)
def test_shapes_and_gradients(backbone, how):
    torch.manual_seed(0)
    net = sequence_encoder(3, 2, 16, backbone, how)
    images = torch.randn(4, 3, 2, 20, 20, requires_grad=True)
    told = net(images)
    assert told.shape == (4, 16)
    told[:, 0].sum().backward()
    seen = images.grad.abs().sum(dim=(0, 2, 3, 4)) > 0
    assert seen.tolist() == ([False, False, True] if how == "last" else [True] * 3)


@pytest.mark.parametrize("how", WAYS)
def test_the_order_of_frames_matters_but_to_means(how):
    torch.manual_seed(0)
    net = sequence_encoder(3, 2, 16, "convolutions", how).eval()
    images = torch.randn(2, 3, 2, 12, 12)
    same = torch.allclose(net(images), net(images.flip(1)), atol=1e-5)
    assert same == (how in ("mean", "mean_variance"))


def test_a_transformer_takes_chips_of_any_size_and_sees_every_pixel():
    torch.manual_seed(0)
    net = ChipTransformer(2, 16, patch=8)
    images = torch.randn(1, 1, 2, 35, 35, requires_grad=True)
    net(images)[:, 0].sum().backward()
    assert (images.grad.abs().sum(dim=(0, 1, 2)) > 0).all()


def test_a_transformer_tells_where_things_are():
    torch.manual_seed(0)
    net = ChipTransformer(1, 16, patch=8).eval()
    with torch.no_grad():  # as they are drawn, weights are so small that attention is even
        for part in net.parameters():
            part.mul_(10)
    image = torch.zeros(1, 1, 1, 24, 24)
    image[..., :8, :8] = 1
    image[..., 8:16, :8] = -1
    moved = image.roll(8, dims=-1).roll(8, dims=-2).flip(-2)
    assert not torch.allclose(net(image), net(moved), atol=1e-4)


@pytest.mark.parametrize(
    ("width", "backbone", "how"), [(12, "transformer", "mean"), (8, "lstm", "mean"), (8, "convolutions", "sum")]
)
def test_what_there_is_not_is_refused(width, backbone, how):
    with pytest.raises(ConfigError):
        sequence_encoder(2, 1, width, backbone, how)
