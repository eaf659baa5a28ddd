"""The Dubai data with two classes: building, and all that is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from swath.data.classes import Classes
from swath.data.readers import dubai
from swath.data.scenes import Collection

CLASSES = Classes.of(
    {0: {"name": "other", "colour": "#d8d0c0"}, 1: {"name": "building", "colour": "#3c1098"}}, ignored=[255]
)

LAYOUT = replace(
    dubai.LAYOUT,
    name="Dubai buildings",
    classes=CLASSES,
    colours={
        colour: code if code == 255 else int(dubai.CLASSES.names[code] == "building")
        for colour, code in (dubai.LAYOUT.colours or {}).items()
    },
)


def read_dubai_buildings(root: str | Path) -> Collection:
    """Open the data set: a scene a picture, split by tile; see `Layout.read`."""
    return LAYOUT.read(root)
