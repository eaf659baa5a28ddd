"""Fusion of a series with an image: the ground that the image shows, and the mean of each patch."""

import pytest
import torch
from torch import nn
from torchvision.transforms.functional import center_crop

from swath.nn.series_fusion import SeriesFusion


def without_mean(published=False):
    fusion = SeriesFusion(2, 2, published).eval()
    nn.init.zeros_(fusion.collapsed[-1].weight)
    nn.init.zeros_(fusion.collapsed[-1].bias)
    fusion.cropped.weight.data = torch.eye(2)[:, :, None, None]
    nn.init.zeros_(fusion.cropped.bias)
    return fusion


def test_hidden_layers_are_evenly_between_as_published():
    layers = [m for m in SeriesFusion(32, 270).collapsed if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in layers] == [(32, 111), (111, 190), (190, 270)]
    assert [type(m) for m in SeriesFusion(32, 270).collapsed[:3]] == [nn.Linear, nn.Dropout, nn.ReLU]
    narrower = [m.out_features for m in SeriesFusion(64, 32).collapsed if isinstance(m, nn.Linear)]
    assert narrower == [54, 44, 32]
    assert [m.out_features for m in SeriesFusion(8, 8).collapsed if isinstance(m, nn.Linear)] == [16, 16, 8]


@torch.no_grad()
@pytest.mark.parametrize("share", [0.2, 0.37, 0.9])
def test_the_image_gets_the_ground_that_it_shows(share):
    """A map of its own coordinates, -1 to 1 from edge to edge, is sampled from -share to share."""
    axis = (torch.arange(64) + 0.5) / 32 - 1
    x = torch.stack([axis[:, None].expand(64, 64), axis.expand(64, 64)])[None]
    found = without_mean()(x, (40, 40), share)[0]
    expected = ((torch.arange(40) + 0.5) / 20 - 1) * share
    torch.testing.assert_close(found[0], expected[:, None].expand(40, 40), atol=1e-5, rtol=0)
    torch.testing.assert_close(found[1], expected.expand(40, 40), atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_published_cut_is_that_of_torchvision():
    x = torch.randn(1, 2, 128, 128)
    expected = nn.functional.interpolate(center_crop(x, [26, 26]), (128, 128), mode="bilinear")
    torch.testing.assert_close(without_mean(published=True)(x, (128, 128), 26 / 128), expected)


@torch.no_grad()
@pytest.mark.parametrize(("published", "same"), [(False, True), (True, False)])
def test_each_patch_has_its_own_mean_but_in_the_authors_code(published, same):
    torch.manual_seed(0)
    fusion, x = SeriesFusion(4, 6, published).eval(), torch.randn(3, 4, 16, 16)
    together = fusion(x, (8, 8), 0.5)
    alone = torch.cat([fusion(one[None], (8, 8), 0.5) for one in x])
    torch.testing.assert_close(together[:1], alone[:1])
    assert torch.allclose(together, alone, atol=1e-6) == same
