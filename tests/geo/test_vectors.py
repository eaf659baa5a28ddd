import logging

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod, Transformer
from scipy import ndimage

from geo.grid_cases import centres, lon_lat, north_up
from swath.errors import ConfigError, DataError, GridError, InputError, ReadError, WriteError
from swath.geo.grids import pixel_grid
from swath.geo.vectors import footprint, polygonize, rasterize, read_vectors, write_vectors

GRID = north_up("EPSG:32633", 400_000, 5_600_000, 10.0, 60, 80)
BOW_TIE = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])


def frame(crs="EPSG:32633"):
    boxes = [shapely.box(4e5, 5.599e6, 4.001e5, 5.6e6), shapely.box(4.002e5, 5.599e6, 4.003e5, 5.6e6)]
    return gpd.GeoDataFrame({"class": ["wood", "ice"], "code": [3, 5]}, geometry=boxes, crs=crs)


@pytest.mark.parametrize("suffix", [".gpkg", ".parquet", ".fgb", ".geojson"])
def test_files_come_back_as_they_were(tmp_path, suffix):
    path = tmp_path / f"two fields{suffix}"
    for _ in range(2):  # a second time over the first
        write_vectors(frame(), path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    back = read_vectors(path)
    assert back.crs == ("EPSG:4326" if suffix == ".geojson" else "EPSG:32633")
    back = back.to_crs("EPSG:32633").sort_values("code", ignore_index=True)
    assert back["class"].tolist() == ["wood", "ice"]
    assert shapely.equals_exact(back.geometry, frame().geometry, tolerance=0.02, normalize=True).all()


def test_a_shapefile_is_read(tmp_path):
    pyogrio.write_dataframe(frame(), tmp_path / "a.shp")
    assert read_vectors(tmp_path / "a.shp")["code"].tolist() == [3, 5]


def test_layers_are_named(tmp_path):
    for layer in ("one", "two"):
        pyogrio.write_dataframe(frame(), tmp_path / "a.gpkg", layer=layer)
    assert len(read_vectors(tmp_path / "a.gpkg", layer="two")) == 2
    with pytest.raises(ConfigError, match="several layers"):
        read_vectors(tmp_path / "a.gpkg")
    with pytest.raises(ConfigError, match="no layer 'three'"):
        read_vectors(tmp_path / "a.gpkg", layer="three")


@pytest.mark.parametrize("name", ["a.geojson", "a.gpkg", "a.parquet", "a.shp", "a.fgb"])
def test_missing_and_broken_files(tmp_path, name):
    with pytest.raises(ReadError, match="does not exist"):
        read_vectors(tmp_path / name)
    (tmp_path / name).write_bytes(b"this is no vector file")
    with pytest.raises(ReadError, match="not a readable"):
        read_vectors(tmp_path / name)


def test_a_truncated_file(tmp_path):
    write_vectors(frame(), tmp_path / "a.gpkg")
    whole = (tmp_path / "a.gpkg").read_bytes()
    (tmp_path / "a.gpkg").write_bytes(whole[: len(whole) // 4])
    with pytest.raises((ReadError, DataError)):
        read_vectors(tmp_path / "a.gpkg")


def test_the_crs_must_be_known_once(tmp_path):
    write_vectors(frame(None), tmp_path / "a.gpkg")
    with pytest.raises(GridError, match="no coordinate reference system"):
        read_vectors(tmp_path / "a.gpkg")
    assert read_vectors(tmp_path / "a.gpkg", crs="EPSG:32633").crs == "EPSG:32633"
    with pytest.raises(ConfigError, match="understood"):
        read_vectors(tmp_path / "a.gpkg", crs="EPSG:nonsense")
    write_vectors(frame(), tmp_path / "b.gpkg")
    with pytest.raises(GridError, match="another CRS"):
        read_vectors(tmp_path / "b.gpkg", crs="EPSG:4326")


def test_empty_geometries_are_left_out_and_broken_ones_repaired(tmp_path, caplog):
    geometry = [BOW_TIE, None, shapely.Polygon(), shapely.box(0, 0, 1, 1)]
    gpd.GeoDataFrame({"n": range(4)}, geometry=geometry, crs=4326).to_parquet(tmp_path / "a.parquet")
    with caplog.at_level(logging.WARNING):
        got = read_vectors(tmp_path / "a.parquet")
    assert got["n"].tolist() == [0, 3]
    assert got.geometry.is_valid.all()
    assert got.geometry[0].area == pytest.approx(2)
    assert "2 rows without geometry" in caplog.text
    assert "1 broken" in caplog.text


def test_nothing_to_read(tmp_path):
    frame().iloc[:0].to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="no geometry"):
        read_vectors(tmp_path / "a.parquet")
    pyogrio.write_dataframe(frame().drop(columns="geometry"), tmp_path / "b.gpkg")
    with pytest.raises(DataError, match="without geometry"):
        read_vectors(tmp_path / "b.gpkg")
    endless = frame().set_geometry([shapely.Point(np.inf, 0), shapely.Point(0, 0)])
    endless.to_parquet(tmp_path / "c.parquet")
    with pytest.raises(DataError, match="not finite"):
        read_vectors(tmp_path / "c.parquet")


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(ConfigError, match="format"):
        write_vectors(frame(), tmp_path / "a.kml")
    with pytest.raises(GridError, match="GeoJSON"):
        write_vectors(frame(None), tmp_path / "a.geojson")
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError):
        write_vectors(frame(), tmp_path / "file" / "a.gpkg")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.floats(-50, 850), st.floats(-50, 650), st.floats(1, 300)), min_size=1, max_size=6))
