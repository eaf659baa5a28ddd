"""Reviews: what persons decide is kept and read back; proposals count for nothing."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from swath.data.classes import Classes
from swath.data.reviews import decided, reviewed, write_review
from swath.data.scenes import Collection, Scene
from swath.data.sources import ArraySource
from swath.data.whole_images import ImageLabel
from swath.errors import DataError, ReadError
from swath.geo.grids import pixel_grid
from swath.geo.vectors import write_vectors
from swath.sensors.catalogue import resolve
from swath.studio import labels as drawn

CASES = pd.DataFrame({"image": ["a", "b", "c"], "class": ["? tin", "? tiles", "? tin"], "reason": ["unsure"] * 3})
SQUARES = [shapely.box(9 + i, 47, 9.5 + i, 47.5) for i in range(3)]


def test_a_mark_makes_a_proposal():
    column = pd.Series(["tin", " ? tin", "?tin", "", None, "tin ?"])
    assert decided(column).tolist() == [True, False, False, False, False, True]


def test_writing_again_changes_nothing(tmp_path):
    path = tmp_path / "review.csv"
    assert write_review(CASES, path)
    first = path.read_bytes()
    assert write_review(CASES, path)
    assert path.read_bytes() == first


def test_decisions_outlive_new_cases(tmp_path):
    path = tmp_path / "review.csv"
    write_review(CASES, path)
    table = pd.read_csv(path)
    table.loc[1, "class"] = "slate"
    table.to_csv(path, index=False)
    later = pd.DataFrame({"image": ["b", "d"], "class": ["? tin", "? tin"], "reason": ["unsure"] * 2})
    for _ in range(2):
        write_review(later, path)
        assert pd.read_csv(path).set_index("image")["class"].to_dict() == {"d": "? tin", "b": "slate"}
    write_review(later.iloc[:0], path)
    assert pd.read_csv(path)["class"].tolist() == ["slate"]


def test_nothing_to_review_writes_nothing(tmp_path):
    assert not write_review(CASES.iloc[:0], tmp_path / "review.csv")
    assert not (tmp_path / "review.csv").exists()


def test_outlines_that_the_studio_saved_are_known_again(tmp_path):
    path = tmp_path / "review.gpkg"
    cases = gpd.GeoDataFrame(CASES, geometry=SQUARES, crs="EPSG:4326")
    write_review(cases, path)
    began, shown = drawn.load(path)
    shown["features"][0]["properties"] = {"class": "slate"}  # drawn anew
    drawn.save(path, shown["features"], began)
    assert gpd.read_file(path)["image"].isna().tolist() == [True, *[False] * (len(cases) - 1)]
    for _ in range(2):
        write_review(cases, path)
        found = gpd.read_file(path)
        assert sorted(found["class"]) == ["? tiles", "? tin", "slate"]
        assert found.crs == "EPSG:4326"


def pictures(*ids, classes=("tin", "tiles", "slate")):
    source = ArraySource(np.ones((3, 4, 4), np.uint8), resolve("rgb"), pixel_grid(4, 4))
    scenes = tuple(Scene(name, {"image": source}, ImageLabel(0)) for name in ids)
    return Collection(scenes, classes and Classes.of(list(classes)))


def test_decisions_become_labels(tmp_path):
    path = tmp_path / "review.csv"
    pd.DataFrame({"image": ["train/x/a", "b", "c"], "class": ["slate", " tiles", "? slate"]}).to_csv(path, index=False)
    found = reviewed(pictures("train/x/a", "train/y/b", "train/y/c"), path)
    assert [scene.labels.index for scene in found] == [2, 1, 0]
    assert found.facts["reviewed"] == "2 classes from review.csv"


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"image": ["a"], "class": ["straw"]}, DataError, "no class: got straw; expected tin"),
        ({"image": ["z"], "class": ["tin"]}, DataError, "not there, or several at once: got z"),
        ({"image": ["same"], "class": ["tin"]}, DataError, "several at once: got same"),
        ({"image": ["a"]}, DataError, "is no review"),
        ({"class": ["tin"]}, DataError, "which images"),
    ],
)
def test_what_a_review_cannot_say(tmp_path, columns, error, message):
    path = tmp_path / "review.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    with pytest.raises(error, match=message):
        reviewed(pictures("a", "x/same", "y/same"), path)


def test_a_review_that_cannot_be_read(tmp_path):
    for name in ("absent.csv", "absent.gpkg"):
        with pytest.raises(ReadError):
            reviewed(pictures("a"), tmp_path / name)
    write_vectors(gpd.GeoDataFrame({"kind": ["a"]}, geometry=SQUARES[:1], crs="EPSG:4326"), tmp_path / "r.gpkg")
    with pytest.raises(DataError, match="is no review"):
        write_review(CASES, tmp_path / "r.gpkg")
    (tmp_path / "r.csv").write_text("image,class\na,tin\n")
    with pytest.raises(DataError, match="no class"):
        reviewed(pictures("a", classes=None), tmp_path / "r.csv")
