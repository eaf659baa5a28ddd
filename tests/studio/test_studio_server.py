"""The server: what it lists and shows, and that tiles show the right colour at the right place."""

import io
import json
import math
import shutil

import numpy as np
import pytest
import rasterio
from PIL import Image
from pyproj import Transformer

import tiny
from studio_place import tile_of

pytest.importorskip("fastapi", reason="the extra `studio` is not installed")

GRID = tiny.grid(64, 64, tiny.UTM33, 10.0)
FIELD, FOREST = (200, 30, 40, 255), (20, 160, 60, 255)


def lonlat(row, col):
    """Longitude and latitude of the centre of a pixel of the served rasters."""
    x, y = 500_000 + 10 * (col + 0.5), 5_000_000 - 10 * (row + 0.5)
    return Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True).transform(x, y)


def colour_at(client, row, col, zoom=17, **style):
    z, x, y, tile_row, tile_col = tile_of(*lonlat(row, col), zoom)
    answer = client.get(f"/api/tiles/{z}/{x}/{y}", params=style)
    assert answer.status_code == 200, answer.text
    picture = np.array(Image.open(io.BytesIO(answer.content)).convert("RGBA"))
    return tuple(int(value) for value in picture[tile_row, tile_col])


def test_listing_tells_kinds_and_why_files_are_broken(client):
    entries = {e["name"]: e for e in client.get("/api/files", params={"path": "place"}).json()["entries"]}
    assert {name: entry["kind"] for name, entry in entries.items() if "broken" not in entry} == {
        "runs": "folder", "scene_20230610.tif": "raster", "first.tif": "raster", "second.tif": "raster",
        "picture.png": "raster", "truth.gpkg": "vector", "point.geojson": "vector",
    }  # fmt: skip
    assert entries["scene_20230610.tif"]["date"] == "2023-06-10"
    broken = {name for name, entry in entries.items() if "broken" in entry}
    assert broken == {"truncated.tif", "noise.gpkg", "bad.yaml", "virtual.tif", "link.tif"}
    assert all(entries[name]["broken"] for name in broken)
    runs = client.get("/api/files", params={"path": "place/runs"}).json()["entries"]
    assert [(e["name"], e["kind"]) for e in runs] == [("old", "run")]


def test_facts_of_a_scene(client):
    facts = client.get("/api/layer", params={"path": "place/scene_20230610.tif"}).json()
    assert facts["crs"] == "EPSG:32633"
    assert facts["shape"] == [64, 64]
    assert [band["name"] for band in facts["bands"]] == ["a", "b"]
    west, south, east, north = facts["bounds"]
    lon, lat = lonlat(31.5, 31.5)
    assert west < lon < east
    assert south < lat < north
    # 98 of 100 of the ramp from 1000 to 7300 lie below its 98th percentile
    assert facts["bands"][0]["low"] == pytest.approx(1000 + 6300 * 0.02, abs=100)
    assert facts["bands"][0]["high"] == pytest.approx(1000 + 6300 * 0.98, abs=100)


@pytest.mark.parametrize(("seen", "date"), [("2023-06-10T10:00:00Z", "2023-06-10T10:00:00Z"), (None, None)])
def test_a_product_has_the_date_of_what_it_shows_not_of_its_making(client, served, seen, date):
    folder = served / "later"
    path = tiny.write_raster(folder / "map.tif", np.ones((64, 64), np.float32), GRID)
    made = "2024-01-01T00:00:00.5Z"
    properties = {"datetime": seen or "2024-01-01T00:00:00Z", "created": made}
    (folder / "map.tif.stac.json").write_text(json.dumps({"properties": properties}))
    assert client.get("/api/layer", params={"path": f"place/later/{path.name}"}).json()["date"] == date
    shutil.rmtree(folder)


def test_facts_of_a_class_map(client):
    facts = client.get("/api/layer", params={"path": "place/first.tif"}).json()
    assert facts["classes"] == [
        {"code": 1, "name": "field", "colour": "#c81e28"},
        {"code": 2, "name": "forest", "colour": "#14a03c"},
    ]


@pytest.mark.parametrize(
    ("row", "col", "expected"), [(20, 5, FIELD), (20, 31, FIELD), (20, 32, FOREST), (60, 60, FOREST)]
)
def test_a_tile_has_the_colour_of_the_class_at_that_place(client, row, col, expected):
    assert colour_at(client, row, col, path="place/first.tif") == expected


