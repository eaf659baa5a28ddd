"""U-TAE and its attention over time: sizes, formulas by hand, and what padded, swapped and dated images may change."""

import math

import numpy as np
import pytest
import torch

from swath.nn.utae import UTAE, LTAE2d, positions, weigh

SMALL = {"encoder": (8, 8, 16), "decoder": (8, 8, 16), "heads": 4, "inner": 16, "key": 2}


def series(length=5, channels=3, size=16, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(batch, length, channels, size, size, generator=generator)
    dates = 18_262 + 30 * torch.arange(length).expand(batch, -1)
    return values, torch.ones(batch, length, dtype=torch.bool), dates


def small(**options):
    torch.manual_seed(1)
    net = UTAE(3, **SMALL, **options).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return net


def test_it_has_the_published_number_of_parameters():
    assert sum(p.numel() for p in UTAE(14, 20).parameters()) == 1_089_564
    assert UTAE(14).classify is None


@torch.no_grad()
def test_features_get_finer_and_narrower():
    values, counts, dates = series()
    maps = small()(values, counts, dates)
    assert [tuple(m.shape) for m in maps] == [(2, 16, 4, 4), (2, 8, 8, 8), (2, 8, 16, 16)]


@torch.no_grad()
@pytest.mark.parametrize(("masked", "same"), [(True, True), (False, False)])
def test_padded_dates_change_nothing_but_in_the_authors_code(masked, same):
    """Their attention normalises features over time, padded dates included."""
    net = small(masked=masked)
    values, counts, dates = series()
    longer = torch.cat([values, torch.zeros(2, 3, 3, 16, 16)], 1)
    padded = torch.cat([counts, torch.zeros(2, 3, dtype=torch.bool)], 1)
    later = torch.cat([dates, torch.zeros(2, 3, dtype=torch.long)], 1)
    apart = (net(values, counts, dates)[-1] - net(longer, padded, later)[-1]).abs().max()
    assert (apart < 1e-5) == same


@torch.no_grad()
def test_order_is_seen_by_dates_only():
    net, (values, counts, dates) = small(), series()
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(net(values, counts)[-1], net(values[:, order], counts)[-1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        net(values, counts, dates)[-1], net(values[:, order], counts, dates[:, order])[-1], atol=1e-5, rtol=1e-5
    )
    assert (net(values, counts, dates)[-1] - net(values[:, order], counts, dates)[-1]).abs().max() > 1e-3


@torch.no_grad()
def test_a_batch_is_its_samples():
    net, (values, counts, dates) = small(), series()
    counts[1, 3:] = False
    values[1, 3:] = 0
    together = net(values, counts, dates)[-1]
    for i in range(2):
        torch.testing.assert_close(together[i : i + 1], net(values[i : i + 1], counts[i : i + 1], dates[i : i + 1])[-1])


@torch.no_grad()
def test_a_series_of_nothing_gives_numbers():
    values, counts, dates = series()
    assert small()(0 * values, ~counts, dates)[-1].isfinite().all()


@torch.no_grad()
def test_attention_at_one_pixel_by_hand():
    """L-TAE with numpy: group norm over channels and time, projection, keys, one query a head, softmax, values."""
    torch.manual_seed(0)
    net = LTAE2d(4, heads=2, inner=6, key=3).eval()
    x = torch.randn(1, 3, 4, 1, 1)
    out, weights = net(x, torch.ones(1, 3, dtype=torch.bool))
    v = x[0, :, :, 0, 0].numpy()
    groups = v.reshape(3, 2, 2)
    normal = (groups - groups.mean((0, 2), keepdims=True)) / np.sqrt(groups.var((0, 2), keepdims=True) + 1e-5)
    wide = normal.reshape(3, 4) @ net.widen.weight.numpy().T + net.widen.bias.numpy()
    keys = (wide @ net.keys.weight.numpy().T + net.keys.bias.numpy()).reshape(3, 2, 3)
    found = []
    for head in range(2):
        score = np.exp(keys[:, head] @ net.query.numpy()[head] / math.sqrt(3))
        score /= score.sum()
        np.testing.assert_allclose(weights[head, 0, :, 0, 0].numpy(), score, atol=1e-6)
        found.append(score @ wide.reshape(3, 2, 3)[:, head])
    mixed = np.maximum(
        (np.concatenate(found) @ net.mix[0].weight.numpy().T + net.mix[0].bias.numpy()) / np.sqrt(1 + 1e-5), 0
    )
    pairs = mixed.reshape(2, 2)
    expected = (pairs - pairs.mean(1, keepdims=True)) / np.sqrt(pairs.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(out[0, :, 0, 0].numpy(), expected.ravel(), atol=1e-4)


def test_skips_are_weighed_group_by_group():
    x, weights = torch.randn(1, 3, 4, 8, 8), torch.rand(2, 1, 3, 4, 4)
    found = weigh(x, weights)
    for head in range(2):
        fine = torch.nn.functional.interpolate(weights[head], (8, 8), mode="bilinear", align_corners=False)
        expected = sum(fine[:, t, None] * x[:, t, 2 * head : 2 * head + 2] for t in range(3))
        torch.testing.assert_close(found[:, 2 * head : 2 * head + 2], expected)


def test_positions_are_sines_of_the_day_of_the_year():
    counts = torch.ones(1, 2, dtype=torch.bool)
    day = (np.array(["2020-05-01", "2021-02-01"], "datetime64[D]") - np.datetime64("1970-01-01")).astype(int)
    found = positions(torch.from_numpy(day)[None], counts, 16)[0]
    since = day - (np.datetime64("2020-01-01") - np.datetime64("1970-01-01")).astype(int)
    for channel in range(16):
        angle = since / 1000 ** (2 * (channel // 2) / 16)
        expected = np.sin(angle) if channel % 2 == 0 else np.cos(angle)
        slack = 1.0 / 1000 ** (2 * (channel // 2) / 16)  # New Year of a mean year is off by up to a day
        assert np.abs(found[:, channel].numpy() - expected).max() <= slack + 1e-4
    other = positions(torch.tensor([[0, day[0]]]), torch.tensor([[False, True]]), 16)[0, 1]
    torch.testing.assert_close(other, found[0])
