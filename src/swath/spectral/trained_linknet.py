"""The LinkNet that was trained by the authors, as ONNX in the package `onboard-methane-detection`, by onnxruntime."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn

from swath.errors import MissingExtraError, WeightsError
from swath.spectral.product import PRODUCT


class TrainedLinkNet(nn.Module):
    """The network on a CPU; it cannot be trained further.

    Args:
        model: ONNX file; None takes that of the package.

    Raises:
        MissingExtraError: If a package is missing.
        WeightsError: If the model is damaged, or takes another number of bands.
    """

    def __init__(self, model: Path | None = None) -> None:
        super().__init__()
        try:
            import onnxruntime  # type: ignore[import-untyped]
        except ImportError as error:
            raise MissingExtraError("onnxruntime", "methane") from error
        path = _shipped() if model is None else model
        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has an error class of its own for each way to be damaged
            raise WeightsError(f"{path} cannot be read as an ONNX model", got=str(error)[:200]) from error
        self._taken = self._session.get_inputs()[0]
        if len(self._taken.shape) != 4 or self._taken.shape[1] != len(PRODUCT):
            raise WeightsError(
                f"{path} takes another input", got=self._taken.shape, expected="[batch, 4, height, width]"
            )

    def forward(self, product: Tensor) -> Tensor:
        """Normalised `[B, 4, H, W]`, sides multiples of 32 -> logits of no plume and plume `[B, 2, H, W]`."""
        found = self._session.run(None, {self._taken.name: product.detach().float().cpu().numpy()})[0]
        logits = torch.from_numpy(found[:, :1]).to(product.device)
        return torch.cat([torch.zeros_like(logits), logits], 1)


def _shipped() -> Path:
    found = importlib.util.find_spec("onboard_methane_detection")
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError("onboard-methane-detection", "methane")
    return Path(found.submodule_search_locations[0]) / "inference" / "linknet_exported_dynamic.onnx"
