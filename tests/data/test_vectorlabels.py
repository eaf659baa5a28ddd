"""Labels of vectors against geopandas, rasterio and hand-counted pixels."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio.features
import shapely
from pyproj import Geod

import tiny
from swath.data.classes import IGNORE, Classes
from swath.data.vectorlabels import VectorLabels
from swath.errors import ConfigError, DataError, ReadError
from swath.geo.grids import window_grid
from swath.geo.windows import Window

CLASSES = Classes.of({1: "forest", 2: "water", 7: "town"}, ignored=(0,))


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
