"""FloodNet's pictures with a class each, as track 1 of its challenge (EARTHVISION 2021) was laid out.

`Train/Labeled/{Flooded,Non-Flooded}/image/<id>.jpg`; the masks beside them and the pictures without label
(`Train/Unlabeled`, `Validation`, `Test`) are not read. Nothing published says which labelled pictures test.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

from swath.data.classes import Classes
from swath.data.readers.layout import Images, Layout
from swath.data.scenes import Collection
from swath.data.splits import split_by_source
from swath.errors import DataError, some
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
    """Open the data set: a scene a picture, dealt to parts at random; see `Layout.read`.

    Raises:
        DataError: Beside what `Layout.read` raises, if a picture is in both folders.
    """
    found = LAYOUT.read(root)
    names = Counter(scene.id.rpartition("/")[2] for scene in found)
    if doubled := sorted(name for name, count in names.items() if count > 1):
        raise DataError(f"{root} holds pictures that are flooded and not", got=some(doubled))
    return found
