"""A user's data from YAML: right ones open as described, wrong ones give one clear error."""

import json
from datetime import UTC, datetime

import numpy as np
import pyproj
import pytest
import yaml
from affine import Affine
from odc.geo.geobox import GeoBox

import tiny
from swath.data.classes import IGNORE
from swath.data.config import load_data
from swath.data.scene_words import open_scene
from swath.data.selection import as_scene
from swath.errors import BandError, ConfigError, DataError, GridError, ReadError, UnknownNameError
from swath.geo.vectors import write_vectors
from swath.geo.windows import whole
from swath.sensors.catalogue import resolve

GRID = tiny.grid(64, 64)
BASE = {
    "name": "test",
    "layers": {"image": {"files": "images/*.tif", "sensor": "sentinel2_l2a", "bands": ["B02", "B08"]}},
    "labels": {"files": "labels.gpkg", "attribute": "kind"},
    "classes": {1: "forest", 2: {"name": "water", "colour": "#3060ff"}},
    "ignore": [0],
}


def reflectance(seed=0, shape=(64, 64)):
    return tiny.smooth(*shape, 2, seed, 500, 4000).astype(np.uint16)


@pytest.fixture
def folder(tmp_path):
    tiny.write_raster(tmp_path / "images/s2_20200105.tif", reflectance(), GRID)
    tiny.write_raster(tmp_path / "images/s2_20210305.tif", reflectance(1), tiny.grid(64, 64, x=500_640.0))
    polygons = tiny.boxes([(0, 0, 30, 70), (40, 0, 10, 100)], GRID, kind=[1, 2])
    write_vectors(polygons.to_crs(tiny.WGS84), tmp_path / "labels.gpkg")
    return tmp_path


def load(folder, change=None, **keys):
    described = {**BASE, **keys}
    if change:
        described = change(yaml.safe_load(yaml.safe_dump(described, sort_keys=False)))
    path = folder / "data.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in described.items() if v is not None}, sort_keys=False))
    return load_data(path)


def test_images_with_vector_labels_in_another_crs(folder):
    data = load(folder, time="%Y%m%d", group="s2_(....)")
    assert [scene.id for scene in data] == ["s2_20200105", "s2_20210305"]
    assert [scene.time for scene in data] == [datetime(2020, 1, 5, tzinfo=UTC), datetime(2021, 3, 5, tzinfo=UTC)]
    assert [scene.group for scene in data] == ["2020", "2021"]
    assert data.bands["image"].names == ("B02", "B08")
    assert data.classes.colours[1] == (0x30, 0x60, 0xFF)
    labels = data[0].labels.read(GRID)
    assert (labels[:29] == 0).all()
    assert (labels[41:49] == 1).all()
    assert (labels[51:] == IGNORE).all()
    assert [fact.rsplit("/", 1)[-1] for fact in data.facts["warped"]] == ["labels.gpkg: from EPSG:4326 to EPSG:32633"]
    assert data.facts["checked"].startswith("2 of 2 scenes")


def test_layers_in_bands_and_in_another_crs(folder):
    for band in ("VV", "VH"):
        values = -tiny.smooth(90, 90, 1, 3, 2, 20)
        x, y = 14.995, 45.16
        for name in ("s2_20200105", "s2_20210305"):
            grid = tiny.grid(300, 300, tiny.WGS84, 1e-4, x, y)
            tiny.write_raster(folder / f"s1/{name}_{band}.tif", np.resize(values, (1, 300, 300)), grid)
    layers = {
        **BASE["layers"],
        "radar": {"files": {"VV": "s1/{id}_VV.tif", "VH": "s1/{id}_VH.tif"}, "sensor": "sentinel1_grd"},
    }
    data = load(folder, layers=layers)
    assert data.bands["radar"].names == ("VV", "VH")
    assert data.bands["radar"].units == ("dB", "dB")
    assert "layer radar: from EPSG:4326 to EPSG:32633" in data.facts["warped"]
    listed = {"files": ["s1/{id}_VV.tif", "s1/{id}_VH.tif"], "bands": ["VV", "VH"], "sensor": "sentinel1_grd"}
    assert load(folder, layers={**BASE["layers"], "radar": listed}).bands["radar"].names == ("VV", "VH")
    missing = {**BASE["layers"], "radar": {"files": {"VV": "s1/*05_VV.tif"}, "sensor": "sentinel1_grd"}}
    with pytest.raises(DataError, match="lacks a file of layer 'radar'"):
        load(folder, layers=missing)