def test_polygons_cover_pixel_centres_and_the_last_one_counts(circles):
    shapes = [shapely.Point(4e5 + x, 5.6e6 - y).buffer(r) for x, y, r in circles]
    got = rasterize(gpd.GeoSeries(shapes, crs=32633), range(1, len(shapes) + 1), GRID, fill=0, dtype=np.uint8)
    true = np.zeros(GRID.shape, np.uint8)
    for number, shape in enumerate(shapes, 1):
        true[shapely.contains_xy(shape, *centres(GRID))] = number
    assert (got != true).mean() < 0.001


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3035", "EPSG:32634", "EPSG:3857"])
def test_polygons_of_another_crs_keep_their_straight_edges(crs):
    grid = north_up("EPSG:32633", 300_000, 5_700_000, 100.0, 1000, 1000)
    x, y = Transformer.from_crs(32633, crs, always_xy=True).transform([320_000, 390_000], [5_620_000, 5_690_000])
    box = shapely.box(min(x), min(y), max(x), max(y))
    got = rasterize(gpd.GeoSeries([box], crs=crs), [1], grid, fill=0, dtype="uint8")
    px, py = Transformer.from_crs(32633, crs, always_xy=True).transform(*centres(grid))
    true = shapely.contains_xy(box, px, py)
    # edges may be a tenth of a pixel off, and are 3000 pixels long
    assert (got.astype(bool) != true).sum() < 300
    assert true.sum() > 300_000


def test_points_lines_and_all_touched():
    shapes = [shapely.LineString([(4e5 + 5, 5.6e6 - 5), (4e5 + 795, 5.6e6 - 5)]), shapely.Point(4e5 + 123, 5.6e6 - 456)]
    shapes.append(shapely.box(4e5 + 201, 5.6e6 - 204, 4e5 + 204, 5.6e6 - 201))
    series = gpd.GeoSeries(shapes, crs=32633)
    true = np.full(GRID.shape, -1.5, np.float32)
    true[0], true[45, 12] = 2.5, 7
    np.testing.assert_array_equal(rasterize(series, [2.5, 7, 9], GRID, fill=-1.5, dtype=np.float32), true)
    true[20, 20] = 9
    touched = rasterize(series, [2.5, 7, 9], GRID, fill=-1.5, dtype=np.float32, all_touched=True)
    np.testing.assert_array_equal(touched, true)


