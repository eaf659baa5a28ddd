"""Labels against geopandas, rasterio and hand-counted pixels."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer
from rasterio.warp import Resampling, reproject

import tiny
from swath.data.classes import IGNORE, Classes
from swath.data.labels import RasterLabels, VectorLabels, labelled_pixels
from swath.data.raster import open_raster
from swath.data.scenes import Scene
from swath.data.sources import ArraySource
from swath.errors import ConfigError, DataError, GridError, ReadError
from swath.geo.grids import pixel_grid, window_grid
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands

CLASSES = Classes.of({1: "forest", 2: "water", 7: "town"}, ignored=(0,))


def code_bands():
    return Bands("label", (Band("class", "1"),))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32"])
def test_codes_become_indices_whatever_their_type(tmp_path, dtype):
    codes = np.array([[0, 1, 2], [7, 7, 9]], dtype)
    path = tiny.write_raster(tmp_path / "m.tif", codes, tiny.grid(2, 3), nodata=9)
    labels = RasterLabels.open(path, CLASSES)
    assert labels.read(tiny.grid(2, 3)).tolist() == [[-1, 0, 1], [2, 2, -1]]


def test_negative_codes_are_found_by_table(tmp_path):
    codes = np.array([[-5, 3]], np.int16)
    path = tiny.write_raster(tmp_path / "m.tif", codes, tiny.grid(1, 2))
    classes = Classes.of({-5: "sea", 3: "land"})
    assert RasterLabels.open(path, classes).read(tiny.grid(1, 2)).tolist() == [[0, 1]]


def test_unknown_codes_are_named_and_counted(tmp_path):
    codes = np.array([[1, 5, 5], [2, 5, 8]], np.uint8)
    labels = RasterLabels.open(tiny.write_raster(tmp_path / "m.tif", codes, tiny.grid(2, 3)), CLASSES)
    with pytest.raises(DataError, match=r"m\.tif holds values outside the classes: got 5 \(3 pixels\), 8 \(1 pixels\)"):
        labels.read(tiny.grid(2, 3))


def test_nodata_that_is_a_class_counts_as_the_class(tmp_path):
    codes = np.array([[1, 2]], np.uint8)
    path = tiny.write_raster(tmp_path / "m.tif", codes, tiny.grid(1, 2), nodata=2)
    assert RasterLabels.open(path, CLASSES).read(tiny.grid(1, 2)).tolist() == [[0, 1]]


def test_labels_in_another_crs_are_those_of_gdal_up_to_borders_of_pixels(tmp_path):
    coarse = tiny.grid(40, 40, tiny.LAEA, 25.0, 4_650_000, 2_600_000)
    x, y = Transformer.from_crs(3035, 32633, always_xy=True).transform(4_650_400, 2_599_600)
    fine = tiny.grid(64, 48, tiny.UTM33, 10.0, x - 200, y + 300)
    codes = np.random.default_rng(0).choice(np.array([0, 1, 2, 7], np.uint8), (40, 40))
    labels = RasterLabels.open(tiny.write_raster(tmp_path / "m.tif", codes, coarse), CLASSES).read(fine)
    expected = np.zeros((64, 48), np.uint8)
    reproject(
        codes, expected, src_transform=coarse.affine, src_crs=tiny.LAEA, dst_transform=fine.affine, dst_crs=tiny.UTM33,
        resampling=Resampling.nearest, tolerance=0.0,
    )  # fmt: skip
    assert (labels != CLASSES.to_index(expected)).mean() < 0.005


def test_colours_are_exact_and_unknown_ones_are_named():
    rgb = np.array([[[255, 254, 0, 0]], [[0, 0, 10, 0]], [[0, 0, 20, 0]]], np.uint8)
    bands = Bands("rgb", tuple(Band(n, "dn") for n in "rgb"))
    grid = pixel_grid(1, 4)
    colours = {(255, 0, 0): 1, (0, 10, 20): 2, (0, 0, 0): 0}
    with pytest.raises(DataError, match=r"got #fe0000 \(1 pixels\)"):
        RasterLabels(ArraySource(rgb, bands, grid, name="m"), CLASSES, colours).read(grid)
    labels = RasterLabels(ArraySource(rgb, bands, grid), CLASSES, colours | {(254, 0, 0): 7})
    assert labels.read(grid).tolist() == [[0, 2, 1, IGNORE]]


def test_a_palette_tells_colours(tmp_path):
    palette = {0: (1, 2, 3), 1: (9, 8, 7)}
    path = tiny.write_raster(tmp_path / "m.tif", np.array([[0, 1]], np.uint8), tiny.grid(1, 2), colormap=palette)
    labels = RasterLabels.open(path, CLASSES, {(9, 8, 7): 2, (1, 2, 3): 7})
    assert labels.read(tiny.grid(1, 2)).tolist() == [[2, 1]]


def test_label_rasters_need_the_right_bands(tmp_path):
    path = tiny.write_raster(tmp_path / "m.tif", np.zeros((2, 2, 2), np.uint8), tiny.grid(2, 2))
    with pytest.raises(DataError, match="expected 1"):
        RasterLabels.open(path, CLASSES)
    flat = tiny.write_raster(tmp_path / "n.tif", np.zeros((2, 2), np.uint8), tiny.grid(2, 2))
    with pytest.raises(DataError, match="palette"):
        RasterLabels.open(flat, CLASSES, {(0, 0, 0): 1})
    with pytest.raises(DataError, match="no class"):
        RasterLabels(open_raster(flat), CLASSES, {(0, 0, 0): 3}, np.zeros((1 << 16, 3), np.uint8))


def test_a_label_without_crs_is_not_laid_on_a_map(tmp_path):
    path = tiny.write_raster(tmp_path / "m.tif", np.zeros((2, 2), np.uint8), tiny.grid(2, 2))
    labels = RasterLabels.open(path, CLASSES, crs="none")
    with pytest.raises(GridError):
        labels.read(tiny.grid(2, 2))


def many_polygons(count=200, crs=tiny.UTM33, seed=1):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(500_000, 503_000, count), rng.uniform(4_997_000, 5_000_000, count)
    shapes = shapely.buffer(shapely.points(x, y), rng.uniform(20, 150, count))
    frame = gpd.GeoDataFrame({"kind": rng.choice([0, 1, 2, 7], count)}, geometry=shapes, crs=tiny.UTM33)
    return frame.to_crs(crs)


@pytest.mark.parametrize("crs", [tiny.UTM33, tiny.WGS84, tiny.LAEA])
def test_windows_of_polygons_are_those_of_one_burn(crs):
    grid = tiny.grid(300, 300)
    frame = many_polygons(crs=crs)
    labels = VectorLabels(frame, "kind", CLASSES)
    burnt = rasterio.features.rasterize(
        zip(frame.to_crs(tiny.UTM33).geometry, frame["kind"], strict=True), (300, 300), transform=grid.affine
    )
    expected = CLASSES.to_index(burnt)
    found = np.full((300, 300), 99, np.int16)
    for row in range(0, 300, 100):
        for col in range(0, 300, 100):
            window = Window(row, col, 100, 100)
            found[window.slices] = labels.read(window_grid(grid, window))
    assert (found != expected).mean() < (1e-9 if crs == tiny.UTM33 else 1e-3)


def test_background_fills_the_ground_and_ignored_polygons_cut_it():
    grid = tiny.grid(4, 4)
    frame = tiny.boxes([(0, 0, 2, 2), (2, 2, 2, 2)], grid, kind=[2, 0])
    found = VectorLabels(frame, "kind", CLASSES, background="forest").read(grid)
    assert found.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, -1, -1], [0, 0, -1, -1]]


def test_texts_are_mapped_by_table_by_name_and_by_code():
    grid = tiny.grid(1, 4)
    frame = tiny.boxes([(0, i, 1, 1) for i in range(4)], grid, kind=["Wald", "water", "7", None])
    labels = VectorLabels(frame, "kind", CLASSES, texts={"Wald": 1})
    assert labels.read(grid).tolist() == [[0, 1, 2, IGNORE]]
    assert labels.notes == ("vector labels: rows with no value in 'kind', ignored: 3",)
    with pytest.raises(DataError, match=r"'Wald' \(1 rows\)"):
        VectorLabels(frame, "kind", CLASSES)


def test_values_outside_the_classes_are_named():
    frame = tiny.boxes([(0, 0, 1, 1)] * 3, tiny.grid(1, 1), kind=[1, 4, 4])
    with pytest.raises(DataError, match=r"got 4 \(2 rows\)"):
        VectorLabels(frame, "kind", CLASSES)


def test_empty_geometries_are_named():
    frame = tiny.boxes([(0, 0, 1, 1)] * 2, tiny.grid(1, 1), kind=[1, 2])
    frame.geometry = [frame.geometry[0], shapely.Polygon()]
    labels = VectorLabels(frame, "kind", CLASSES)
    assert labels.notes == ("vector labels: rows with empty geometries, left out: 1",)
    assert labels.read(tiny.grid(1, 1)).tolist() == [[0]]
    frame.geometry = [None, shapely.Polygon()]
    with pytest.raises(DataError, match="no geometry"):
        VectorLabels(frame, "kind", CLASSES)


def test_wrong_columns_layers_and_classes_are_refused(tmp_path):
    frame = tiny.boxes([(0, 0, 1, 1)], tiny.grid(1, 1), kind=[1])
    with pytest.raises(ConfigError, match=r"no attribute 'klass'.*expected kind"):
        VectorLabels(frame, "klass", CLASSES)
    with pytest.raises(ConfigError, match="background"):
        VectorLabels(frame, "kind", CLASSES, background="sea")
    with pytest.raises(ConfigError, match="no line"):
        VectorLabels(frame, "kind", CLASSES, width=3.0)
    with pytest.raises(ReadError):
        VectorLabels(tmp_path / "none.gpkg", "kind", CLASSES)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32633", "EPSG:3035"])
def test_a_line_is_as_wide_as_it_says_in_metres_on_the_ground(crs):
    # 2 km of a parallel at 60 degrees north, where a metre of web Mercator is half a metre.
    line = gpd.GeoSeries([shapely.LineString([(15.0, 60.0), (15.036, 60.0)])], crs=4326).segmentize(0.001).to_crs(crs)
    labels = VectorLabels(gpd.GeoDataFrame({"kind": [1]}, geometry=line), "kind", CLASSES, width=40.0)
    shape = gpd.GeoSeries([labels._shapes[0]], crs=crs).to_crs(4326)[0]
    area, _ = Geod(ellps="WGS84").geometry_area_perimeter(shape)
    length = Geod(ellps="WGS84").geometry_length(shapely.LineString([(15.0, 60.0), (15.036, 60.0)]))
    assert abs(area) == pytest.approx(length * 40 + np.pi * 20**2, rel=0.005)


def test_a_width_may_be_a_column():
    grid = tiny.grid(9, 9)
    lines = [shapely.LineString([grid.affine @ (0, 4.5), grid.affine @ (9, 4.5)])]
    frame = gpd.GeoDataFrame({"kind": [1], "wide": [48.0]}, geometry=lines, crs=tiny.UTM33)
    assert (VectorLabels(frame, "kind", CLASSES, width="wide").read(grid)[:, 4] == 0).sum() == 5
    assert (VectorLabels(frame, "kind", CLASSES).read(grid)[:, 4] == 0).sum() == 1
    with pytest.raises(DataError, match="positive width"):
        VectorLabels(frame.assign(wide=0.0), "kind", CLASSES, width="wide")


def point_scene(part="train", crs=tiny.UTM33):
    grid = tiny.grid(3000, 2000)
    cells = [(0, 0), (2999, 1999), (1500, 600), (1500, 600), (700, 700), (5, 9)]
    frame = tiny.centres(cells, grid, kind=[1, 2, 1, 7, 0, 2]).to_crs(crs)

    class Blank:
        name, bands, dtype = "blank", code_bands(), np.dtype("uint8")

    Blank.grid = grid
    return Scene("s", {"image": Blank()}, VectorLabels(frame, "kind", CLASSES), part=part)


@pytest.mark.parametrize("crs", [tiny.UTM33, tiny.WGS84])
def test_labelled_pixels_of_points_are_found_without_rasterising(crs, monkeypatch):
    scene = point_scene(crs=crs)
    monkeypatch.setattr(VectorLabels, "read", lambda *_: pytest.fail("rasterised"))
    rows, cols, classes = labelled_pixels(scene, "train")
    # Of two points in one pixel the last counts; the ignored one is no label.
    assert list(zip(rows, cols, classes, strict=True)) == [(0, 0, 0), (5, 9, 1), (1500, 600, 2), (2999, 1999, 1)]
    assert len(labelled_pixels(scene, "test")[0]) == 0


def test_points_agree_with_their_raster():
    scene = point_scene()
    dense = scene.labels.read(scene.grid)
    rows, cols, classes = labelled_pixels(scene)
    assert np.array_equal(np.argwhere(dense != IGNORE), np.column_stack([rows, cols]))
    assert np.array_equal(dense[rows, cols], classes)


def test_labelled_pixels_of_a_divided_scene_are_those_of_the_part():
    class Left:
        def mask(self, window, part):
            left = np.arange(window.col, window.col_stop)[None] < 650
            return np.broadcast_to(left == (part == "train"), window.shape)

    scene = point_scene(part=Left())
    assert labelled_pixels(scene, "train")[1].tolist() == [0, 9, 600]
    assert labelled_pixels(scene, "test")[1].tolist() == [1999]


def test_labelled_pixels_of_rasters_and_polygons():
    grid = tiny.grid(600, 700)
    codes = np.zeros((1, 600, 700), np.uint8)
    codes[0, 599, 3], codes[0, 2, 650] = 1, 7
    scene = Scene("s", {"image": ArraySource(codes, code_bands(), grid)})
    raster = Scene("s", scene.layers, RasterLabels(ArraySource(codes, code_bands(), grid), CLASSES))
    frame = tiny.boxes([(599, 3, 1, 1), (2, 650, 1, 1)], grid, kind=[1, 7])
    vector = Scene("s", scene.layers, VectorLabels(frame, "kind", CLASSES))
    for labelled in (raster, vector):
        rows, cols, classes = labelled_pixels(labelled)
        assert (rows.tolist(), cols.tolist(), classes.tolist()) == ([2, 599], [650, 3], [2, 0])
    assert len(labelled_pixels(scene)[0]) == 0


def test_labels_reach_across_the_antimeridian():
    grid = GeoBox((10, 20), Affine(0.1, 0, 179.0, 0, -0.1, 10.0), tiny.WGS84)
    east = shapely.Point(-179.55, 9.55)  # 180.45 degrees: column 14
    frame = gpd.GeoDataFrame({"kind": [1]}, geometry=[east], crs=tiny.WGS84)
    scene = Scene("s", {"image": ArraySource(np.zeros((1, 10, 20), np.uint8), code_bands(), grid)})
    points = Scene("s", scene.layers, VectorLabels(frame, "kind", CLASSES))
    assert np.argwhere(points.labels.read(grid) == 0).tolist() == [[4, 14]]
    assert labelled_pixels(points)[0].tolist() == [4]
    assert labelled_pixels(points)[1].tolist() == [14]
