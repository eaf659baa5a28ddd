"""The engine of declared layouts: what is right is read, what is wrong is told."""

import numpy as np
import pytest

import tiny
from swath.data.classes import IGNORE, Classes
from swath.data.readers import layout_names, read_layout
from swath.data.readers.layout import Images, Layout
from swath.data.scenes import PARTS
from swath.data.splits import split_by_group
from swath.errors import BandError, DataError, GridError, ReadError, UnknownNameError
from swath.sensors.bands import Band, Bands
from swath.sensors.catalogue import resolve

CLASSES = Classes.of({0: "land", 1: "water"}, ignored=[255])
MAPS = Layout(
    name="maps",
    layers={
        "image": Images(("{split}/img/{id}.tif",), resolve("rgb")),
        "height": Images(("{split}/dem/{id}.tif",), Bands("elevation", (Band("elevation", "m"),)), "float32"),
    },
    classes=CLASSES,
    masks=("{split}/mask/{id}.tif",),
    parts={"tr": "train", "te": "test"},
)
PICTURES = Layout(
    name="pictures",
    layers={"image": Images(("img/{city}_{id}.png",), resolve("rgb"))},
    classes=CLASSES,
    masks=("mask/{city}_{id}.png",),
    colours={(255, 0, 0): 0, (0, 0, 255): 1, (9, 9, 9): 255},
    pictures=True,
    group="{city}",
    split=split_by_group,
)


def rgb(seed=0, size=20):
    return np.random.default_rng(seed).integers(0, 255, (3, size, size), dtype=np.uint8)


@pytest.fixture
def maps(tmp_path):
    for n, (split, name) in enumerate((("tr", "a"), ("tr", "b"), ("te", "a"))):
        grid = tiny.grid(20, 20, x=500_000.0 + 1000 * n)
        tiny.write_raster(tmp_path / f"{split}/img/{name}.tif", rgb(n), grid)
        coarse = tiny.grid(5, 5, size=40.0, x=500_000.0 + 1000 * n)
        tiny.write_raster(tmp_path / f"{split}/dem/{name}.tif", tiny.smooth(5, 5, 1, n, 0, 900), coarse)
        tiny.write_raster(tmp_path / f"{split}/mask/{name}.tif", np.full((20, 20), n % 2, np.uint8), grid)
    return tmp_path


@pytest.fixture
def pictures(tmp_path):
    table = np.array([[255, 0, 0], [0, 0, 255], [9, 9, 9]], np.uint8)
    for n, name in enumerate(("rome_1", "rome_2", "oslo_1", "bern_1")):
        tiny.write_picture(tmp_path / f"img/{name}.png", rgb(n))
        tiny.write_picture(tmp_path / f"mask/{name}.png", np.moveaxis(table[rgb(n)[0] % 3], -1, 0))
    return tmp_path


def test_layers_masks_and_parts_of_folders(maps):
    data = MAPS.read(maps)
    assert [(scene.id, scene.part) for scene in data] == [("te/a", "test"), ("tr/a", "train"), ("tr/b", "train")]
    assert list(data.bands) == ["image", "height"]
    assert [int(scene.labels.read(scene.grid)[0, 0]) for scene in data] == [0, 0, 1]
    assert data.facts["split"] == "published folders"


def test_pictures_in_colour_are_split_by_group(pictures):
    data = PICTURES.read(pictures)
    assert {scene.part for scene in data} == set(PARTS)
    assert data[2].group == data[3].group == "rome"
    assert data[2].part == data[3].part
    labels = data[3].labels.read(data[3].grid)
    assert np.array_equal(labels, np.array([0, 1, IGNORE])[rgb(1)[0] % 3])


def test_published_lists(pictures):
    from dataclasses import replace

    layout = replace(PICTURES, split=None, lists={"train": "a.txt", "test": "b.txt"})
    (pictures / "a.txt").write_text("rome/1\n\noslo/1\n")
    with pytest.raises(ReadError, match=r"b\.txt"):
        layout.read(pictures)
    (pictures / "b.txt").write_text("bern/1")
    data = layout.read(pictures)
    assert {scene.id: scene.part for scene in data} == {"rome/1": "train", "oslo/1": "train", "bern/1": "test"}
    assert data.facts["scenes in no list"] == 1
    (pictures / "b.txt").write_text("bern/1\nrome/1")
    with pytest.raises(DataError, match="listed already: got rome/1"):
        layout.read(pictures)
    (pictures / "b.txt").write_text("bern/7")
    with pytest.raises(DataError, match="not there: got bern/7"):
        layout.read(pictures)


def test_what_does_not_fit_is_told(maps, pictures):
    (maps / "tr/mask/b.tif").rename(maps / "tr/mask/c.tif")
    with pytest.raises(DataError, match="images without mask: got tr/b"):
        MAPS.read(maps)
    (maps / "tr/mask/c.tif").rename(maps / "tr/mask/b.tif")
    (maps / "tr/dem/a.tif").unlink()
    with pytest.raises(DataError, match="images without height: got tr/a"):
        MAPS.read(maps)
    tiny.write_picture(pictures / "mask/oslo_2.png", rgb())
    with pytest.raises(DataError, match="mask without image"):
        PICTURES.read(pictures)
    with pytest.raises(ReadError, match="does not exist"):
        MAPS.read(maps / "x")
    with pytest.raises(ReadError, match="No file matches"):
        MAPS.read(maps / "tr")


def test_files_of_another_kind_are_told(maps, pictures):
    tiny.write_raster(maps / "te/mask/a.tif", np.zeros((19, 20), np.uint8), tiny.grid(19, 20, x=502_000.0))
    with pytest.raises(DataError, match="not on the pixels of its image: got 19 x 20"):
        MAPS.read(maps)
    tiny.write_raster(maps / "te/img/a.tif", rgb().astype(np.uint16), tiny.grid(20, 20))
    with pytest.raises(DataError, match="another type: got uint16; expected uint8"):
        MAPS.read(maps)
    tiny.write_raster(maps / "te/img/a.tif", rgb()[:2], tiny.grid(20, 20))
    with pytest.raises(BandError, match="another number of bands"):
        MAPS.read(maps)
    tiny.write_raster(maps / "te/img/a.tif", rgb(), tiny.grid(20, 20, crs=None))
    with pytest.raises(GridError, match="no coordinate reference system"):
        MAPS.read(maps)
    (maps / "te/img/a.tif").write_bytes(b"II*\0")
    with pytest.raises(ReadError, match="cannot be read"):
        MAPS.read(maps)
    tiny.write_picture(pictures / "mask/oslo_1.png", np.full((3, 20, 20), 77, np.uint8))
    with pytest.raises(DataError, match=r"colours outside the classes: got #4d4d4d \(400 pixels\)"):
        PICTURES.read(pictures)


def test_layouts_are_found_by_id():
    assert {"dubai", "landcover_ai"} <= set(layout_names())
    with pytest.raises(UnknownNameError, match="Did you mean 'dubai'"):
        read_layout("dubay", ".")
