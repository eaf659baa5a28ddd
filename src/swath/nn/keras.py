"""What Keras takes for granted: its layers' settings, their first weights, and the order of a model's weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
import torch
from torch import nn

from swath.errors import ReadError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Keras's `BatchNormalization()`: eps 1e-3, and momentum 0.99, which torch counts from the other end."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class SeparableConv2d(nn.Sequential):
    """Keras's `SeparableConv2D` of 3 x 3, stride 1, `same`: depthwise without bias, then pointwise with bias."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False), nn.Conv2d(channels, filters, 1)
        )


def initialise(net: nn.Module) -> None:
    """Draw first weights as Keras does: Glorot uniform kernels, zero biases."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def load_weight_list(net: nn.Module, path: Path) -> None:
    """Load `numpy.savez(path, *model.get_weights())` of a Keras model whose layers stand in the order of `net`.

    Kernels are turned from Keras's axes to torch's. Dense layers of Keras may be 1 x 1 convolutions of `net`.

    Raises:
        ReadError: If the file is missing.
        WeightsError: If it is damaged, holds Python objects, or does not fit the network.
    """
    arrays = _arrays(path)
    wanted = list(_weights(net))
    if len(arrays) != len(wanted):
        raise WeightsError(f"{path} is of another network", got=f"{len(arrays)} arrays", expected=len(wanted))
    with torch.no_grad():
        for number, (array, (name, tensor, axes)) in enumerate(zip(arrays, wanted, strict=True)):
            kernel = array[None, None] if array.ndim == 2 and tensor.ndim == 4 else array
            turned = kernel.transpose(axes) if kernel.ndim == len(axes) else kernel
            if turned.shape != tuple(tensor.shape):
                raise WeightsError(
                    f"Array {number} of {path} does not fit {name}", got=array.shape, expected=tuple(tensor.shape)
                )
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(turned)))


def _arrays(path: Path) -> list[np.ndarray]:
    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return [file[f"arr_{number}"] for number in range(len(file.files))]
    except FileNotFoundError as error:
        raise ReadError(f"There is no weights file {path}") from error
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{path} is damaged or no list of Keras weights",
            got=error,
            expected="numpy.savez(path, *model.get_weights())",
        ) from error


def _weights(net: nn.Module) -> Iterator[tuple[str, Tensor, Sequence[int]]]:
    """Name, tensor and the Keras axis of each of its axes, in the order of `get_weights`."""
    for name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            for key in ("weight", "bias", "running_mean", "running_var"):
                yield f"{name}.{key}", getattr(module, key), (0,)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            # Keras: (row, col, in, out); depthwise (row, col, channel, 1); transposed (row, col, out, in).
            yield f"{name}.weight", module.weight, (2, 3, 0, 1) if _depthwise(module) else (3, 2, 0, 1)
            if module.bias is not None:
                yield f"{name}.bias", module.bias, (0,)


def _depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
