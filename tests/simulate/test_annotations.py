"""Truths on disk against the vector layers, the equations and the geometry that they tell."""

import json
import re
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
import yaml
from rasterio import features
from rasterio.transform import RPCTransformer
from scipy import ndimage

from swath.cli import main
from swath.simulate import annotations, instruments, layouts, presets, requests, save
from swath.simulate.world import make_world

SETTINGS = {"seed": 3, "width": 1500, "height": 1500, "towns": 60}
BOX = (500400.0, 5300500.0, 500640.0, 5300740.0)
FIRST, SECOND = "shot0_20230610T1030", "shot0_20230701T1030"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("truths")
    asked = {
        **SETTINGS,
        "images": [{"sensor": "planetscope4", "dates": ["06-10", "07-01"], "bounds": list(BOX)}],
        "events": [
            {"kind": "earthquake", "date": "06-20", "magnitude": 6.8},
            {"kind": "leak", "date": "06-20", "rate": 1500, "source": [500440.0, 5300600.0]},
        ],
        "truths": list(annotations.TRUTHS),
    }
    save.simulate(asked, path)
    return path


@pytest.fixture(scope="module")
def place():
    return make_world(**SETTINGS)


def layer(folder, name):
    return gpd.read_file(folder / "vectors.gpkg", layer=name).set_index("id")


def picture(folder, name=FIRST):
    with rasterio.open(folder / "images" / "planetscope4" / f"{name}.tif") as file:
        return file.transform, file.shape, shapely.box(*file.bounds)


def test_boxes_are_those_of_the_polygons(folder):
    affine, shape, frame = picture(folder, SECOND)
    told = json.loads((folder / "truth" / "boxes" / f"{SECOND}.json").read_text())
    houses = layer(folder, "buildings")
    mine = [a for a in told["annotations"] if a["category_id"] == 1]
    standing = houses[houses["start_date"] <= "2023-07-01"]
    share = standing.intersection(frame).area / standing.area
    assert {a["id"] for a in mine} == set(share.index[share >= 0.3])
    for a in mine:
        west, south, east, north = houses.geometry[a["id"]].intersection(frame).bounds
        left, top, width, height = a["bbox"]
        corner = affine @ (left, top), affine @ (left + width, top + height)
        assert np.ravel(corner) == pytest.approx([west, north, east, south], abs=0.01)
        turned = shapely.Polygon([affine @ c for c in a["corners"]])
        assert turned.buffer(0.02).contains(houses.geometry[a["id"]])
        assert turned.area == pytest.approx(houses.geometry[a["id"]].minimum_rotated_rectangle.area, rel=0.01)
        assert a["visible"] == pytest.approx(share[a["id"]], abs=1e-3)
    assert told["images"][0]["height"] == shape[0]


def test_damage_is_told_alike_everywhere(folder):
    changed = json.loads((folder / "truth" / "changes" / f"{FIRST}_to_{SECOND}.json").read_text())
    before, after = (
        {a["id"]: a["damage"] for a in json.loads((folder / "truth" / "boxes" / f"{n}.json").read_text())["annotations"]
         if a["category_id"] == 1}
        for n in (FIRST, SECOND)
    )  # fmt: skip
    assert set(before.values()) == {0}
    assert max(after.values()) > 0
    damage = {int(i): d for i, d in changed["damage"].items()}
    assert all(damage.get(i, 0) == state for i, state in after.items())
    destroyed = sum(d == 3 for d in damage.values())
    if destroyed > 1:
        assert f"{destroyed} buildings have been destroyed." in changed["captions"]
    with rasterio.open(folder / "truth" / "changes" / f"{FIRST}_to_{SECOND}.tif") as file:
        first, second, differ = file.read()
    assert np.array_equal(differ == 1, first != second)


