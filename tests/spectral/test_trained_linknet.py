"""The trained LinkNet against the package's own pipeline."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from swath import registry
from swath.errors import WeightsError
from swath.spectral.trained_linknet import TrainedLinkNet


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
    image = product(96, 64)
    session, name = package.initialize_model(dynamic_output_size=True)
    expected = pipeline.model_inference(
        session, name, package.normalize_image(image, sensor), use_tiling=False, logits_to_probs=True
    )
    task = registry.create("methane_onboard:trained", factors=sensor)
    batch = {"image": torch.from_numpy(image)[None], "valid": torch.ones(1, 96, 64, dtype=torch.bool)}
    found = task.probabilities(batch)[0, 1].numpy()
    np.testing.assert_allclose(found, expected[0], atol=1e-4)
    assert found.max() > found.min()


def test_damaged_models_are_refused(tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(WeightsError, match="cannot be read as an ONNX model"):
        TrainedLinkNet(tmp_path / "bad.onnx")
