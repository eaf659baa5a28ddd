"""Sen4AgriNet, scenario 3: trained in France, tested in Catalonia in 2020; see `swath.data.readers.sen4agrinet`."""

from __future__ import annotations

from pathlib import Path

from swath.data.readers.sen4agrinet import read_sen4agrinet
from swath.data.scenes import Collection


def read_sen4agrinet_3(root: str | Path) -> Collection:
    """Open patches, split as in the scenario; raises as `read_sen4agrinet`."""
    return read_sen4agrinet(root, "3")