def test_no_data_is_transparent(client):
    assert colour_at(client, 3, 20, path="place/first.tif")[3] == 0
    assert colour_at(client, 62, 62, path="place/scene_20230610.tif")[3] == 0


def test_a_tile_outside_is_empty(client):
    answer = client.get("/api/tiles/3/0/0", params={"path": "place/first.tif"})
    assert np.array(Image.open(io.BytesIO(answer.content)).convert("RGBA"))[..., 3].max() == 0


def test_sixteen_bits_are_stretched_as_asked(client):
    # 3000 lies a quarter of the way from 2000 to 6000: 1 + 254 / 4
    style = {"path": "place/scene_20230610.tif", "bands": "1", "low": "2000", "high": "6000"}
    grey = colour_at(client, 30, 20, **style)
    assert grey[3] == 255
    assert grey[0] == grey[1] == grey[2] == pytest.approx(64, abs=1)
    assert colour_at(client, 30, 2, **style)[0] == 1
    assert colour_at(client, 30, 60, **style)[0] == 255


@pytest.mark.parametrize(
    "style", [{"bands": "1,2"}, {"bands": "7"}, {"low": "5", "high": "4"}, {"bands": "1", "colours": "nothing"}]
)
def test_a_style_that_does_not_fit_is_refused(client, style):
    z, x, y, _, _ = tile_of(*lonlat(20, 20), 17)
    answer = client.get(f"/api/tiles/{z}/{x}/{y}", params={"path": "place/scene_20230610.tif", **style})
    assert answer.status_code == 400
    assert answer.json()["problem"]


def test_a_picture_without_crs_is_shown(client):
    facts = client.get("/api/layer", params={"path": "place/picture.png"}).json()
    assert facts["crs"] is None
    z, x, y, row, col = tile_of(10 / 111_319.49, 10 / 111_319.49, 20)
    content = client.get(
        f"/api/tiles/{z}/{x}/{y}", params={"path": "place/picture.png", "low": "0", "high": "255"}
    ).content
    assert Image.open(io.BytesIO(content)).convert("RGBA").getpixel((col, row))[3] == 255


def test_values_at_a_place(client):
    lon, lat = lonlat(30, 20)
    paths = ["place/scene_20230610.tif", "place/first.tif"]
    scene, classes = client.get("/api/values", params={"lon": lon, "lat": lat, "path": paths}).json()
    assert [band["value"] for band in scene["bands"]] == [3000, 6000]
    assert scene["date"] == "2023-06-10"
    assert classes["bands"][0]["class"] == "field"
    assert client.get("/api/values", params={"lon": 0, "lat": 0, "path": paths}).json() == [None, None]


def test_vectors_come_in_longitude_and_latitude(client):
    found = client.get("/api/vector", params={"path": "place/truth.gpkg"}).json()
    assert {f["properties"]["class"] for f in found["features"]} == {"field", "forest"}
    lon, lat = lonlat(9.5, 3.5)
    west, _, _, north = found["bbox"]
    assert math.isclose(west, lon, abs_tol=2e-4)
    assert math.isclose(north, lat, abs_tol=2e-4)


def test_the_first_rows_of_a_table(client, served):
    folder = served / "later"
    folder.mkdir()
    rows = "".join(f"{n},{n / 2}\n" for n in range(201))
    (folder / "many.csv").write_text("name,value\nfirst,\n" + rows)
    (folder / "bad.csv").write_bytes(b'a,b\n1,2\n"')
    (folder / "empty.csv").write_bytes(b"")
    found = client.get("/api/table", params={"path": "place/later/many.csv"}).json()
    assert (found["columns"], found["rows"][:2]) == (["name", "value"], [["first", None], ["0", 0.0]])
    assert len(found["rows"]) == 200
    assert found["cut"]
    for name in ("bad.csv", "empty.csv"):
        assert client.get("/api/table", params={"path": f"place/later/{name}"}).status_code == 404
    entries = client.get("/api/files", params={"path": "place/later"}).json()["entries"]
    assert {entry["kind"] for entry in entries} == {"table"}
    shutil.rmtree(folder)


def test_a_run_is_told_whole(client):
    found = client.get("/api/run", params={"path": "place/runs/old"}).json()
    assert found["system"] == "bhutan_rice"
    assert found["history"] == {"epoch": [0, 1], "train_loss": [1.5, 0.9], "val_miou": [0.2, None]}
    assert found["scores"][0]["details"]["confusion"] == [[5, 1], [2, 7]]
    assert found["scores"][0]["baselines"]["majority"]["miou"]["value"] is None
    assert client.get("/api/runs").json() == [{"path": "place/runs/old", "name": "old"}]