def test_masks_by_id_as_codes_and_as_colours(folder):
    for name, x in (("s2_20200105", 500_000.0), ("s2_20210305", 500_640.0)):
        codes = np.kron([[0, 1], [2, 1]], np.ones((32, 32))).astype(np.uint8)
        tiny.write_raster(folder / f"masks/{name}.tif", codes, tiny.grid(64, 64, x=x))
        table = np.array([[0, 0, 0], [1, 2, 3], [0x30, 0x60, 0xFF]], np.uint8)
        tiny.write_raster(folder / f"rgb/{name}.tif", np.moveaxis(table[codes], -1, 0), tiny.grid(64, 64, x=x))
    by_code = load(folder, labels={"files": "masks/{id}.tif"})
    legend = {
        1: {"name": "forest", "colour": [1, 2, 3]},
        2: BASE["classes"][2],
        3: {"name": "none", "colour": [0, 0, 0]},
    }
    by_colour = load(folder, labels={"files": "rgb/*.tif", "colours": True}, classes=legend)
    for scene, other in zip(by_code, by_colour, strict=True):
        codes, colours = scene.labels.read(scene.grid), other.labels.read(scene.grid)
        assert codes[0, 63] == 0
        assert codes[63, 0] == 1
        assert codes[0, 0] == IGNORE
        assert np.array_equal(np.where(codes == IGNORE, 2, codes), colours)


def test_text_attributes_and_ignored_texts(folder):
    frame = tiny.boxes([(0, 0, 30, 64), (30, 0, 10, 64), (40, 0, 10, 64)], GRID, kind=["Wald", "Wasser", "?"])
    write_vectors(frame, folder / "labels.gpkg")
    data = load(folder, classes={"Wald": "forest", "Wasser": {"name": "water"}}, ignore=["?"])
    assert data.classes.names == ("forest", "water")
    assert data[0].labels.read(GRID)[[0, 35, 45], 0].tolist() == [0, 1, IGNORE]
    assert data.facts["scenes without labels"] == ["s2_20210305"]


@pytest.mark.parametrize(
    ("split", "told"),
    [
        ({"by": "block", "size": 200, "buffer": 20, "fractions": [0.5, 0.25, 0.25], "seed": 1}, "by blocks of 200 m"),
        ({"by": "block"}, "by blocks of"),
        ({"by": "files", "train": "*2020*", "test": ["s2_2021*"]}, "as given"),
    ],
)
def test_splits(folder, split, told):
    data = load(folder, split=split)
    assert data.facts["split"].startswith(told)
    parts = np.stack([data[0].part_mask(whole((64, 64)), part) for part in ("train", "val", "test")])
    assert parts.sum(0).max() == 1


def test_scenes_that_are_left_out_are_not_opened(folder):
    empty = np.zeros((2, 64, 64), np.uint16)
    tiny.write_raster(folder / "images/s2_20220101.tif", empty, GRID)
    with pytest.raises(DataError, match=r"s2_20220101 holds no valid pixel.*leave_out"):
        load(folder)
    assert [scene.id for scene in load(folder, leave_out="*2022*")] == ["s2_20200105", "s2_20210305"]
    assert [scene.id for scene in load(folder, leave_out=["*2022*", "s2_20200105"])] == ["s2_20210305"]
    with pytest.raises(DataError, match="No scene is called as `leave_out` says"):
        load(folder, leave_out=["*2023*"])
    with pytest.raises(DataError, match="All scenes are left out"):
        load(folder, leave_out="*")


