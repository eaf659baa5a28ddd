"""First layers of pretrained encoders, for images with other bands than those that they learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from swath.errors import WeightsError

if TYPE_CHECKING:
    from swath.sensors.bands import Band, Bands

#: Bands whose centres lie within so many nanometres see about the same.
_NEAR = 100.0


def stem_name(net: nn.Module) -> str:
    """Name in `state_dict` of the weight of the first convolution, which takes the bands.

    Raises:
        WeightsError: If the network has no convolution.
    """
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            return f"{name}.weight"
    raise WeightsError("The network has no convolution that takes the bands")


def adapt_stem(weight: Tensor, learned: Bands, wanted: Bands) -> Tensor:
    """Weights of a first convolution for other bands.

    A band takes the weights of the learned band of its name or alias; else of the learned band whose centre wavelength
    is nearest, within 100 nm; else the mean over all learned bands. All are multiplied by `A / B`, so that a scene of
    about equal normalised values in all bands is answered as strongly as before (Carreira and Zisserman 2017 inflate
    filters by the same argument). The same bands in another order give the same answers.

    Args:
        weight: `[out, A, height, width]`.
        learned: The `A` bands that it was learned from, in order.
        wanted: The `B` bands that it shall take.

    Returns:
        `[out, B, height, width]`.

    Raises:
        WeightsError: If `weight` does not take as many bands as `learned` are.
    """
    if weight.ndim != 4 or weight.shape[1] != len(learned):
        raise WeightsError(
            "The first layer takes another number of bands",
            got=tuple(weight.shape),
            expected=f"{len(learned)} bands: {', '.join(learned.names)}",
        )
    mean = weight.mean(1)
    columns = [mean if (place := _nearest(band, learned)) is None else weight[:, place] for band in wanted]
    return torch.stack(columns, 1) * (len(learned) / len(wanted))


def _nearest(band: Band, learned: Bands) -> int | None:
    names = (band.name, *band.aliases)
    for place, known in enumerate(learned):
        if any(known.called(name) for name in names):
            return place
    if band.wavelength is None:
        return None
    centre = band.wavelength
    distances = [
        (abs(known.wavelength - centre), place) for place, known in enumerate(learned) if known.wavelength is not None
    ]
    distance, place = min(distances, default=(float("inf"), 0))
    return place if distance <= _NEAR else None
