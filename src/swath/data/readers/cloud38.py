"""38-Cloud: patches of Landsat 8 with a mask of clouds (Mohajerani et al. 2018, arXiv 1901.10077).

`train_{red,green,blue,nir}/<band>_patch_<n>_<row>_by_<col>_LC08_<scene>.TIF` and `train_gt/gt_patch_….TIF`, below the
folder of the release or in it. The published test part has masks of whole scenes only and is not read.

Ground outside of the Landsat scenes is black in every band, and no data here; whole patches of it occur, and the
published masks call it clear. Bands are top-of-atmosphere reflectance without correction for the height of the sun,
called by their colours, of sensor `toa`, so that networks can be applied to other sensors
(`swath.data.readers.cloudshadow`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from swath.data.classes import Classes
from swath.data.plain_areas import PlainAreaIsNoData
from swath.data.readers.layout import Images, Layout
from swath.data.scenes import Collection, Scene
from swath.data.splits import split_by_group
from swath.data.stack import StackSource
from swath.sensors.bands import Band, Bands

CLASSES = Classes.of({0: {"name": "clear", "colour": "#7a8b69"}, 255: {"name": "cloud", "colour": "#ffffff"}})

#: Bands in order; stored numbers are those of Landsat 8 level 1.
BANDS = Bands(
    "toa", tuple(Band(name, "reflectance", scale=2e-5, offset=-0.1) for name in ("red", "green", "blue", "nir"))
)

LAYOUT = Layout(
    name="38-Cloud",
    layers={
        name: Images((f"train_{name}/{name}_patch_{{patch}}_LC08_{{scene}}.TIF",), BANDS.select([name]), "uint16")
        for name in BANDS.names
    },
    classes=CLASSES,
    masks=("train_gt/gt_patch_{patch}_LC08_{scene}.TIF",),
    pictures=True,
    group="{scene}",
    facts={"origin": "38-Cloud (Mohajerani et al. 2018); Landsat 8 of USGS, public domain"},
)
#: Folder that the archive of the release holds.
_RELEASE = "38-Cloud_training"


def read_cloud38(root: str | Path) -> Collection:
    """Open the training part: a scene a patch, split by Landsat scene; see `Layout.read`."""
    root = Path(root)
    found = LAYOUT.read(root / _RELEASE if (root / _RELEASE).is_dir() else root)
    return split_by_group(found.with_scenes([_stacked(scene) for scene in found]))


def _stacked(scene: Scene) -> Scene:
    image = StackSource(list(scene.layers.values()), name=scene.id)
    return replace(scene, layers={"image": PlainAreaIsNoData(image, 0)})
