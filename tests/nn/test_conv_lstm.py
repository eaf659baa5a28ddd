"""ConvLSTM against numpy on single pixels, and what reaches its map."""

import numpy as np
import pytest
import torch

from swath.nn.conv_lstm import ConvLSTM, ConvLSTMCell


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_a_cell_is_the_equations_of_its_paper():
    torch.manual_seed(0)
    cell = ConvLSTMCell(3, 32, kernel=1).double()
    inputs = torch.randn(4, 1, 3, 1, 1, dtype=torch.float64)
    weight, bias = (p.detach().numpy() for p in (cell.conv[0].weight[:, :, 0, 0], cell.conv[0].bias))
    torch.nn.init.normal_(cell.conv[1].weight)
    torch.nn.init.normal_(cell.conv[1].bias)
    scale, shift = (p.detach().numpy() for p in (cell.conv[1].weight, cell.conv[1].bias))
    hidden = memory = np.zeros(32)
    with torch.no_grad():
        seen, (last, kept) = cell(inputs)
    for step, found in zip(inputs[:, 0, :, 0, 0].numpy(), seen[:, 0, :, 0, 0].numpy(), strict=True):
        gates = (weight @ np.concatenate([step, hidden]) + bias).reshape(4, 32)  # groups of 32 are the four gates
        gates = (gates - gates.mean(1, keepdims=True)) / np.sqrt(gates.var(1, keepdims=True) + 1e-5)
        enter, keep, new, leave = gates * scale.reshape(4, 32) + shift.reshape(4, 32)
        memory = sigmoid(keep) * memory + sigmoid(enter) * np.tanh(new)
        hidden = sigmoid(leave) * np.tanh(memory)
        np.testing.assert_allclose(found, hidden, atol=1e-12)
    np.testing.assert_allclose(last[0, :, 0, 0].numpy(), hidden, atol=1e-12)
    np.testing.assert_allclose(kept[0, :, 0, 0].numpy(), memory, atol=1e-12)


@pytest.mark.parametrize(("joined", "reaching"), [(True, 9_032_844), (False, 1_547_564)])
def test_how_much_of_it_reaches_the_map(joined, reaching):
    net = ConvLSTM(4, 12, joined)
    assert sum(p.numel() for p in net.parameters()) == 9_032_844
    net(torch.randn(1, 2, 4, 9, 9))[0, 3].sum().backward()
    # by hand, of the released: 592 + 512768 + 1024768 + 9232 + 204
    assert sum(p.numel() for p in net.parameters() if p.grad is not None) == reaching


@pytest.mark.parametrize("size", [(13, 21), (8, 13)])
def test_maps_of_any_size_are_log_probabilities(size):
    net = ConvLSTM(2, 3).eval()
    with torch.no_grad():
        found = net(torch.randn(2, 3, 2, *size))
    assert found.shape == (2, 3, *size)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(2, *size))


def test_what_lies_far_away_matters_only_where_levels_are_joined():
    torch.manual_seed(0)
    series = torch.randn(1, 1, 2, 40, 40)
    other = series.clone()
    other[..., 0, 0] += 100
    for joined, told in ((True, True), (False, False)):
        net = ConvLSTM(2, 3, joined).eval()
        # the normalisation of gates spans the picture; without it reach is that of the convolutions
        for module in net.modules():
            if isinstance(module, torch.nn.GroupNorm):
                module.forward = lambda x: x
        with torch.no_grad():
            assert (not torch.equal(net(series)[..., 12, 12], net(other)[..., 12, 12])) == told
