"""The segmenter against a forward pass in numpy, axes and windows as Keras has them."""

import itertools

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from swath.nn.keras import load_weight_list
from swath.nn.xception_segmenter import XceptionSegmenter


def _shapes(channels, classes, stem, down, up):
    """Shapes of `get_weights()` in Keras's axes, in the order in which the layers are made."""

    def norm(filters):
        return [(filters,)] * 4

    shapes = [(3, 3, channels, stem), (stem,), *norm(stem)]
    for before, after in itertools.pairwise((stem, *down)):
        for width in (before, after):
            shapes += [(3, 3, width, 1), (1, 1, width, after), (after,), *norm(after)]
        shapes += [(1, 1, before, after), (after,)]
    for before, after in itertools.pairwise((down[-1], *up)):
        for width in (before, after):
            shapes += [(3, 3, after, width), (after,), *norm(after)]
        shapes += [(1, 1, before, after), (after,)]
    return [*shapes, (3, 3, up[-1], classes), (classes,)]


def _weights(rng, shapes):
    # Positive, away from zero: variances must be.
    return [rng.uniform(0.3, 1.0, shape) * (rng.choice([-1, 1], shape) if len(shape) > 1 else 1) for shape in shapes]


def _pad(image, kernel, stride, value):
    """`SAME`: image [H, W, C]."""
    widths = []
    for size in image.shape[:2]:
        total = max((int(np.ceil(size / stride)) - 1) * stride + kernel - size, 0)
        widths.append((total // 2, total - total // 2))
    return np.pad(image, (*widths, (0, 0)), constant_values=value)


def _convolve(image, kernel, bias, stride=1):
    padded = _pad(image, kernel.shape[0], stride, 0.0)
    out = [
        sum(correlate2d(padded[..., i], kernel[..., i, o], "valid") for i in range(image.shape[-1]))
        for o in range(kernel.shape[-1])
    ]
    return np.stack(out, -1)[::stride, ::stride] + bias


def _separable(image, depthwise, pointwise, bias):
    deep = [_convolve(image[..., [i]], depthwise[..., [i], :], 0.0)[..., 0] for i in range(image.shape[-1])]
    return np.stack(deep, -1) @ pointwise[0, 0] + bias


def _transposed(image, kernel, bias):
    """Every pixel of the input paints the kernel around itself; kernel [3, 3, out, in]."""
    height, width, _ = image.shape
    canvas = np.zeros((height + 2, width + 2, kernel.shape[2]))
    for row, col in itertools.product(range(height), range(width)):
        canvas[row : row + 3, col : col + 3] += kernel @ image[row, col]
    return canvas[1:-1, 1:-1] + bias


def _norm(image, gamma, beta, mean, variance):
    return (image - mean) / np.sqrt(variance + 1e-3) * gamma + beta


def _pool(image):
    padded = _pad(image, 3, 2, -np.inf)
    rows, cols = range(0, padded.shape[0] - 2, 2), range(0, padded.shape[1] - 2, 2)
    return np.array([[padded[r : r + 3, c : c + 3].max((0, 1)) for c in cols] for r in rows])


def _double(image):
    return image.repeat(2, 0).repeat(2, 1)


def _forward(image, weights, down, up):
    take = iter(weights)

    def some(count):
        return list(itertools.islice(take, count))

    x = np.maximum(_norm(_convolve(image, *some(2), stride=2), *some(4)), 0)
    for _ in down:
        before = x
        for _ in range(2):
            x = _norm(_separable(np.maximum(x, 0), *some(3)), *some(4))
        x = _pool(x) + _convolve(before, *some(2), stride=2)
    for _ in up:
        before = x
        for _ in range(2):
            x = _norm(_transposed(np.maximum(x, 0), *some(2)), *some(4))
        x = _double(x) + _convolve(_double(before), *some(2))
    x = _convolve(x, *some(2))
    assert next(take, None) is None
    return x


@pytest.mark.parametrize(
    ("stem", "down", "up", "shape"), [(3, (4, 5), (5, 4, 3), (24, 32)), (4, (6, 7, 8), (8, 7, 6, 4), (32, 16))]
)
def test_forward_equals_numpy_layer_by_layer(tmp_path, stem, down, up, shape):
    rng = np.random.default_rng(0)
    weights = _weights(rng, _shapes(2, 3, stem, down, up))
    np.savez(tmp_path / "keras.npz", *weights)
    net = XceptionSegmenter(2, 3, stem, down, up).double().eval()
    load_weight_list(net, tmp_path / "keras.npz")
    image = rng.normal(size=(*shape, 2))
    expected = _forward(image, weights, down, up)
    with torch.no_grad():
        found = net(torch.from_numpy(image.transpose(2, 0, 1)[None]))[0].numpy().transpose(1, 2, 0)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize(("channels", "count"), [(8, 2_060_997), (10, 2_061_573), (16, 2_063_301), (18, 2_063_877)])
def test_counts_are_the_published_ones(channels, count):
    net = XceptionSegmenter(channels, 5)
    trainable = sum(p.numel() for p in net.parameters())
    running = sum(b.numel() for name, b in net.named_buffers() if "running" in name)
    assert trainable + running == count
    if channels == 8:
        assert trainable == 2_057_221  # as the authors' notebook prints


def test_nothing_bypasses_the_bottleneck():
    """What is zeroed at the bottleneck is lost: the output no longer depends on the input."""
    net = XceptionSegmenter(3, 2).eval()
    net.blocks[2].register_forward_hook(lambda module, inputs, output: output * 0)
    with torch.no_grad():
        a, b = net(torch.randn(1, 3, 32, 32)), net(torch.randn(1, 3, 32, 32))
    torch.testing.assert_close(a, b)


def test_batch_norm_learns_as_slowly_as_keras():
    net = XceptionSegmenter(1, 2).train()
    norm = net.stem[1]
    image = torch.randn(4, 1, 32, 32)
    with torch.no_grad():
        seen = net.stem[0](image).mean((0, 2, 3))
        net(image)
    torch.testing.assert_close(norm.running_mean, 0.01 * seen)
    assert norm.eps == 1e-3


def test_first_weights_are_keras_s():
    torch.manual_seed(0)
    net = XceptionSegmenter(8, 5)
    kernel = net.blocks[3].body[4].weight  # 256 -> 256, 3 x 3
    limit = np.sqrt(6 / (9 * 256 + 9 * 256))
    assert kernel.abs().max().item() == pytest.approx(limit, rel=1e-3)
    assert all((m.bias == 0).all() for m in net.modules() if isinstance(m, torch.nn.Conv2d) and m.bias is not None)
