"""Weights files: read without running code from them, and loaded with one clear message where they do not fit."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from swath.errors import ReadError, WeightsError, WriteError
from swath.files import replacing

if TYPE_CHECKING:
    from torch import Tensor, nn


def load_state(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name from a safetensors file, or from a torch file without running its pickle code.

    A torch file may nest the tensors under `state_dict`, `model` or `net`, as common trainers write them.

    Raises:
        ReadError: If the file is missing or unreadable.
        WeightsError: If it is damaged, holds code, or holds no tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise ReadError(f"There is no weights file {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols
            found = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise WeightsError(f"{path} is damaged or no safetensors file", got=error) from error
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} would run code when it is loaded, or is damaged; it was not loaded",
            expected="tensors only",
            fix="Get the weights as safetensors, or save `model.state_dict()` alone",
        ) from error
    except PermissionError as error:
        raise ReadError(f"{path} cannot be read", got=error.strerror, fix="Check its rights") from error
    except Exception as error:  # a damaged file may break the reader anywhere
        reason = f"{type(error).__name__} {error}".splitlines()[0]
        raise WeightsError(f"{path} is damaged or no weights file", got=reason) from error
    for key in ("state_dict", "model", "net"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise WeightsError(f"{path} holds something else than named tensors", got=type(found).__name__)
    return dict(found)


def save_state(state: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors by name as safetensors, whole or not at all.

    Raises:
        WriteError: If the folder cannot be written, or the disk is full.
    """
    tensors = {k: v.detach().cpu().contiguous() for k, v in state.items()}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=dict(metadata or {}))
        except SafetensorError as error:  # its writer wraps what the system says
            raise WriteError(f"Cannot write {path}", got=error, fix="Check the free space of the disk") from error


def load_into(
    net: nn.Module,
    state: Mapping[str, Tensor],
    rename: Callable[[str], str | None] = lambda key: key,
    name: str = "The weights",
) -> None:
    """Load `state` into `net`, all of it.

    Args:
        net: The network.
        state: Tensors by published name.
        rename: Published name to name in `net`; None drops the tensor.
        name: What they are, for the message.

    Raises:
        WeightsError: If a name is missing or left over, or a shape differs; it lists the first of each.
    """
    renamed = {new: tensor for key, tensor in state.items() if (new := rename(key)) is not None}
    own = net.state_dict()
    missing, strange = sorted(own.keys() - renamed.keys()), sorted(renamed.keys() - own.keys())
    shapes = [
        f"{key} {tuple(renamed[key].shape)} for {tuple(own[key].shape)}"
        for key in sorted(own.keys() & renamed.keys())
        if own[key].shape != renamed[key].shape
    ]
    wrong = {"missing": missing, "not in the network": strange, "of another shape": shapes}
    if any(wrong.values()):
        told = "; ".join(
            f"{len(v)} {k} ({', '.join(v[:3])}{', ...' if len(v) > 3 else ''})" for k, v in wrong.items() if v
        )
        raise WeightsError(
            f"{name} do not fit the network", got=told, expected=f"{len(own)} tensors of {type(net).__name__}"
        )
    net.load_state_dict(renamed)