@pytest.mark.parametrize("cut", [False, True])
def test_polygons_across_the_antimeridian(cut):
    grid = north_up("EPSG:32601", 100_000, 1_000_000, 1000.0, 200, 200)
    west, east = shapely.box(178, 8, 180, 8.5), shapely.box(-180, 8, -178, 8.5)
    shape = shapely.MultiPolygon([west, east]) if cut else shapely.box(178, 8, 182, 8.5)
    got = rasterize(gpd.GeoSeries([shape], crs=4326), [1], grid, fill=0, dtype=bool)
    lon, lat = lon_lat(grid)
    true = (lat > 8) & (lat < 8.5) & (lon % 360 > 178) & (lon % 360 < 182)
    assert (got != true).sum() < 30
    # and back: a zone 1 polygon on a grid of longitudes that crosses 180 degrees, and on one of the globe
    square = gpd.GeoSeries([shapely.box(100_000, 900_000, 300_000, 1_000_000)], crs=32601)
    for target in (north_up("EPSG:4326", 179, 10, 0.01, 200, 300), north_up("EPSG:4326", -180, 20, 0.1, 200, 3600)):
        x, y = Transformer.from_crs(4326, 32601, always_xy=True).transform(*centres(target))
        true = shapely.contains_xy(square[0], x, y)
        got = rasterize(square, [1], target, fill=0, dtype=bool)
        assert true.sum() > 100
        assert (got != true).mean() < 0.002


def test_polygons_around_the_pole():
    grid = north_up("EPSG:3995", -1e6, 1e6, 10_000.0, 200, 200)
    cap = gpd.GeoSeries([shapely.box(-180, 85, 180, 90)], crs=4326)
    got = rasterize(cap, [1], grid, fill=0, dtype=bool)
    assert (got != (lon_lat(grid)[1] > 85)).mean() < 0.001
    globe = north_up("EPSG:4326", -180, 90, 0.5, 360, 720)
    ring = shapely.Point(0, 0).buffer(2e6, 256) - shapely.Point(0, 0).buffer(1e6, 256)
    got = rasterize(gpd.GeoSeries([ring], crs=3995), [1], globe, fill=0, dtype=bool)
    radius = np.hypot(*Transformer.from_crs(4326, 3995, always_xy=True).transform(*centres(globe)))
    true = (radius < 2e6) & (radius > 1e6)
    assert (got != true).mean() < 0.001


def test_bad_values_are_refused():
    shapes = frame().geometry
    with pytest.raises(InputError, match="does not fit uint8"):
        rasterize(shapes, [1, 300], GRID, fill=0, dtype=np.uint8)
    with pytest.raises(InputError, match="does not fit int16"):
        rasterize(shapes, [1, np.nan], GRID, fill=0, dtype=np.int16)
    with pytest.raises(InputError, match="needs a value"):
        rasterize(shapes, [1], GRID, fill=0, dtype=np.uint8)
    with pytest.raises(GridError, match="CRS"):
        rasterize(shapes, [1, 2], pixel_grid(5, 5), fill=0, dtype=np.uint8)
    far = north_up("EPSG:32733", 400_000, 5_600_000, 10.0, 4, 4)
    assert (rasterize(shapes, [1, 2], far, fill=9, dtype=np.uint8) == 9).all()


