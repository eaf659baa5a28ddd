"""The trained LinkNet against the package's own pipeline, and networks that can be trained."""

from __future__ import annotations

import numpy as np
import pytest

from swath.errors import ConfigError, WeightsError
from swath.spectral.linknet import PRODUCT, normalised, segmentation, trained_probabilities


def product(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    colours = rng.uniform(20, 120, (3, height, width))
    row, col = np.mgrid[:height, :width]
    plume = 4000 * np.exp(-((row - height / 2) ** 2 + (col - width / 2) ** 2) / 150)
    return np.concatenate((colours, plume[None])).astype(np.float32)


@pytest.mark.parametrize("sensor", ["emit", "aviris_ng"])
def test_the_trained_network_equals_the_package(sensor):
    pipeline = pytest.importorskip("onboard_methane_detection.inference.pipeline")
    package = pytest.importorskip("onboard_methane_detection.inference.utils")
    image = product(100, 76)
    session, name = package.initialize_model(dynamic_output_size=True)
    expected = pipeline.model_inference(
        session, name, package.normalize_image(image, sensor), use_tiling=False, logits_to_probs=True
    )
    found = trained_probabilities(image, sensor)
    np.testing.assert_allclose(found, expected[0], atol=1e-4)
    assert found.max() > found.min()


def test_invalid_pixels_become_zero():
    image = product(32, 32)
    image[:, 3, 4] = np.nan
    assert not normalised(image, "emit")[:, 3, 4].any()
    assert normalised(image, "emit").max() <= 2


def test_damaged_models_and_unknown_sensors_are_refused(tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(WeightsError, match="cannot be read as an ONNX model"):
        trained_probabilities(product(32, 32), "emit", tmp_path / "bad.onnx")
    with pytest.raises(ConfigError, match="no factors"):
        normalised(product(8, 8), "prisma")
    with pytest.raises(ConfigError, match="no such network"):
        segmentation("vit")


@pytest.mark.parametrize("network", ["linknet", "unet"])
def test_networks_give_a_logit_for_each_class(network):
    torch = pytest.importorskip("torch")
    task = segmentation(network).eval()
    with torch.inference_mode():
        assert task.net(torch.zeros(1, len(PRODUCT), 128, 128)).shape == (1, 2, 128, 128)
