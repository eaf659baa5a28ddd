"""Every published layout, sound and damaged: what is wrong gets one error that names it before anything is learned."""

import re
import shutil

import numpy as np
import pytest
import rasterio

import tiny
from published_folders import EDGE, FOLDERS, PLACE, rgb
from swath.data.readers import layout_names, read_layout
from swath.errors import DataError, ReadError, SwathError

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
MASKED = sorted(name for name, kind in FOLDERS.items() if kind.label)
PICTURES = sorted(name for name, kind in FOLDERS.items() if kind.wide)
TWINS = sorted(name for name, kind in FOLDERS.items() if kind.twin)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Sound folders by writer, each written once."""
    written = {}

    def of(name):
        write = FOLDERS[name].write
        if write not in written:
            written[write] = tmp_path_factory.mktemp(name)
            write(written[write])
        return written[write]

    return of


@pytest.fixture
def folder(sound, name, tmp_path):
    """A copy to damage."""
    return shutil.copytree(sound(name), tmp_path / "copy")


def refused(name, folder, *kinds):
    """The error of a damaged folder."""
    with pytest.raises(kinds or SwathError) as told:
        read_layout(name, folder)
    return str(told.value)


def test_every_layout_is_damaged_here():
    assert sorted(FOLDERS) == layout_names()


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_sound_folders_are_read(name, sound):
    found = read_layout(name, sound(name))
    assert len(found)


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_folders_that_hold_nothing(name, tmp_path):
    assert str(tmp_path) in refused(name, tmp_path)
    assert "absent" in refused(name, tmp_path / "absent", ReadError)


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_a_damaged_file(name, folder):
    path = folder / FOLDERS[name].image
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    assert path.name in refused(name, folder)
    path.write_bytes(b"what this is nobody knows")
    assert path.name in refused(name, folder)


@pytest.mark.parametrize("name", MASKED)
def test_a_missing_image(name, folder):
    path = folder / FOLDERS[name].image
    path.unlink()
    assert re.search(rf"{re.escape(path.stem.split('_')[-1])}|{path.parent.name}", refused(name, folder))


@pytest.mark.parametrize("name", MASKED)
def test_an_image_without_a_label(name, folder):
    kind = FOLDERS[name]
    (folder / kind.label).unlink()
    assert re.search(r"label|mask", refused(name, folder))


@pytest.mark.parametrize("name", MASKED)
def test_a_damaged_label(name, folder):
    path = folder / FOLDERS[name].label
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    assert path.name in refused(name, folder)


@pytest.mark.parametrize("name", MASKED)
def test_a_label_of_another_size(name, folder):
    path = folder / FOLDERS[name].label
    relabel(path, FOLDERS[name], 24)
    assert path.name in refused(name, folder)


@pytest.mark.parametrize("name", MASKED)
def test_an_unknown_class_is_counted_and_named(name, folder):
    kind = FOLDERS[name]
    path = folder / kind.label
    edge = 520 if name == "landcover_ai" else EDGE
    relabel(path, kind, edge)
    told = refused(name, folder, DataError)
    named = str(kind.strange) if isinstance(kind.strange, int) else "#" + bytes(kind.strange).hex()
    assert re.search(rf"{named} \(\d+ pixels\)", told)
    assert path.name in told


def relabel(path, kind, edge):
    """Write a label that is all of what no class has."""
    values = np.empty((edge, edge), np.uint8)
    if isinstance(kind.strange, int):
        values = np.full_like(values, kind.strange)
    else:
        values = np.stack([np.full_like(values, v) for v in kind.strange])
    if path.suffix.casefold() == ".png":
        tiny.write_picture(path, values)
    else:
        with_place(path, values)


def with_place(path, values):
    """Write values where those lay that stood there."""
    with rasterio.open(path) as file:
        place = file.transform
        crs = file.crs
    tiny.write_raster(path, values, PLACE, crs=crs, transform=place)


@pytest.mark.parametrize("name", PICTURES)
def test_sixteen_bits_where_eight_are_expected(name, folder):
    path = folder / FOLDERS[name].image
    edge = 520 if name == "landcover_ai" else EDGE
    values = 200 * rgb(edge=edge).astype(np.uint16)
    if path.suffix == ".tif":
        with_place(path, values)
    else:
        tiny.write_raster(path, values, PLACE, driver="PNG")
    assert re.search("uint16|16", refused(name, folder, DataError))


@pytest.mark.parametrize("name", TWINS)
def test_the_same_id_twice(name, folder):
    kind = FOLDERS[name]
    shutil.copy(folder / kind.image, folder / kind.twin)
    refused(name, folder, DataError)