def test_densities_sum_to_what_the_vectors_hold(folder):
    affine, shape, frame = picture(folder)
    counts = json.loads((folder / "truth" / "densities" / f"{FIRST}.json").read_text())
    with rasterio.open(folder / "truth" / "densities" / f"{FIRST}.tif") as file:
        planes = dict(zip(file.descriptions, file.read(), strict=True))
    assert set(planes) == set(counts) == {"building", "vehicle", "ship", "tree"}
    for kind, plane in planes.items():
        assert plane.sum(dtype=float) == pytest.approx(counts[kind], rel=1e-4, abs=1e-6)
    houses, trees = layer(folder, "buildings"), layer(folder, "trees")
    houses = houses[houses["start_date"] <= "2023-06-10"]
    assert counts["building"] == houses.centroid.within(frame).sum()
    assert counts["tree"] == trees.within(frame).sum() > 100
    # oracle: the trees of each pixel, blurred as a whole by scipy
    col, row = ~affine @ (trees.geometry.x.to_numpy(), trees.geometry.y.to_numpy())
    stems = np.histogram2d(row, col, shape, ((0, shape[0]), (0, shape[1])))[0]
    assert planes["tree"] == pytest.approx(ndimage.gaussian_filter(stems, 2.0, mode="reflect"), abs=1e-5)


def test_instances_lie_on_their_polygons(folder):
    affine, shape, _ = picture(folder)
    with rasterio.open(folder / "truth" / "instances" / f"{FIRST}.tif") as file:
        numbers = dict(zip(file.descriptions, file.read(), strict=True))
    ids = pd.read_csv(folder / "truth" / "instances" / f"{FIRST}.csv")
    for name, seen in numbers.items():
        known = ids[ids["layer"] == name].set_index("number")["id"]
        shapes = layer(folder, name)
        for number in np.unique(seen[seen > 0]):
            inside = features.geometry_mask([shapes.geometry[known[number]]], shape, affine, invert=True)
            assert not ((seen == number) & ~inside).any()
    assert numbers["buildings"].max() > 0


def test_biomass_and_stems_are_those_of_the_trees(folder):
    affine, _, frame = picture(folder)
    with rasterio.open(folder / "truth" / "vegetation" / f"{FIRST}.tif") as file:
        biomass, stems, crowns = file.read()
    trees = layer(folder, "trees")
    inside = trees[trees.within(frame)]
    assert stems.sum() == len(inside)
    tonnes = biomass.sum(dtype=float) * affine.a**2 / 1e4
    assert tonnes == pytest.approx(inside["biomass"].sum() / 1000, rel=1e-4)
    assert crowns.max() <= trees["height"].max()


def test_heights_differ_by_what_stands(folder, place):
    affine, shape, _ = picture(folder)
    with rasterio.open(folder / "truth" / "heights" / f"{FIRST}.tif") as file:
        dem, dsm = file.read()
    houses = layer(folder, "buildings")
    flat = houses[(houses["start_date"] <= "2023-06-10") & (houses["roof:shape"] == "flat")]
    for shape_, height in zip(flat.geometry, flat["height"], strict=True):
        inside = features.geometry_mask([shape_.buffer(-4)], shape, affine, invert=True)
        if inside.any():
            assert np.median((dsm - dem)[inside]) == pytest.approx(height, abs=1.5)
    with rasterio.open(folder / "dem.tif") as file:
        rows, cols = np.indices(shape)[:, 10:-10:9, 10:-10:9].reshape(2, -1)
        coarse = np.array(list(file.sample(np.stack(affine @ (cols + 0.5, rows + 0.5), -1))))[:, 0]
    assert np.abs(dem[rows, cols] - coarse).mean() < 2


def test_plume_mass_is_that_of_its_column(folder):
    assert not list((folder / "truth" / "plumes").glob(f"{FIRST}*"))
    told = json.loads((folder / "truth" / "plumes" / f"{SECOND}_ch4_0.json").read_text())
    with rasterio.open(folder / "truth" / "plumes" / f"{SECOND}_ch4_0.tif") as file:
        column, pixel = file.read(1), file.transform.a
    # 16.04 g/mol over the molar volume at 15 degrees and 1013 hPa, 8.314 * 288.15 / 101325 m3/mol
    kilograms = column.sum(dtype=float) * 1e-6 * 0.01604 / (8.314 * 288.15 / 101325) * pixel**2
    assert told["mass_kg"] == pytest.approx(kilograms, rel=1e-3)
    # about rate / wind * length that the plume runs in the picture
    assert 0.3 < told["mass_kg"] / (1500 / 3600 / 3.5 * 200) < 1.6


