"""Training parts of a network and keeping the rest as it is: adapters, heads, low-rank maps.

Tensors that are not trained get no gradient, their modules stay in eval mode, and neither checkpoints nor runs hold
them: they hold a hash, so that a run is never applied with other frozen weights than those it was trained with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from swath.errors import ConfigError, RunError

if TYPE_CHECKING:
    from torch import Tensor, nn


class TrainedParts:
    """Which tensors of a network are trained.

    Args:
        net: The network.
        names: A tensor is trained if one of these is a part of its name, between dots: `adapter`, `lora_A`.

    Raises:
        ConfigError: If a name is in no tensor's name, or no tensor is left frozen.
    """

    def __init__(self, net: nn.Module, names: tuple[str, ...]) -> None:
        self.net, self.names = net, frozenset(names)
        tensors = net.state_dict()
        if strange := [name for name in names if not any(name in key.split(".") for key in tensors)]:
            raise ConfigError(f"{type(net).__name__} has no part '{strange[0]}' that could be trained")
        if not names or all(map(self.includes, tensors)):
            raise ConfigError("A network of which nothing or all is trained has no trained parts", got=", ".join(names))

    def includes(self, name: str) -> bool:
        """Whether the tensor or module of this name is trained."""
        return not self.names.isdisjoint(name.split("."))

    def hold(self) -> None:
        """Take gradients from all other tensors, and put all modules into eval mode that hold nothing trained."""
        for name, parameter in self.net.named_parameters():
            parameter.requires_grad_(self.includes(name))
        holding = {""}
        for name in filter(self.includes, self.net.state_dict()):
            parts = name.split(".")
            holding |= {".".join(parts[:n]) for n in range(1, len(parts))}
        for name, module in self.net.named_modules():
            if name not in holding and not self.includes(name):
                module.training = False

    def of(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The trained ones of some tensors of the network."""
        return {name: tensor for name, tensor in state.items() if self.includes(name)}

    def frozen(self) -> dict[str, Tensor]:
        """All other tensors of the network."""
        return {name: tensor for name, tensor in self.net.state_dict().items() if not self.includes(name)}

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the frozen tensors, which never change."""
        return tensors_hash(self.frozen())

    def require(self, found: object, where: object) -> None:
        """Refuse what was trained beside other frozen tensors, whose hash is `found`.

        Raises:
            RunError: If the hash is another.
        """
        if found != self.hash:
            raise RunError(
                f"{where} was trained beside other frozen weights than the network has now",
                got=f"SHA-256 {self.hash}",
                expected=f"SHA-256 {found}",
                fix="Put the weights file that it was begun with back to its place, which its task.json names",
            )


def tensors_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors, in the order of their names."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
