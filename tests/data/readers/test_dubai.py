"""The Dubai reader on the published files."""

import numpy as np
import pytest
from PIL import Image

from swath.data.classes import IGNORE
from swath.data.readers import read_layout
from swath.data.scenes import PARTS


@pytest.fixture(scope="module")
def dubai(data_folder):
    return read_layout("dubai", data_folder / "dubai_landcover_seg")


@pytest.mark.data
def test_pictures_are_split_by_tile(dubai, data_folder):
    files = list((data_folder / "dubai_landcover_seg").glob("*/images/*.jpg"))
    assert len(dubai) == len(files)
    parts = {}
    for scene in dubai:
        assert parts.setdefault(scene.group, scene.part) == scene.part
    assert set(parts.values()) == set(PARTS)


@pytest.mark.data
def test_masks_are_those_of_pillow(dubai, data_folder):
    scene = next(scene for scene in dubai if scene.id == "1/image_part_001")
    path = data_folder / "dubai_landcover_seg" / "Tile 1" / "masks" / "image_part_001.png"
    colours = np.asarray(Image.open(path).convert("RGB"))
    labels = scene.labels.read(scene.grid)
    for index, colour in enumerate(dubai.classes.colours):
        assert np.array_equal(labels == index, (colours == colour).all(-1))
    assert ((labels == IGNORE) == (colours == (0x9B, 0x9B, 0x9B)).all(-1)).all()


@pytest.mark.data
@pytest.mark.slow
def test_every_mask_holds_only_known_colours(dubai):
    counts = np.zeros(len(dubai.classes), int)
    for scene in dubai:
        labels = scene.labels.read(scene.grid)
        counts += np.bincount(labels[labels != IGNORE], minlength=len(counts))
    assert (counts > 0).all()