def test_the_catalogue_and_a_card(client):
    systems = client.get("/api/systems").json()
    assert {"id", "title", "family", "built", "forms"} == set(systems[0])
    assert {"cloudtracks:instances"} < {form for system in systems for form in system["forms"]}
    card = client.get("/api/systems/bhutan_rice").json()
    assert "epochs" in {option["name"] for option in card["options"]}
    assert {option["name"] for option in card["options"] if option["file"]} == {"weights"}
    form = client.get("/api/systems/cloudtracks:instances").json()
    assert {"suppression", "epochs"} <= {option["name"] for option in form["options"]}
    untrained = client.get("/api/systems/methane_onboard").json()
    assert "epochs" not in {option["name"] for option in untrained["options"]}
    assert untrained["predict"]["products"] == ["mask", "plumes", "quicklook"]
    assert client.get("/api/systems/cloudtracks:nothing").status_code == 404
    assert client.get("/api/systems/nothing").status_code == 404


def test_comparison_counts_and_tests(client):
    order = {"first": "place/first.tif", "second": "place/second.tif", "labels": "place/truth.gpkg"}
    found = client.post("/api/compare", json=order).json()
    # 56 rows of 64 hold data; rows 20 to 29 and columns 30 and 31 went from field to forest
    assert found["pixels"] == 56 * 64
    assert found["matrix"] == [[56 * 32 - 20, 20], [0, 56 * 32]]
    assert found["agreement"] == pytest.approx(1 - 20 / (56 * 64))
    # the labels lie in columns 4 to 23 and 40 to 59: both maps are right there
    assert found["mcnemar"] == {
        "both": 800, "first_only": 0, "second_only": 0, "neither": 0, "statistic": None, "p": 1.0,
    }  # fmt: skip
    assert client.post("/api/compare", json={**order, "second": "place/scene_20230610.tif"}).status_code == 400


def test_mcnemar_against_numbers_by_hand():
    from swath.studio.compare import mcnemar

    # Edwards: (|30 - 10| - 1)^2 / 40
    assert mcnemar(np.array([[5, 10], [30, 55]]))["statistic"] == pytest.approx(9.025)
    assert mcnemar(np.array([[5, 10], [30, 55]]))["p"] == pytest.approx(0.002663, abs=1e-5)
    # exact: twice the chance of at most 1 of 8 heads, (1 + 8) / 256
    few = mcnemar(np.array([[0, 1], [7, 0]]))
    assert few["p"] == pytest.approx(2 * 9 / 256)
    assert (few["first_only"], few["second_only"]) == (7, 1)


def test_the_difference_map_shows_where(client):
    z, x, y, row, col = tile_of(*lonlat(25, 31), 17)
    both = {"first": "place/first.tif", "second": "place/second.tif"}
    picture = Image.open(io.BytesIO(client.get(f"/api/difference/{z}/{x}/{y}", params=both).content)).convert("RGBA")
    assert picture.getpixel((col, row)) == (214, 39, 110, 255)
    z, x, y, row, col = tile_of(*lonlat(40, 31), 17)
    picture = Image.open(io.BytesIO(client.get(f"/api/difference/{z}/{x}/{y}", params=both).content)).convert("RGBA")
    assert picture.getpixel((col, row)) == (120, 120, 120, 90)


def test_download_is_the_file(client, served):
    answer = client.get("/api/download", params={"path": "place/first.tif"})
    assert answer.content == (served / "first.tif").read_bytes()
    assert "attachment" in answer.headers["content-disposition"]


def test_a_band_marked_as_alpha_has_values_too(client, served):
    from rasterio.enums import ColorInterp

    kinds = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    values = np.arange(1, 5, dtype=np.uint8)[:, None, None] * np.ones((4, 64, 64), np.uint8)
    path = tiny.write_raster(served / "later" / "infrared.tif", values, GRID)
    with rasterio.open(path, "r+") as raster:
        raster.colorinterp = kinds
    lon, lat = lonlat(30, 20)
    found = client.get("/api/values", params={"lon": lon, "lat": lat, "path": "place/later/infrared.tif"}).json()
    assert [band["value"] for band in found[0]["bands"]] == [1, 2, 3, 4]
    shutil.rmtree(served / "later")
