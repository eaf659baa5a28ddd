"""Batch norms folded into the convolutions before them: the same function with less to compute."""

from __future__ import annotations

import types
from collections import Counter
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

if TYPE_CHECKING:
    from swath.scene.stream import Model

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
#: Subclasses may do more than normalise, for example apply an activation.
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@torch.no_grad()
def fold(model: Model, batch: Mapping[str, Any], dtype: torch.dtype = torch.float32) -> Model:
    """A copy of a model in evaluation mode without the batch norms that directly follow a convolution.

    Which do is seen by running a batch. Weights that are not folded are shared with the model, which stays as it is.
    A model that also takes the values between a convolution and its norm is not the same afterwards: compare.

    Args:
        model: A module, or a method of one; anything else comes back unchanged.
        batch: What the model takes.
        dtype: Of the folded weights.
    """
    module = getattr(model, "__self__", model)
    if not isinstance(module, nn.Module) or module.training:
        return model
    twin = _twin(module, {})
    bound = twin if module is model else types.MethodType(model.__func__, twin)  # type: ignore[attr-defined]
    places = {part: (parent, name) for parent in twin.modules() for name, part in parent._modules.items()}
    for convolution, norm in _pairs(twin, bound, batch):
        weight, bias = fuse_conv_bn_weights(
            convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        convolution.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
        convolution.bias = nn.Parameter(bias.to(dtype), requires_grad=False)
        parent, name = places[norm]
        setattr(parent, name, nn.Identity())
    return bound


def _pairs(module: nn.Module, model: Model, batch: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """Convolutions and the norms that take exactly what they give; both run once."""
    made: dict[int, tuple[nn.Module, Tensor]] = {}  # the tensors are kept, so that no two have the same id
    found: list[tuple[nn.Module, nn.Module]] = []
    runs: Counter[nn.Module] = Counter()

    def watch(part: nn.Module, given: tuple[Tensor, ...], result: Tensor) -> None:
        runs[part] += 1
        if isinstance(part, _CONVOLUTIONS):
            made[id(result)] = (part, result)
        elif id(given[0]) in made:
            found.append((made[id(given[0])][0], part))

    watched = [m for m in module.modules() if type(m) in (*_CONVOLUTIONS, *_NORMS)]
    hooks = [part.register_forward_hook(watch) for part in watched]
    try:
        with torch.inference_mode():
            model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    takers = Counter(convolution for convolution, _ in found)
    return [
        (convolution, norm)
        for convolution, norm in found
        if runs[convolution] == runs[norm] == takers[convolution] == 1 and norm.running_mean is not None
    ]


def _twin(module: nn.Module, known: dict[nn.Module, nn.Module]) -> nn.Module:
    """The same tree of modules over the same tensors."""
    if module not in known:
        twin = known[module] = module.__class__.__new__(module.__class__)
        twin.__dict__ = module.__dict__ | {
            kind: copy(module.__dict__[kind]) for kind in ("_parameters", "_buffers", "_forward_hooks")
        }
        twin._modules = {n: None if part is None else _twin(part, known) for n, part in module._modules.items()}
    return known[module]
