"""Drawn labels: what is saved is what a fit reads, and no edit is lost silently."""

import hashlib

import geopandas as gpd
import numpy as np
import pytest
import yaml
from pyproj import Transformer

testing = pytest.importorskip("starlette.testclient", reason="the extra `studio` is not installed")

import tiny  # noqa: E402
from swath.data.config import load_data  # noqa: E402
from swath.errors import DataError  # noqa: E402
from swath.studio.app import create_app  # noqa: E402
from swath.studio.labels import _frame  # noqa: E402

GRID = tiny.grid(64, 64, tiny.UTM33, 10.0)


def polygon(row, col, height, width, label):
    to_lonlat = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True)
    corners = [(row, col), (row, col + width), (row + height, col + width), (row + height, col), (row, col)]
    ring = [to_lonlat.transform(500_000 + 10 * c, 5_000_000 - 10 * r) for r, c in corners]
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {"class": label}}


@pytest.fixture
def own(tmp_path):
    folder = tmp_path / "own"
    values = np.random.default_rng(0).integers(1, 1000, (2, 64, 64)).astype(np.uint16)
    tiny.write_raster(folder / "scene.tif", values, GRID, names=("a", "b"))
    with testing.TestClient(create_app([folder]), base_url="http://localhost") as client:
        yield folder, client


def save(client, features, version, path="own/labels.gpkg"):
    body = {"type": "FeatureCollection", "features": features}
    return client.put("/api/labels", params={"path": path}, json=body, headers={"if-match": f'"{version}"'})


def test_two_tabs_never_lose_an_edit(own):
    folder, client = own
    assert client.get("/api/labels", params={"path": "own/labels.gpkg"}).headers["etag"] == '"new"'
    first = save(client, [polygon(0, 0, 9, 9, "field")], "new").json()["version"]
    # a second tab that began before the first save
    assert save(client, [polygon(9, 9, 9, 9, "forest")], "new").status_code == 412
    second = save(client, [polygon(0, 0, 9, 9, "field"), polygon(20, 20, 9, 9, "forest")], first).json()["version"]
    assert save(client, [], first).status_code == 400  # nothing to save is told first
    refused = save(client, [polygon(5, 5, 9, 9, "field")], first)
    assert refused.status_code == 412
    assert "changed by someone else" in refused.json()["problem"]
    assert len(gpd.read_file(folder / "labels.gpkg")) == 2
    found = client.get("/api/labels", params={"path": "own/labels.gpkg"})
    assert found.headers["etag"] == f'"{second}"'
    assert [f["properties"]["class"] for f in found.json()["features"]] == ["field", "forest"]


def test_columns_of_others_are_kept_and_layers_not_written_over(own):
    folder, client = own
    path = folder / "labels.gpkg"
    tiny.boxes([(4, 4, 9, 9), (20, 20, 9, 9)], GRID, **{"class": ["field", None], "owner": ["a", "b"]}).to_file(path)
    found = client.get("/api/labels", params={"path": "own/labels.gpkg"})
    assert [f["properties"]["class"] for f in found.json()["features"]] == ["field", None]
    second = found.json()["features"][1]
    second["properties"]["class"] = "forest"
    began = found.headers["etag"].strip('"')
    strange = {**second, "properties": {"class": "forest", "row": 7}}
    assert save(client, [strange], began).status_code == 400
    assert save(client, [polygon(0, 0, 9, 9, "field"), second], began).status_code == 200
    kept = gpd.read_file(path)
    assert kept["class"].tolist() == ["field", "forest"]
    assert kept["owner"].isna().tolist() == [True, False]
    assert kept["owner"][1] == "b"
    kept.to_file(path, layer="others")
    before = path.read_bytes()
    refused = save(client, [polygon(0, 0, 9, 9, "field")], hashlib.sha256(before).hexdigest()[:32])
    assert refused.status_code == 400
    assert "others" in refused.json()["got"]
    assert path.read_bytes() == before


def test_labels_become_data_that_a_fit_reads(own):
    folder, client = own
    save(client, [polygon(4, 4, 20, 20, "field"), polygon(4, 36, 20, 20, "forest")], "new")
    order = {
        "output": "own/sub/data.yaml", "images": ["own/scene.tif"], "labels": "own/labels.gpkg", "block": 100,
        "classes": [{"name": "field", "colour": "#c81e28"}, {"name": "forest", "colour": "#14a03c"}],
    }  # fmt: skip
    answer = client.post("/api/data", json=order)
    assert answer.status_code == 200, answer.text
    data = load_data(folder / "sub" / "data.yaml")
    assert data.classes.names == ("field", "forest")
    labels = data[0].labels.read(data[0].grid)
    # what was drawn, on the pixels where it was drawn
    assert (labels[4:24, 4:24] == 0).all()
    assert (labels[4:24, 36:56] == 1).all()
    assert (labels >= 0).sum() == 800
    assert yaml.safe_load((folder / "sub" / "data.yaml").read_text())["layers"]["image"]["files"] == "../scene.tif"


@pytest.mark.parametrize(
    ("feature", "problem"),
    [
        (polygon(0, 0, 9, 9, ""), "has no class"),
        (polygon(0, 0, 9, 9, 7), "has no class"),
        ({"geometry": None, "properties": {"class": "a"}}, "no point, line or polygon"),
        ({"geometry": {"type": "Point", "coordinates": [400, 0]}, "properties": {"class": "a"}}, "not on Earth"),
        ({"geometry": {"type": "Point", "coordinates": []}, "properties": {"class": "a"}}, "not on Earth|damaged"),
        ({"geometry": {"type": "Polygon", "coordinates": 3}, "properties": {"class": "a"}}, "damaged"),
        (
            {
                "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]},
                "properties": {"class": "a"},
            },
            "crosses itself",
        ),
    ],
)
def test_labels_that_are_none_are_refused(feature, problem):
    with pytest.raises(DataError, match=problem):
        _frame([feature])


def test_a_layer_that_is_no_labels_file_is_refused(own):
    _, client = own
    order = {
        "output": "own/data.yaml", "images": ["own/scene.tif"], "labels": "own/nothing.gpkg",
        "classes": [{"name": "field", "colour": "#c81e28"}],
    }  # fmt: skip
    assert client.post("/api/data", json=order).status_code == 404
    assert client.post("/api/data", json={**order, "output": "own/data.txt"}).status_code == 400
