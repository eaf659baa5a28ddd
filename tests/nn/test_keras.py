"""Keras's conventions: separable convolution and files of weights."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from swath.errors import ReadError, WeightsError
from swath.nn.keras import SeparableConv2d, load_weight_list
from swath.nn.pixel_network import PixelNetwork


def test_a_separable_convolution_has_one_bias():
    # 9 a channel, one a pair of channels, one a filter: 9 * 32 + 32 * 64 + 64
    assert sum(p.numel() for p in SeparableConv2d(32, 64).parameters()) == 2400


def _dense_weights(rng, widths=(8, 256, 128, 64, 32, 5)):
    return [rng.normal(size=s) for a, b in pairwise(widths) for s in ((a, b), (b,))]


def test_dense_layers_load_and_equal_matrix_products(tmp_path):
    rng = np.random.default_rng(0)
    weights = _dense_weights(rng)
    np.savez(tmp_path / "dnn.npz", *weights)
    net = PixelNetwork(8, 5).double().eval()
    load_weight_list(net, tmp_path / "dnn.npz")
    rows = rng.normal(size=(6, 8))
    x = rows
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        x = x @ kernel + bias
        if kernel.shape[1] > 5:
            x = np.maximum(x, 0)
    with torch.no_grad():
        found = net(torch.from_numpy(rows)[:, :, None, None])[..., 0, 0].numpy()
    np.testing.assert_allclose(found, x, rtol=1e-10)


def test_files_that_do_not_fit_are_refused(tmp_path):
    net, rng = PixelNetwork(8, 5), np.random.default_rng(0)
    path = tmp_path / "w.npz"
    with pytest.raises(ReadError, match="no weights file"):
        load_weight_list(net, path)
    np.savez(path, *_dense_weights(rng)[:-1])
    with pytest.raises(WeightsError, match="got 9 arrays; expected 10"):
        load_weight_list(net, path)
    np.savez(path, *_dense_weights(rng, (9, 256, 128, 64, 32, 5)))
    with pytest.raises(WeightsError, match="Array 0"):
        load_weight_list(net, path)
    np.savez(path, *[np.array([{"a": 1}], dtype=object)] * 10)
    with pytest.raises(WeightsError, match="damaged or no list"):
        load_weight_list(net, path)
    np.savez(path, *[np.array(["text"])] * 10)
    with pytest.raises(WeightsError):
        load_weight_list(net, path)
    for broken in (b"", b"PK\x03\x04 not a zip", b"\x93NUMPY"):
        path.write_bytes(broken)
        with pytest.raises(WeightsError, match="damaged or no list"):
            load_weight_list(net, path)
