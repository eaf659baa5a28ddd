"""FloodNet's pictures with a class each, as track 1 of its challenge (EARTHVISION 2021) was laid out.

`Train/Labeled/{Flooded,Non-Flooded}/image/<id>.jpg`; the masks beside them and the pictures without label
(`Train/Unlabeled`, `Validation`, `Test`) are not read. Nothing published says which labelled pictures test.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from swath.data.classes import Classes
from swath.data.readers.layout import Images, Layout
from swath.data.scenes import Collection
from swath.data.splits import split_by_source
from swath.sensors.catalogue import resolve

CLASSES = Classes.of(
    {0: {"name": "not flooded", "colour": "#8d99ae"}, 1: {"name": "flooded", "colour": "#1b98e0"}},
)

LAYOUT = Layout(
    name="FloodNet, classes of pictures",
    layers={"image": Images(("Train/Labeled/{class}/image/{id}.jpg",), resolve("rgb"))},
    classes=CLASSES,
    named={"Flooded": "flooded", "Non-Flooded": "not flooded"},
    pictures=True,
    split=partial(split_by_source, seed=0),
    facts={"origin": "FloodNet, track 1 of the challenge at EARTHVISION 2021", "licence": "CDLA-Permissive-1.0"},
)


def read_floodnet_classification(root: str | Path) -> Collection:
    """Open the data set: a scene a picture, dealt to parts at random; see `Layout.read`."""
    return LAYOUT.read(root)