def test_a_split_by_time_with_dates(folder):
    tiny.write_raster(folder / "images/s2_20220101.tif", reflectance(5), GRID)
    data = load(folder, time="%Y%m%d", split={"by": "time", "boundaries": [datetime(2020, 6, 1).date(), "2021-06-01"]})
    assert [scene.part for scene in data] == ["train", "val", "test"]
    with pytest.raises(ConfigError, match="boundaries"):
        load(folder, time="%Y%m%d", split={"by": "time", "boundaries": ["soon", "later"]})


def test_pictures_without_crs(folder):
    rng = np.random.default_rng(0)
    for n in range(3):
        tiny.write_picture(folder / f"pics/{n}.png", rng.integers(0, 255, (3, 40, 50), dtype=np.uint8))
        tiny.write_picture(folder / f"codes/{n}.png", rng.integers(0, 3, (40, 50), dtype=np.uint8))
    layers = {"image": {"files": "pics/*.png", "sensor": "rgb"}}
    data = load(folder, layers=layers, labels={"files": "codes/*.png"}, crs="none", split={"by": "source"})
    assert sorted(scene.part for scene in data) == ["test", "train", "val"]
    assert data[0].grid.crs is None
    with pytest.raises(DataError, match=r"0.*no coordinate reference system"):
        load(folder, layers=layers, labels={"files": "codes/*.png"})
    tiny.write_picture(folder / "codes/1.png", np.zeros((40, 49), np.uint8))
    with pytest.raises(DataError, match="another size"):
        load(folder, layers=layers, labels={"files": "codes/*.png"}, crs="none")


def test_a_crs_is_given_only_where_a_file_lacks_one(folder):
    tiny.write_raster(folder / "images/bare.tif", reflectance(), tiny.grid(64, 64, crs=None))
    with pytest.raises(GridError, match=r"bare\.tif has no coordinate reference system"):
        load(folder)
    data = load(folder, crs=32632)
    assert [str(scene.grid.crs) for scene in data] == ["EPSG:32632", "EPSG:32633", "EPSG:32633"]


def test_a_published_layout_may_be_named(folder):
    path = folder / "layout.yaml"
    path.write_text("{layout: landcover_aj, folder: x}")
    with pytest.raises(UnknownNameError, match="Did you mean 'landcover_ai'"):
        load_data(path)
    path.write_text("{layout: landcover_ai, folder: images, layers: {}}")
    with pytest.raises(ConfigError, match="layers"):
        load_data(path)
    with pytest.raises(ConfigError, match="is a folder"):
        load_data(folder)
    with pytest.raises(ReadError, match="holds no LandCover"):
        load_data(folder / "images", "landcover-ai")


def remove(key):
    return lambda d: {k: v for k, v in d.items() if k != key}


