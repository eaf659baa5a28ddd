"""An image for each footprint: which pixels, what is left out, and labels of outlined things in a user's YAML."""

import geopandas as gpd
import numpy as np
import pytest
import shapely

from swath.data.config import load_data
from swath.data.footprints import WindowSource, cut_footprints, cut_from_file
from swath.data.placed import Placed
from swath.data.scenes import Scene
from swath.data.sources import ArraySource
from swath.errors import ConfigError, DataError, GridError
from swath.geo.grids import pixel_grid
from swath.geo.vectors import write_vectors
from swath.geo.windows import Window, whole
from swath.sensors.catalogue import resolve
from tiny import UTM32, UTM33, WGS84, boxes, grid, write_raster

PLACE = grid(60, 80, UTM33, 0.5)
NUMBERS = np.arange(1, 60 * 80 + 1, dtype=np.int32).reshape(60, 80)


def scene(group=None):
    values = np.stack([NUMBERS, NUMBERS, NUMBERS])
    return Scene("town", {"image": ArraySource(values, resolve("rgb"), PLACE)}, group=group)


def test_a_window_is_a_source_of_its_own():
    source = WindowSource(scene().layers["image"], Window(50, -5, 20, 20))
    values, valid = source.read(whole((20, 20)))
    assert valid[:10, 5:].all()
    assert not valid[10:].any()  # beyond the scene
    assert not valid[:, :5].any()
    assert np.array_equal(values[0, :10, 5:], NUMBERS[50:, :15])
    # what lies beyond the window is not shown, though the scene has it
    assert not source.read(Window(-10, 0, 10, 20))[1].any()
    x, y = source.grid.affine @ (0, 0)
    assert (x, y) == tuple(PLACE.affine @ (-5, 50))


@pytest.mark.parametrize("crs", [UTM33, UTM32, WGS84])
def test_squares_are_centred_on_outlines_in_any_crs(crs):
    houses = boxes([(10, 20, 8, 12)], PLACE, height=[7.5], id=["h1"]).to_crs(crs)
    (cut,) = cut_footprints(scene("Corrin"), houses, margin=0.25).scenes
    assert cut.id == "town/h1"
    assert (cut.group, cut.place, cut.facts) == ("Corrin", "Corrin", {"height": 7.5, "id": "h1"})
    side = cut.grid.shape[0]
    # 12 pixels and a quarter of them on both sides
    assert cut.grid.shape == (side, side)
    assert side == 18
    values, valid = cut.layers["image"].read(whole((side, side)))
    assert valid.all()
    row, col = np.argwhere(values[0, side // 2, side // 2] == NUMBERS)[0]
    assert abs(row - 14) <= 1
    assert abs(col - 26) <= 1
    truth = boxes([(10, 20, 8, 12)], PLACE).to_crs(WGS84).geometry.iloc[0]
    assert cut.outline.symmetric_difference(truth).area < 1e-3 * truth.area


def test_what_cannot_be_seen_is_counted():
    cells = [(10, 10, 8, 8), (56, 10, 10, 8), (58, 30, 10, 8), (300, 10, 8, 8), (30, 30, 2, 2)]
    cuts = cut_footprints(scene(), boxes(cells, PLACE))
    # four of ten rows are inside: too few; two of ten: too few
    assert (cuts.rows, cuts.outside, cuts.small) == ((0,), 3, 1)
    kept = cut_footprints(scene(), boxes([(54, 10, 10, 8)], PLACE))
    assert kept.rows == (0,)  # six of ten are enough
    assert not kept.scenes[0].layers["image"].read(whole(kept.scenes[0].grid.shape))[1].all()


def test_parts_of_one_building_are_one_image():
    two = shapely.MultiPolygon(list(boxes([(10, 10, 6, 6), (10, 20, 6, 6)], PLACE).geometry))
    (cut,) = cut_footprints(scene(), gpd.GeoDataFrame(geometry=[two], crs=UTM33), margin=0).scenes
    assert cut.grid.shape == (16, 16)


def test_what_fits_nowhere_is_refused(tmp_path):
    picture = Scene("p", {"image": ArraySource(np.zeros((3, 9, 9), np.uint8), resolve("rgb"), pixel_grid(9, 9))})
    with pytest.raises(GridError):
        cut_footprints(picture, boxes([(1, 1, 4, 4)], PLACE))
    with pytest.raises(ConfigError, match="negative"):
        cut_footprints(scene(), boxes([(1, 1, 4, 4)], PLACE), margin=-1)
    with pytest.raises(DataError, match="other things than polygons: got Point"):
        cut_footprints(scene(), gpd.GeoDataFrame(geometry=[shapely.Point(500_000, 5_000_000)], crs=UTM33))
    write_vectors(boxes([(300, 10, 8, 8), (5, 5, 1, 1)], PLACE), tmp_path / "far.gpkg")
    with pytest.raises(DataError, match=r"No footprint .* got 1 outside, 1 of too few"):
        cut_from_file([scene()], tmp_path / "far.gpkg")


def described(tmp_path, extra="", classes="[tin, tiles]", **columns):
    write_raster(tmp_path / "corrin_town.tif", np.stack([NUMBERS % 250] * 3).astype(np.uint8), PLACE)
    cells = [(r, c, 8, 8) for r in (2, 22, 42) for c in (2, 22, 42)]
    houses = boxes(cells, PLACE, **(columns or {"class": ["tin", "tiles", "? tin"] * 3}))
    write_vectors(houses.to_crs(WGS84), tmp_path / "houses.gpkg")
    (tmp_path / "data.yaml").write_text(
        "layers: {image: {files: corrin_town.tif, sensor: rgb}}\n"
        f"labels: {{files: houses.gpkg, attribute: class, each: true}}\nclasses: {classes}\n{extra}"
    )
    return tmp_path / "data.yaml"


def test_a_yaml_makes_an_image_of_each_outline_that_is_decided(tmp_path):
    found = load_data(described(tmp_path, "group: '([a-z]+)_town'\n"))
    assert [image.labels.index for image in found] == [0, 1] * 3
    assert all(isinstance(image, Placed) and image.place == "corrin" for image in found)
    path = described(tmp_path)
    path.write_text(path.read_text().replace("each: true", "each: {block: 10, margin: 0}"))
    found = load_data(path)
    # neighbours of one block are one group
    assert 1 < len({image.group for image in found}) <= 6
    assert all(image.group.startswith("block ") for image in found)
    assert {tuple(image.grid.shape) for image in found} == {(8, 8)}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (("attribute: class", "attribute: kind"), ConfigError, "no attribute 'kind'"),
        (("attribute: class", "attribute: class, background: tin"), ConfigError, "cannot make images"),
        (("each: true", "each: {size: 3}"), ConfigError, "unknown key"),
        (("files: houses.gpkg", "files: corrin_town.tif"), ConfigError, "cannot make images"),
        (("[tin, tiles]", "[slate, reed]"), DataError, "values outside the classes"),
    ],
)
def test_labels_of_things_that_cannot_be_used(tmp_path, change, error, message):
    path = described(tmp_path)
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(error, match=message):
        load_data(path)


def test_proposals_alone_are_no_labels(tmp_path):
    with pytest.raises(DataError, match=r"no class that counts.*begins with `\?`"):
        load_data(described(tmp_path, **{"class": ["? tin"] * 9}))