@pytest.mark.parametrize("connectivity", [4, 8])
def test_polygonize_finds_the_components_and_burns_back(connectivity):
    rng = np.random.default_rng(0)
    classes = (ndimage.gaussian_filter(rng.random(GRID.shape), 1.5) * 20).astype(np.uint8)
    valid = rng.random(GRID.shape) > 0.05
    got = polygonize(classes, GRID, valid=valid, connectivity=connectivity)
    structure = np.ones((3, 3)) if connectivity == 8 else None
    numbers = {v: ndimage.label((classes == v) & valid, structure)[1] for v in np.unique(classes)}
    assert got.groupby("value").size().to_dict() == {v: n for v, n in numbers.items() if n}
    assert got.geometry.is_valid.all()
    burnt = rasterize(got, got["value"], GRID, fill=255, dtype=np.uint8)
    np.testing.assert_array_equal(burnt, np.where(valid, classes, 255))


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326"])
def test_polygon_areas_are_geodesic(crs):
    grid = GRID if crs == "EPSG:32633" else north_up(crs, 10, 50, 0.001, 60, 80)
    classes = np.zeros(grid.shape, np.int16)
    classes[10:40, 20:50] = -4
    classes[20:30, 30:40] = 7
    got = polygonize(classes, grid).set_index("value")
    dense = got.geometry.segmentize(grid.affine.a / 10).to_crs(4326)
    for value in (-4, 0, 7):
        true = abs(Geod(ellps="WGS84").geometry_area_perimeter(dense[value])[0])
        assert got.loc[value, "area_m2"] == pytest.approx(true, rel=1e-6)


def test_pictures_have_polygons_without_areas_and_floats_none():
    got = polygonize(np.eye(3, dtype=bool), pixel_grid(3, 3))
    assert got.crs is None
    assert "area_m2" not in got
    with pytest.raises(InputError, match="float"):
        polygonize(np.zeros((3, 3)), pixel_grid(3, 3))
    with pytest.raises(InputError, match="32-bit"):
        polygonize(np.full((3, 3), 2**40), pixel_grid(3, 3))
    with pytest.raises(ConfigError):
        polygonize(np.eye(3, dtype=bool), pixel_grid(3, 3), connectivity=6)


@pytest.mark.parametrize(
    ("grid", "kind", "bounds"),
    [
        (north_up("EPSG:4326", 170, 10, 0.1, 100, 200), "MultiPolygon", (-180, 0, 180, 10)),
        (north_up("EPSG:4326", -180, 90, 1, 180, 360), "Polygon", (-180, -90, 180, 90)),
        (north_up("EPSG:3995", -1e6, 1e6, 1e4, 200, 200), "Polygon", (-180, 77.04, 180, 90)),
        (north_up("EPSG:3031", -1e6, 1e6, 1e4, 200, 200), "Polygon", (-180, -90, 180, -77.04)),
        (north_up("EPSG:3857", -20037508.34, 20037508.34, 156543.03, 256, 256), "Polygon", (-180, -85.05, 180, 85.05)),
    ],
)
def test_footprints_of_the_odd_places(grid, kind, bounds):
    outline = footprint(grid)
    assert outline.geom_type == kind
    assert outline.is_valid
    np.testing.assert_allclose(outline.bounds, bounds, atol=0.01)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(["EPSG:32601", "EPSG:32660", "EPSG:3995", "EPSG:32633"]), st.integers(-12, 12), st.integers(0, 12)
)
def test_a_footprint_holds_what_the_grid_holds(crs, x, y):
    shift = (0, 0) if crs == "EPSG:3995" else (500_000, 4_000_000)
    grid = north_up(crs, shift[0] + 50_000 * x + 17, shift[1] + 50_000 * y + 13, 3000.0, 100, 90)
    lon, lat = lon_lat(grid)
    lon = (lon + 180) % 360 - 180
    outline = footprint(grid, densify=81)
    inner = (slice(1, -1), slice(1, -1))
    assert outline.is_valid
    assert shapely.covers(outline, shapely.points(lon[inner], lat[inner])).all()
    area = abs(Geod(ellps="WGS84").geometry_area_perimeter(shapely.segmentize(outline, 0.5))[0])
    assert area == pytest.approx(3000.0**2 * 9000, rel=0.1)


def test_a_picture_has_no_footprint():
    with pytest.raises(GridError):
        footprint(pixel_grid(4, 4))