def in_layer(**keys):
    return lambda d: {**d, "layers": {"image": {**d["layers"]["image"], **keys}}}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda d: {**d, "clases": {}}, ConfigError, "unknown key: got clases.*Did you mean `classes`"),
        (in_layer(band=["B02"]), ConfigError, "layer 'image'.*Did you mean `bands`"),
        (in_layer(bands="B02"), ConfigError, r"`bands`.*another type: got 'B02' \(str\); expected list"),
        (in_layer(scale=True), ConfigError, "`scale`"),
        (in_layer(files="image/*.tif"), ReadError, "image does not exist.*Did you mean .*/images"),
        (in_layer(files="images/*.jp2"), ReadError, "No file matches images/"),
        (in_layer(sensor="sentinel2"), UnknownNameError, "sentinel2"),
        (in_layer(bands=["B02", "B99"]), BandError, "no band 'B99'"),
        (in_layer(bands=["B02", "B02"]), BandError, "named twice"),
        (in_layer(bands=["B02", "B03", "B04"]), DataError, "another number of bands"),
        (in_layer(scale=1.0), DataError, "cannot be reflectance"),
        (remove("layers"), ConfigError, "no `layers`"),
        (remove("classes"), ConfigError, "no `classes`"),
        (lambda d: {**d, "classes": {1: "a", "b": "c"}}, ConfigError, "by numbers and by text"),
        (lambda d: {**d, "classes": {1: {"colour": "#000000"}}}, ConfigError, "lacks `name`"),
        (lambda d: {**d, "classes": {1: "forest"}}, DataError, r"outside the classes: got 2 \(1 rows\)"),
        (lambda d: {**d, "labels": {"files": "labels.gpkg"}}, ConfigError, "need an `attribute`"),
        (lambda d: {**d, "labels": {**d["labels"], "attribute": "class"}}, ConfigError, "no attribute 'class'"),
        (lambda d: {**d, "labels": {"files": "images/*.tif", "attribute": "a"}}, DataError, "no vector file"),
        (lambda d: {**d, "group": "("}, ConfigError, "no regular expression"),
        (lambda d: {**d, "group": "city_(.)"}, DataError, "no group"),
        (lambda d: {**d, "time": "%d-%m"}, DataError, "no date"),
        (lambda d: {**d, "split": {"by": "luck"}}, ConfigError, "expected block, group"),
        (lambda d: {**d, "split": {"by": "block", "sise": 3}}, ConfigError, "Did you mean `size`"),
        (lambda d: {**d, "split": {"by": "block", "size": 9000}}, DataError, "empty split"),
        (lambda d: {**d, "split": {"by": "source", "fractions": [1, 0, 0]}}, DataError, "empty split"),
        (lambda d: {**d, "split": {"by": "files", "train": "*20*", "val": "*2021*"}}, DataError, "in two parts"),
        (lambda d: {**d, "split": {"by": "files", "train": "x*"}}, DataError, "No scene is called"),
    ],
)  # fmt: skip
def test_wrong_descriptions_are_refused(folder, change, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        load(folder, change)


def test_labels_elsewhere_are_refused(folder):
    far = tiny.boxes([(0, 0, 9, 9)], tiny.grid(9, 9, x=700_000.0), kind=[1])
    write_vectors(far, folder / "labels.gpkg")
    with pytest.raises(DataError, match=r"do not overlap: got no label of .*labels\.gpkg in any of 2 scenes"):
        load(folder)


def test_scenes_without_valid_pixels_are_refused(folder):
    tiny.write_raster(folder / "images/none.tif", np.zeros((2, 300, 300), np.uint16), tiny.grid(300, 300))
    with pytest.raises(DataError, match="Scene none holds no valid pixel"):
        load(folder)
    corner = np.zeros((2, 900, 900), np.uint16)
    corner[:, 899, 899] = 700
    tiny.write_raster(folder / "images/none.tif", corner, tiny.grid(900, 900))
    assert len(load(folder)) == 3


def test_damaged_and_strange_yaml(tmp_path):
    path = tmp_path / "a.yaml"
    for text, message in (
        ("a: [", "cannot be read"),
        ("- 1", "describes no data"),
        ("!!python/object:os.x {}", "cannot"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            load_data(path)
    with pytest.raises(ReadError, match="does not exist"):
        load_data(tmp_path / "b.yaml")


def test_rotated_rasters_and_several_problems_are_told_together(folder):
    rotated = GeoBox((8, 8), GRID.affine @ Affine.rotation(20), tiny.UTM33)
    for name in "ab":
        tiny.write_raster(folder / f"images/{name}.tif", reflectance(0, (8, 8)), rotated)
    with pytest.raises(DataError, match=r"(?s)2 problems.*a\.tif is not north-up.*b\.tif is not north-up"):
        load(folder)


def test_files_outside_of_the_folder_are_told(folder):
    inner = folder / "sub"
    inner.mkdir()
    change = in_layer(files="../images/*.tif")
    data = load(inner, change, labels=None, classes=None, ignore=None)
    assert data.facts["folders outside of the data"] == [str((folder / "images").resolve())]


def test_polygons_are_things_and_a_column_marks_groups(folder):
    polygons = tiny.boxes([(0, 0, 5, 7), (40, 0, 10, 10)], GRID, kind=[1, 2], group=[0, 1])
    write_vectors(polygons.to_crs(tiny.WGS84), folder / "crowns.gpkg")
    data = load(folder, labels={"files": "crowns.gpkg", "attribute": "kind", "crowd": "group"})
    things = data[0].labels.instances(data[0].grid)
    assert (things.classes.tolist(), things.crowd.tolist()) == ([0, 1], [False, True])
    assert things.boxes.tolist() == [[0, 0, 7, 5], [0, 40, 10, 50]]
    with pytest.raises(ConfigError, match="no attribute 'gruop'"):
        load(folder, labels={"files": "crowns.gpkg", "attribute": "kind", "crowd": "gruop"})


def test_annotations_in_coco_and_labelme(folder):
    names = ["s2_20200105", "s2_20210305"]
    square = [4, 6, 14, 6, 14, 12, 4, 12]
    images = [{"id": n, "file_name": f"{name}.tif", "height": 64, "width": 64} for n, name in enumerate(names)]
    things = [{"id": 1, "image_id": 0, "category_id": 5, "iscrowd": 0, "segmentation": [square]}]
    coco = {"images": images, "annotations": things, "categories": [{"id": 5, "name": "water"}]}
    (folder / "all.json").write_text(json.dumps(coco))
    data = load(folder, labels={"files": "all.json", "format": "coco"})
    found = [scene.labels.instances(scene.grid) for scene in data]
    assert [len(one) for one in found] == [1, 0]
    assert found[0].boxes.tolist() == [[4, 6, 14, 12]]
    assert found[0].classes.tolist() == [1]
    assert data.facts["scenes without labels"] == [names[1]]
    for name in names:
        shape = {"label": "forest", "points": np.reshape(square, (4, 2)).tolist(), "shape_type": "polygon"}
        told = {"imagePath": f"{name}.tif", "imageHeight": 64, "imageWidth": 64, "shapes": [shape]}
        (folder / f"images/{name}.json").write_text(json.dumps(told))
    data = load(folder, labels={"files": "images/{id}.json", "format": "labelme"})
    assert [scene.labels.instances(scene.grid).boxes.tolist() for scene in data] == [[[4, 6, 14, 12]]] * 2
    with pytest.raises(ConfigError, match="`format`"):
        load(folder, labels={"files": "all.json", "format": "voc"})
    (folder / "all.json").write_text("[1, 2")
    with pytest.raises(ReadError, match=r"all\.json is no JSON"):
        load(folder, labels={"files": "all.json", "format": "coco"})


def dated(folder, crs=(tiny.UTM33, tiny.UTM32)):
    """Two scenes `a` and `b` with two dates each, the second date in another CRS around the same place."""
    for number, name in enumerate("ab"):
        here = tiny.grid(64, 64, x=500_000.0 + 640 * number)
        tiny.write_raster(folder / f"hr/{name}.tif", reflectance(number), here)
        for month, place in zip((3, 6), crs, strict=True):
            middle = pyproj.Transformer.from_crs(tiny.UTM33, place, always_xy=True).transform(*(here.affine @ (32, 32)))
            grid = here if place == tiny.UTM33 else tiny.grid(96, 96, place, x=middle[0] - 480, y=middle[1] + 480)
            values = tiny.smooth(*grid.shape, 2, month, 500, 4000).astype(np.uint16)
            tiny.write_raster(folder / f"s2/{name}_2020{month:02}15.tif", values, grid)


SERIES = {"files": "s2/{id}_*.tif", "sensor": "sentinel2_l2a", "bands": ["B04", "B08"], "time": "%Y%m%d"}
DATED = {
    "layers": {"image": {"files": "hr/{id}.tif", "sensor": "sentinel2_l2a", "bands": ["B02", "B08"]}},
    "labels": None, "classes": None, "ignore": None,
}  # fmt: skip


def test_series_stand_beside_layers(folder):
    dated(folder)
    data = load(folder, **DATED, series={"s2": {**SERIES, "resolution": 20, "size": 16}})
    assert [scene.id for scene in data] == ["a", "b"]
    series = data[1].series["s2"]
    assert [frame.time for frame in series.frames] == [datetime(2020, m, 15, tzinfo=UTC) for m in (3, 6)]
    assert (data.series["s2"].bands.names, data.series["s2"].view.size) == (("B04", "B08"), 16)
    values, valid = series.read(data[1].grid)
    assert values.shape == (2, 2, 16, 16)
    assert valid.all()
    assert 0.05 <= values.min() <= values.max() <= 0.4
    assert any("series s2: from EPSG:32632" in told for told in data.facts["warped"])


def test_without_layers_the_first_series_makes_the_scenes(folder):
    dated(folder)
    data = load(folder, **{**DATED, "layers": None}, series={"s2": SERIES})
    assert [(scene.id, len(scene.series["s2"])) for scene in data] == [("a", 2), ("b", 2)]
    assert data.bands == {}
    assert data[0].grid.shape == (64, 64)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"time": None}, ConfigError, "does not say where its dates are"),
        ({"time": "%Y-%m-%d"}, DataError, "2 problems.*has no date"),
        ({"size": 16}, ConfigError, "half of a grid"),
        ({"files": "none/{id}_*.tif"}, ReadError, "No file matches"),
        ({"files": "s2/a_{id}.tif"}, DataError, "2 problems.*lacks files of series"),
        ({"files": "s2/{tile}_*.tif"}, ConfigError, "field that the images do not have"),
        ({"bands": ["B04"]}, DataError, "2 problems.*band"),
        ({"scale": 1.0}, DataError, "2 problems.*cannot be reflectance"),
        ({"dates": "x"}, ConfigError, "unknown key"),
    ],
)
def test_series_that_do_not_fit_say_so(folder, change, error, message):
    dated(folder)
    changed = {key: value for key, value in {**SERIES, **change}.items() if value is not None}
    with pytest.raises(error, match=f"(?s){message}"):
        load(folder, **DATED, series={"s2": changed})


