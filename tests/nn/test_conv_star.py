"""ConvSTAR against numpy on single pixels."""

import numpy as np
import torch

from swath.nn.conv_star import ConvSTAR, ConvSTARCell


def test_it_is_the_equations_of_its_paper():
    torch.manual_seed(0)
    net = ConvSTAR(2, 3, hidden=4, layers=2).double().eval()
    series = torch.randn(1, 5, 2, 1, 1, dtype=torch.float64)
    states = [np.zeros(4), np.zeros(4)]
    for x in series[0, :, :, 0, 0].numpy():
        for number, cell in enumerate(net.cells):
            # of a 3x3 kernel, the middle sees the only pixel
            gate = cell.gate.weight[:, :, 1, 1].detach().numpy() @ np.concatenate([x, states[number]])
            gate = 1 / (1 + np.exp(-(gate + cell.gate.bias.detach().numpy())))
            new = np.tanh(cell.update.weight[:, :, 1, 1].detach().numpy() @ x + cell.update.bias.detach().numpy())
            x = states[number] = gate * states[number] + (1 - gate) * new
    logits = net.head.weight[:, :, 0, 0].detach().numpy() @ states[-1] + net.head.bias.detach().numpy()
    with torch.no_grad():
        np.testing.assert_allclose(net(series)[0, :, 0, 0], logits - np.log(np.exp(logits).sum()), atol=1e-12)


def test_a_new_cell_keeps_what_it_knows():
    cell = ConvSTARCell(4, 8)
    assert (cell.gate.bias == 1).all()
    assert (cell.update.bias == 0).all()
    rows = cell.update.weight.flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(8), atol=1e-5, rtol=0)


def test_parameters_are_the_published():
    assert sum(p.numel() for p in ConvSTAR(4, 12).parameters()) == 263_820
