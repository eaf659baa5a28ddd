"""Sen4AgriNet, scenario 1: split at random, by the crops that occur; see `swath.data.readers.sen4agrinet`."""

from __future__ import annotations

from pathlib import Path

from swath.data.readers.sen4agrinet import read_sen4agrinet
from swath.data.scenes import Collection


def read_sen4agrinet_1(root: str | Path) -> Collection:
    """Open patches, split as in the scenario; raises as `read_sen4agrinet`."""
    return read_sen4agrinet(root, "1")
