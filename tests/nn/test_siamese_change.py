"""FUSU-Net: what must follow from its symmetry, and HRNet as it is in timm."""

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional

from swath.errors import ConfigError
from swath.nn.hrnet import HRNet
from swath.nn.siamese_change import SiameseChange

ENCODER = "hrnet_w18_small"


def inputs(batch=2, size=64, dates=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    image = {name: torch.randn(batch, 3, size, size, generator=generator) for name in ("before", "after")}
    valid = torch.ones(batch, dates, 32, 32, dtype=torch.bool)
    values = torch.randn(batch, dates, 4, 32, 32, generator=generator)
    days = 18_000 + 40 * torch.arange(dates).expand(batch, -1)
    return image, {"monthly": {"values": values, "valid": valid, "dates": days}}


@pytest.fixture(scope="module")
def nets():
    torch.manual_seed(0)
    made = {
        "corrected": SiameseChange(ENCODER, 3, 5, 4, 0.5 / 320).eval(),
        "published": SiameseChange(ENCODER, 3, 5, 4, 0.5 / 320, "fcn", dated=False, published=True).eval(),
        "images": SiameseChange(ENCODER, 3, 5, None, 0.5 / 320).eval(),
    }
    for name in ("corrected", "published"):
        made[name].fusion.collapsed[-1].weight.data *= 50  # so that the mean over the series says something
    return made


@torch.no_grad()
@pytest.mark.parametrize("name", ["corrected", "published", "images"])
def test_swapped_dates_swap_the_maps_and_leave_the_change(nets, name):
    image, series = inputs()
    there = nets[name](image, series)
    back = nets[name]({"before": image["after"], "after": image["before"]}, series)
    assert there.before.shape == (2, 5, 64, 64)
    assert there.change.shape == (2, 64, 64)
    torch.testing.assert_close(there.before, back.after)
    torch.testing.assert_close(there.after, back.before)
    torch.testing.assert_close(there.change, back.change)


@torch.no_grad()
def test_two_times_the_same_image_has_one_change_everywhere(nets):
    """But for the frame where the head's convolution meets its padding."""
    image, series = inputs()
    found = nets["corrected"]({"before": image["before"], "after": image["before"]}, series)
    torch.testing.assert_close(found.before, found.after)
    inner = found.change[:, 12:-12, 12:-12]
    torch.testing.assert_close(inner, inner[:1, :1, :1].expand_as(inner), atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(("name", "same"), [("corrected", True), ("published", False)])
def test_a_batch_is_its_samples_but_in_the_authors_code(nets, name, same):
    image, series = inputs()
    together = nets[name](image, series)
    alone = nets[name](
        {layer: one[1:] for layer, one in image.items()},
        {"monthly": {key: one[1:] for key, one in series["monthly"].items()}},
    )
    assert torch.allclose(together.before[1:], alone.before, atol=1e-4) == same


@torch.no_grad()
def test_only_the_series_tells_what_the_series_tells(nets):
    image, series = inputs()
    other = {"monthly": {**series["monthly"], "values": -series["monthly"]["values"]}}
    found, changed = nets["corrected"](image, series), nets["corrected"](image, other)
    assert (found.before - changed.before).abs().max() > 1e-4
    assert (found.series - changed.series).abs().max() > 1e-4
    torch.testing.assert_close(found.change, changed.change, atol=1e-4, rtol=0)  # it cancels between the dates
    assert nets["images"](image, series).series is None


@torch.no_grad()
def test_hrnet_is_timms_with_its_resolutions_side_by_side():
    torch.manual_seed(0)
    ours = HRNet(ENCODER, 3, smooth=False).eval()
    oracle = timm.create_model(ENCODER, features_only=True, feature_location="").eval()
    oracle.load_state_dict(ours.net.state_dict())
    image = torch.randn(1, 3, 64, 96)
    features = oracle(image)[1:]
    sides = [functional.interpolate(f, features[0].shape[-2:], mode="bilinear", align_corners=True) for f in features]
    torch.testing.assert_close(ours(image), torch.cat(sides, 1))
    assert ours.out_channels == sum(f.shape[1] for f in features)
    assert HRNet("hrnet_w18", 3).out_channels == 270
    with pytest.raises(ConfigError, match="no such HRNet"):
        HRNet("resnet18", 3)


@torch.no_grad()
def test_the_authors_enlarge_bilinearly_inside():
    torch.manual_seed(0)
    ours = HRNet(ENCODER, 3)
    enlarging = [m for m in ours.net.modules() if isinstance(m, nn.Upsample)]
    assert enlarging
    assert {(m.mode, m.align_corners) for m in enlarging} == {("bilinear", True)}
