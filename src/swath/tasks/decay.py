"""Which parameters are decayed."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

_NORMS = (nn.LayerNorm, nn.GroupNorm, _BatchNorm)


def decay_groups(net: nn.Module, decay: float, undecayed: tuple[str, ...]) -> list[Any]:
    """The trainable parameters of a network, as an optimiser takes them.

    Args:
        net: The network.
        decay: Weight decay.
        undecayed: A parameter is not decayed if one of these is in its name, or if it belongs to a norm; where there
            are none, all are decayed alike.
    """
    named = {name: parameter for name, parameter in net.named_parameters() if parameter.requires_grad}
    if not undecayed:
        return list(named.values())
    of_norms = {
        id(parameter)
        for module in net.modules()
        if isinstance(module, _NORMS)
        for parameter in module.parameters(recurse=False)
    }
    groups: dict[float, list[nn.Parameter]] = {decay: [], 0.0: []}
    for name, parameter in named.items():
        free = id(parameter) in of_norms or any(part in name for part in undecayed)
        groups[0.0 if free else decay].append(parameter)
    return [{"params": members, "weight_decay": rate} for rate, members in groups.items() if members]
