"""Dubai land cover: 8 tiles of 9 satellite pictures with masks in colour (Humans in the Loop with MBRSC, CC0)."""

from __future__ import annotations

from pathlib import Path

from swath.data.classes import Classes
from swath.data.readers.layout import Images, Layout
from swath.data.scenes import Collection
from swath.data.splits import split_by_group
from swath.sensors.catalogue import resolve

#: Colours of the masks; the `classes.json` beside them lists those of another export, which do not occur.
CLASSES = Classes.of(
    {
        0: {"name": "building", "colour": "#3c1098"},
        1: {"name": "land", "colour": "#8429f6"},
        2: {"name": "road", "colour": "#6ec1e4"},
        3: {"name": "vegetation", "colour": "#fedd3a"},
        4: {"name": "water", "colour": "#e2a929"},
    },
    ignored=[255],
)

LAYOUT = Layout(
    name="Dubai land cover",
    layers={"image": Images(("Tile {tile}/images/{id}.jpg",), resolve("rgb"))},
    classes=CLASSES,
    masks=("Tile {tile}/masks/{id}.png",),
    colours=dict(zip(CLASSES.colours, CLASSES.codes, strict=True)) | {(0x9B, 0x9B, 0x9B): 255, (0, 0, 0): 255},
    pictures=True,
    group="{tile}",
    split=split_by_group,
    facts={"origin": "Semantic segmentation of aerial imagery, Humans in the Loop and MBRSC", "licence": "CC0 1.0"},
)


def read_dubai(root: str | Path) -> Collection:
    """Open the data set: a scene a picture, split by tile; see `Layout.read`."""
    return LAYOUT.read(root)