def test_answers_are_those_of_the_vectors(folder):
    affine, _, _ = picture(folder)
    lines = [json.loads(t) for t in (folder / "truth" / "language" / f"{FIRST}.jsonl").read_text().splitlines()]
    assert lines
    natural, parcels, ways = (layer(folder, name) for name in ("natural", "parcels", "roads"))
    houses, trees = layer(folder, "buildings"), layer(folder, "trees")
    houses = houses[houses["start_date"] <= "2023-06-10"]
    for line in lines:
        row, col, height, width = line["window"]
        (left, top), (right, bottom) = affine @ (col, row), affine @ (col + width, row + height)
        frame = shapely.box(left, bottom, right, top)
        cut = houses.intersection(frame).area
        answers = {q["text"]: q["answer"] for q in line["questions"]}
        assert {q["kind"] for q in line["questions"]} >= {"presence", "count", "comparison", "area"}
        assert answers["How many buildings are there?"] == str((cut > 5).sum())
        assert answers["Is there a tree in the image?"] == ("yes" if trees.intersects(frame).any() else "no")
        cuts = {
            "buildings": houses, "water areas": natural[natural["natural"] == "water"], "roads": ways,
            "woods": natural[natural["natural"] == "wood"], "fields": parcels,
        }  # fmt: skip
        cuts = {name: found.intersection(frame) for name, found in cuts.items()}
        counts = {name: int(((c.length > 4) if name == "roads" else (c.area > 5)).sum()) for name, c in cuts.items()}
        counts["trees"] = int(trees.intersects(frame).sum())
        for question in line["questions"]:
            found = re.fullmatch(r"Are there more (.+) than (.+)\?", question["text"])
            if found and "ships" not in found.groups():
                assert question["answer"] == ("yes" if counts[found[1]] > counts[found[2]] else "no")
            if found := re.fullmatch(r"What is the area covered by (.+)\?", question["text"]):
                low, _, high = question["answer"].removeprefix("between ").replace("m2", "").partition(" and ")
                area = cuts[found[1]].area[cuts[found[1]].area > 5].sum()
                assert float(low) <= area <= float(high or 0)
        shown = cuts["buildings"][cuts["buildings"].area > 5]
        if (asked := answers.get("Are most buildings within 30 metres of a road?")) is not None:
            assert asked == ("yes" if (shown.distance(cuts["roads"].union_all()) < 30).mean() > 0.5 else "no")
        for subject, predicate, target in line["relations"]:
            a, b = line["objects"][subject], line["objects"][target]
            if predicate == "near" and a["kind"] == b["kind"] == "building":
                assert houses.geometry[a["id"]].distance(houses.geometry[b["id"]]) <= 25
        boxes = [o["box"] for o in line["objects"] if o["kind"] == "building"]
        assert all(b[0] < b[2] and b[1] < b[3] for b in boxes)


def test_views_tell_their_geometry(folder):
    views = folder / "truth" / "views"
    for name in ("oblique", "thermal", "orbit"):
        pose = json.loads((views / f"{name}.json").read_text())
        points = np.load(views / f"{name}.points.npy")
        row, col = np.nonzero(np.isfinite(points[..., 0]))
        camera = np.array(pose["matrix"]) @ np.array(pose["rotation"])
        seen = camera @ (points[row, col] - pose["centre"]).T
        assert np.abs(seen[:2] / seen[2] - np.stack([col, row]) - 0.5).max() < 1e-2
        level = points[row, col].copy()
        level[:, 2] = pose["plane_z"]
        flat = np.array(pose["homography"]) @ np.column_stack([level[:, :2], np.ones(len(level))]).T
        direct = camera @ (level - pose["centre"]).T
        assert np.abs(flat[:2] / flat[2] - direct[:2] / direct[2]).max() < 1e-3
    for number in range(3):
        with rasterio.open(views / f"pushbroom_{number}.tif") as file, RPCTransformer(file.rpcs) as model:
            points = np.load(views / f"pushbroom_{number}.points.npy")[::40, ::40].reshape(-1, 3)
            points = points[np.isfinite(points[:, 0])]
            degrees = gpd.GeoSeries.from_xy(points[:, 0], points[:, 1], crs="EPSG:32632").to_crs(4326)
            rows, cols = model.rowcol(degrees.x, degrees.y, zs=points[:, 2], op=lambda v: v)
            # each of these points was seen at the middle of every fortieth pixel
            assert np.abs(np.mod(np.stack([rows, cols]), 40) - 0.5).max() < 0.02