def test_a_series_of_other_ground_is_found(folder):
    dated(folder)
    for path in (folder / "s2").glob("a_*"):
        tiny.write_raster(path, reflectance(), tiny.grid(64, 64, x=700_000.0))
    with pytest.raises(DataError, match="no valid pixel in series s2"):
        load(folder, **DATED, series={"s2": SERIES})


OLD = "S2A_MSIL2A_20210126T101311_N0214_R022_T33TWM_20210126T134711"
NEW = "S2B_MSIL2A_20220126T101311_N0400_R022_T33TWM_20220126T134711"


def test_products_before_and_since_the_offset_of_2022_give_one_reflectance(tmp_path):
    counts = reflectance()
    tiny.write_raster(tmp_path / f"images/{OLD}.SAFE/bands.tif", counts, GRID)
    tiny.write_raster(tmp_path / f"images/{NEW}.SAFE/bands.tif", counts + 1000, GRID)
    layer = {"sensor": "sentinel2_l2a", "bands": ["B02", "B08"]}
    keys = {"labels": None, "classes": None, "ignore": None}
    data = load(tmp_path, layers={"image": {"files": "images/*/*.tif", **layer}}, **keys)
    old, new = (scene.layers["image"].bands.decode(scene.layers["image"].read(whole(GRID.shape))[0]) for scene in data)
    np.testing.assert_allclose(old, counts * 1e-4, atol=1e-6)
    np.testing.assert_allclose(new, old, atol=1e-6)
    assert data.facts["offsets"] == ["layer image: -0.1, by processing baseline"]
    given = load(tmp_path, layers={"image": {"files": "images/*/*.tif", **layer, "offset": 0}}, **keys)
    assert given[0].layers["image"].bands[0].offset == 0
    assert "offsets" not in given.facts


def test_a_map_is_made_of_reflectance_whatever_the_baseline(tmp_path):
    trained = {"image": resolve("sentinel2_l2a", ["B02", "B08"])}
    for name, offset in ((OLD, 0.0), (NEW, -0.1), ("scene", 0.0)):
        path = tiny.write_raster(tmp_path / f"{name}.tif", reflectance() + 1000, GRID)
        for scene in (open_scene([str(path)], trained), as_scene(path, trained)):
            assert {band.offset for band in scene.layers["image"].bands} == {offset}
