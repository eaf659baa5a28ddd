"""File patterns, on folders made by hand."""

import pytest

from swath.data.matching import Companions, is_single, match_files
from swath.errors import ConfigError, DataError, ReadError


@pytest.fixture
def folder(tmp_path):
    for name in (
        "img/a/1.tif",
        "img/a/2.tif",
        "img/b/1.tif",
        "mask/a-1.png",
        "mask/a-2.png",
        "one[1].tif",
        "deep/x/y/z.tif",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def ids(root, *patterns):
    return [match.id for match in match_files(root, *patterns)]


def test_ids_are_fields_or_wildcards_or_stems(folder):
    assert ids(folder, "img/{tile}/{id}.tif") == ["a/1", "a/2", "b/1"]
    assert ids(folder, "img/*/1.tif") == ["a", "b"]
    assert ids(folder, "img/*/?.tif") == ["a/1", "a/2", "b/1"]
    assert ids(folder, "one[1].tif") == ["one[1]"]
    assert ids(folder, "deep/**/z.tif") == ["x/y"]


def test_a_field_that_stands_twice_is_the_same_text(folder):
    (folder / "img/a/a.tif").touch()
    assert ids(folder, "img/{id}/{id}.tif") == ["a"]


def test_what_desktop_programs_leave_beside_rasters_is_passed_over(folder):
    for name in ("1.tif.aux.xml", "1.tif.ovr"):
        (folder / "img/a" / name).touch()
    assert ids(folder, "img/{tile}/{id}.*") == ["a/1", "a/2", "b/1"]


def test_ids_are_unique(folder):
    with pytest.raises(DataError, match="same id '1'"):
        match_files(folder, "img/a/1.tif", "img/b/1.tif")


def test_nothing_found_names_the_folder(folder):
    with pytest.raises(ReadError, match=r"img/a has no such file.*It holds 1\.tif, 2\.tif"):
        match_files(folder, "img/a/*.jp2")
    with pytest.raises(ReadError, match=r"imgs does not exist.*Did you mean .*/img"):
        match_files(folder, "imgs/*.tif")


def test_companions_follow_fields_ids_or_are_shared(folder):
    first, *_ = match_files(folder, "img/{tile}/{id}.tif")
    assert Companions(folder, "mask/{tile}-{id}.png").of(first).name == "a-1.png"
    assert Companions(folder, "one[1].tif").of(first).name == "one[1].tif"
    plain = match_files(folder, "img/a/*.tif")
    assert Companions(folder, "mask/a-*.png").of(plain[1]).name == "a-2.png"
    assert Companions(folder, "mask/a-{id}.png").of(plain[0]).name == "a-1.png"
    assert Companions(folder, "mask/{tile}-1.png").of(first).name == "a-1.png"
    assert Companions(folder, "img/a/*.tif").of(match_files(folder, "deep/**/z.tif")[0]) is None
    with pytest.raises(ConfigError, match="field that the images do not have"):
        Companions(folder, "mask/{city}-{id}.png").of(first)


def test_one_file_is_told_from_many():
    assert is_single("a/b[1].tif")
    assert not is_single("a/{id}.tif")
