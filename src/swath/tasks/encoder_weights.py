"""Weights files of a whole network, or of timm's encoder in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from swath.errors import WeightsError
from swath.nn.stem import adapt_stem, stem_name
from swath.sensors.catalogue import resolve
from swath.tasks.weights import load_into, load_state

if TYPE_CHECKING:
    from torch import nn

    from swath.sensors.bands import Bands


def load_weights(
    net: nn.Module, encoder: nn.Module, path: Path, name: str, bands: Bands
) -> Literal["network", "encoder"]:
    """Load a file of the whole network, or a timm file into its encoder; tells which it was.

    timm names the modules of a feature pyramid `stem_0` that it names `stem.0` in its files; what comes after the last
    features, such as a classifier, is left out. The first layer, learned from RGB, is adapted to other bands
    (`swath.nn.stem`).

    Args:
        net: The network; names of its encoder begin with `encoder.`.
        encoder: The module in it that has timm's names.
        path: The file.
        name: Name of the encoder in timm, for messages.
        bands: What the network takes.

    Raises:
        ReadError: If there is no weights file.
        WeightsError: If the weights are unsafe, damaged or belong to another network.
    """
    state = load_state(path)
    if any(key.startswith("encoder.") for key in state):
        load_into(net, state, name=str(path))
        return "network"
    own = {key.split(".")[0] for key in encoder.state_dict()}
    families = own | {first.rsplit("_", 1)[0] for first in own if first[-1].isdigit()}
    if not any(key.split(".")[0] in families for key in state):
        raise WeightsError(f"{path} holds neither this network nor its encoder {name}", got=", ".join(list(state)[:3]))

    def rename(key: str) -> str | None:
        first, _, rest = key.partition(".")
        if first in own:
            return key
        return f"{first}_{rest}" if first in families else None

    stem, rgb = stem_name(encoder), resolve("rgb")
    state = {
        key: adapt_stem(tensor, rgb, bands) if rename(key) == stem and bands.names != rgb.names else tensor
        for key, tensor in state.items()
    }
    load_into(encoder, state, rename, name=f"{path} (encoder {name})")
    return "encoder"