def test_tables_and_copies_follow_the_vectors(folder):
    truth = folder / "truth"
    yields = pd.read_csv(truth / "tables" / "yields.csv").set_index("id")
    assert yields["crop"].to_dict() == layer(folder, "parcels").loc[yields.index, "crop"].to_dict()
    disease = pd.read_csv(truth / "tables" / "disease.csv")
    people = pd.read_csv(truth / "tables" / "people.csv").set_index("settlement")["people"]
    assert (disease["people"] == people[disease["settlement"]].to_numpy()).all()
    trial = gpd.read_file(truth / "tables" / "trial.gpkg")
    assert {"treated", "outcome", "tau", "propensity"} <= set(trial)
    lanes = gpd.read_file(truth / "lanes" / "lanes.gpkg").set_index("lane")
    follows = pd.read_csv(truth / "lanes" / "follows.csv")
    assert set(follows["lane"]) | set(follows["next"]) == set(lanes.index)
    copy = gpd.read_file(truth / "misaligned" / "buildings.gpkg").set_index("id")
    moved = copy.centroid.x - layer(folder, "buildings").loc[copy.index].centroid.x
    assert moved.to_numpy() == pytest.approx(copy["dx"].to_numpy(), abs=1e-6)


def test_the_command_line_says_what_is_wrong(tmp_path, capsys):
    file = tmp_path / "w.yaml"
    for text, words in (
        ("truths: [poems]", "boxes"),
        ("truths: boxes", "list"),
        ("images: [{sensor: rgb, bounds: [0, 0, 1, 1]}]", "hold nothing"),
        ("images: [{sensor: rgb, dates: {from: 04-01, every: 5}}]", "calendar"),
        ("images: [{sensor: rgb, dates: {from: 04-01, to: 05-01, every: 0}}]", "step"),
        ("images: [{sensor: rgb, dates: []}]", "no dates"),
        ("images: [{sensor: rgb, haze: thick}]", "haze"),
        ("events: [{kind: flood, date: 06-01, level: high}]", "unusable"),
        ("events: [{kind: leak, date: 06-01, gas: helium}]", "helium"),
        ("events: [{kind: tornado, date: 06-01, path: [[1, 2]]}]", "two points"),
    ):
        file.write_text(text)
        assert main(["simulate", str(file), "-o", str(tmp_path / "out")]) == 1
        assert words in capsys.readouterr().err
    for options in (["--size", "3"], ["--clouds", "2"], ["--crs", "EPSG:4326"], ["--sensors", "x"], ["--dates", "y"]):
        assert main(["simulate", "village", "-o", str(tmp_path / "out"), *options]) == 1
        assert "expected" in capsys.readouterr().err
    assert main(["simulate", "town", "-o", str(tmp_path / "out")]) == 1
    assert "village" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_line_makes_a_world(tmp_path, capsys):
    words = ["simulate", "village", "-o", str(tmp_path), "--size", "900x800m", "--seed", "5", "--dates", "06-10"]
    assert main([*words, "--sensors", "modis_mod09", "night_lights", "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert written[0].endswith("data.yaml")
    settings = requests.read(tmp_path / "world.yaml").settings
    assert (settings.seed, settings.width, settings.height) == (5, 900, 800)


def test_calendars_repeat(place):
    shot = requests.shot({"sensor": "rgb", "dates": {"from": "04-01", "to": "04-30", "every": 10}}, place.config)
    assert [t.day for t in shot.times] == [1, 11, 21]


def test_the_world_of_the_page_can_be_read():
    page = (Path(__file__).parents[2] / "docs" / "simulate.md").read_text("utf-8")
    told = requests.read(yaml.safe_load(re.search(r"```yaml\n(.*?)```", page, re.S).group(1)))
    assert [len(shot.times) for shot in told.shots] == [37, 2, 1]
    assert set(told.truths) == set(annotations.TRUTHS)
    assert all(f"`{name}`" in page for name in instruments.INSTRUMENTS)
    assert all(f"`{name}`" in page for name in presets.PRESETS)
    assert all(name in page for name in layouts.LAYOUTS)
