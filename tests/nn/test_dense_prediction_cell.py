"""The Dense Prediction Cell against a stack written with numpy, analytic extents, and costs derived by hand."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from swath.errors import ConfigError
from swath.nn.deeplab import ASPP
from swath.nn.dense_prediction_cell import CITYSCAPES_CELL, Branch, DensePredictionCell


def _normalised(x, norm):
    mean, var, weight, bias = (
        v.detach().numpy()[:, None, None] for v in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return np.maximum((x - mean) / np.sqrt(var + norm.eps) * weight + bias, 0)


def _atrous_depthwise(x, kernels, rates):
    padded = np.pad(x, ((0, 0), (rates[0], rates[0]), (rates[1], rates[1])))
    height, width = x.shape[1:]
    return sum(
        kernels[:, 0, i, j, None, None]
        * padded[:, i * rates[0] : i * rates[0] + height, j * rates[1] : j * rates[1] + width]
        for i in range(3)
        for j in range(3)
    )


def _pointwise(x, weight):
    return np.einsum("oc,chw->ohw", weight[:, :, 0, 0], x)


_ONES = tuple(Branch((1, 1), branch.source) for branch in CITYSCAPES_CELL)


@pytest.mark.parametrize(("cell", "multiplier"), [(_ONES, 1), (CITYSCAPES_CELL, 1), (CITYSCAPES_CELL, 2)])
def test_the_cell_is_the_stack_written_by_hand(cell, multiplier):
    torch.manual_seed(0)
    net = DensePredictionCell(6, 4, cell, multiplier).double().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.normal_(module.bias, std=0.1)
    features = np.random.default_rng(0).standard_normal((6, 40, 44))
    outputs = []
    for branch, wiring in zip(net.branches, cell, strict=True):
        x = features if wiring.source is None else outputs[wiring.source]
        rates = (wiring.rates[0] * multiplier, wiring.rates[1] * multiplier)
        x = _normalised(_atrous_depthwise(x, branch.depthwise.weight.detach().numpy(), rates), branch.depthwise_norm)
        outputs.append(_normalised(_pointwise(x, branch.pointwise.weight.detach().numpy()), branch.norm))
    joined = np.concatenate(outputs)
    expected = _normalised(_pointwise(joined, net.project.conv.weight.detach().numpy()), net.project.norm)
    found = net(torch.from_numpy(features)[None])[0].detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-10)


# Reach (rows, cols) to either side, from the wiring: branch 1 sees branch 0's reach and its own, and so on.
_REACH = [(1, 6), (1 + 18, 6 + 15), (1 + 18 + 6, 6 + 15 + 3), (1 + 1, 6 + 1), (1 + 6, 6 + 21)]


def test_an_impulse_shows_the_reach_of_every_branch():
    net = DensePredictionCell(2, 3).eval()
    for parameter in net.parameters():
        nn.init.ones_(parameter)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.zeros_(module.bias)
    seen = []
    for branch in net.branches:
        branch.register_forward_hook(lambda _m, _i, output: seen.append(output[0, 0].detach() > 0))
    impulse = torch.zeros(1, 2, 101, 101)
    impulse[..., 50, 50] = 1
    net(impulse)
    for found, (rows, cols) in zip(seen, _REACH, strict=True):
        where = found.nonzero() - 50
        assert where.min(0).values.tolist() == [-rows, -cols]
        assert where.max(0).values.tolist() == [rows, cols]
    assert int(seen[0].sum()) == 9  # three rows at -1, 0, 1 times three columns at -6, 0, 6
    assert int(seen[1].sum()) == 9 * 9  # no two of the 81 sums of (±1, ±6) and (±18, ±15) coincide


def test_the_cell_costs_a_third_of_the_pyramid_that_it_replaces(capsys):
    features, width, pixels = 2048, 256, 33 * 33
    cell, pyramid = DensePredictionCell(features, width), ASPP(features, width)
    # Weights of: 3x3 depthwise, its norm, 1x1, its norm (a norm has two numbers a channel).
    separable = {c: 9 * c + 2 * c + c * width + 2 * width for c in (features, width)}
    pointwise = features * width + 2 * width
    project = 5 * width * width + 2 * width
    by_hand = (separable[features] + 4 * separable[width] + project) / (
        3 * separable[features] + 2 * pointwise + project
    )
    parameters = [sum(p.numel() for p in net.parameters()) for net in (cell, pyramid)]
    assert parameters[0] / parameters[1] == pytest.approx(by_hand, rel=1e-12)

    flops = []
    for net in (cell, pyramid):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net.eval()(torch.zeros(1, features, 33, 33))
        flops.append(counter.get_total_flops())
    products = {c: 9 * c + c * width for c in (features, width)}
    cell_products = pixels * (products[features] + 4 * products[width] + 5 * width * width)
    pyramid_products = pixels * (3 * products[features] + features * width + 5 * width * width) + features * width
    assert flops == [2 * cell_products, 2 * pyramid_products]
    with capsys.disabled():
        print(f"\nDPC / ASPP: parameters {by_hand:.3f}, operations {flops[0] / flops[1]:.3f}")
    assert by_hand < 0.5
    assert flops[0] / flops[1] < 0.5


def test_a_branch_that_works_on_a_later_one_is_refused():
    with pytest.raises(ConfigError, match="later"):
        DensePredictionCell(8, 4, (Branch((1, 1), None), Branch((1, 1), 1)))
