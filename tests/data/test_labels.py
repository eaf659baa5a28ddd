"""Labels of rasters against GDAL and hand-counted pixels; labelled pixels."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.warp import Resampling, reproject

import tiny
from swath.data.classes import IGNORE, Classes
from swath.data.labels import RasterLabels, labelled_pixels
from swath.data.raster import open_raster
from swath.data.scenes import Scene
from swath.data.sources import ArraySource
from swath.data.vectorlabels import VectorLabels
from swath.errors import DataError, GridError
from swath.geo.grids import pixel_grid
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
