"""FloodNet: drone pictures after Hurricane Harvey with masks of ten classes (arXiv 2012.02951, supervised release 1.0).

`{train,val,test}/{split}-org-img/<id>.jpg` and `{split}-label-img/<id>_lab.png`, one channel of codes, below the folder
of the release or in it.
"""

from __future__ import annotations

from pathlib import Path

from swath.data.classes import Classes
from swath.data.readers.layout import Images, Layout
from swath.data.scenes import Collection
from swath.sensors.catalogue import resolve

CLASSES = Classes.of(
    {
        0: {"name": "background", "colour": "#000000"},
        1: {"name": "building flooded", "colour": "#d7263d"},
        2: {"name": "building not flooded", "colour": "#8d99ae"},
        3: {"name": "road flooded", "colour": "#f49d37"},
        4: {"name": "road not flooded", "colour": "#5c5c5c"},
        5: {"name": "water", "colour": "#1b98e0"},
        6: {"name": "tree", "colour": "#2d6a4f"},
        7: {"name": "vehicle", "colour": "#ff66c4"},
        8: {"name": "pool", "colour": "#48e5c2"},
        9: {"name": "grass", "colour": "#95d5b2"},
    }
)

LAYOUT = Layout(
    name="FloodNet",
    layers={"image": Images(("{split}/{split}-org-img/{id}.jpg",), resolve("rgb"))},
    classes=CLASSES,
    masks=("{split}/{split}-label-img/{id}_lab.png",),
    pictures=True,
    parts={part: part for part in ("train", "val", "test")},
    facts={"origin": "FloodNet-Supervised v1.0 (BinaLab)", "licence": "CDLA-Permissive-1.0"},
)
#: Folder that the archive of the release holds.
_RELEASE = "FloodNet-Supervised_v1.0"


def read_floodnet(root: str | Path) -> Collection:
    """Open the data set: a scene a picture, split as published; see `Layout.read`."""
    root = Path(root)
    return LAYOUT.read(root / _RELEASE if (root / _RELEASE).is_dir() else root)
