import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

import pystac
import pytest
import shapely

from geo.grid_cases import north_up
from swath.data.classes import Classes
from swath.errors import ConfigError, ReadError
from swath.geo.grids import pixel_grid
from swath.geo.stac import sha256, write_item

GRID = north_up("EPSG:32633", 400_000, 5_600_000, 10.0, 60, 80)
PROVENANCE = {"system": "unet", "weights": None, "inputs": ["scene.tif"], "version": "0.1.0"}


@pytest.fixture
def product(tmp_path):
    path = tmp_path / "map.tif"
    path.write_bytes(b"pixels")
    return path


def test_an_item_says_where_when_what_and_how(product):
    (product.parent / "report.html").write_text("")
    classes = Classes.of({1: {"name": "water", "colour": "#0000ff"}, 4: "wood"})
    path = write_item(
        product,
        grid=GRID,
        provenance=PROVENANCE,
        bands=[{"name": "class", "data_type": "uint8", "nodata": 0}],
        classes=classes.to_dict(),
        time=datetime(2021, 7, 1, 12, tzinfo=timezone(timedelta(hours=2))),
        assets={"report": product.parent / "report.html"},
    )
    assert path.name == "map.tif.stac.json"
    item = pystac.Item.from_file(str(path))
    assert item.datetime == datetime(2021, 7, 1, 10, tzinfo=UTC)
    assert item.properties["swath:provenance"] == PROVENANCE
    assert item.assets["data"].get_absolute_href() == str(product)
    assert json.loads(path.read_text())["assets"]["report"]["href"] == "./report.html"
    assert item.assets["data"].extra_fields["bands"][0]["name"] == "class"
    projection = pystac.extensions.projection.ProjectionExtension.ext(item)
    assert (projection.code, projection.shape) == ("EPSG:32633", [60, 80])
    assert projection.transform == [10, 0, 400_000, 0, -10, 5_600_000]
    legend = pystac.extensions.classification.ClassificationExtension.ext(item.assets["data"]).classes
    assert (legend[0].value, legend[0].name, legend[0].color_hint) == (1, "water", "0000FF")
    assert shapely.box(*item.bbox).covers(shapely.geometry.shape(item.geometry))


def test_a_span_of_time(product):
    span = (datetime(2021, 1, 1), datetime(2021, 12, 31))
    item = pystac.Item.from_file(str(write_item(product, grid=GRID, provenance=PROVENANCE, time=span)))
    assert item.datetime is None
    assert item.common_metadata.start_datetime == datetime(2021, 1, 1, tzinfo=UTC)
    assert item.common_metadata.end_datetime == datetime(2021, 12, 31, tzinfo=UTC)
    with pytest.raises(ConfigError, match="ends before"):
        write_item(product, grid=GRID, provenance=PROVENANCE, time=span[::-1])


def test_a_picture_has_no_geometry(product):
    item = pystac.Item.from_file(str(write_item(product, grid=pixel_grid(4, 5), provenance=PROVENANCE)))
    assert item.geometry is None
    assert item.bbox is None
    assert item.properties["proj:shape"] == [4, 5]


def test_the_box_across_the_antimeridian_has_west_above_east(product):
    grid = north_up("EPSG:4326", 170, 10, 0.1, 100, 200)
    item = pystac.Item.from_file(str(write_item(product, grid=grid, provenance=PROVENANCE)))
    assert item.bbox == pytest.approx([170, 0, -170, 10])


def test_bad_input_writes_nothing(product):
    with pytest.raises(ConfigError, match="not complete"):
        write_item(product, grid=GRID, provenance={"system": "unet"})
    with pytest.raises(ConfigError, match="JSON"):
        write_item(product, grid=GRID, provenance={**PROVENANCE, "inputs": [object()]})
    with pytest.raises(ReadError, match="does not exist"):
        write_item(product.with_name("other.tif"), grid=GRID, provenance=PROVENANCE)
    assert [p.name for p in product.parent.iterdir()] == ["map.tif"]


def test_sha256(product):
    assert sha256(product) == hashlib.sha256(b"pixels").hexdigest()
    with pytest.raises(ReadError):
        sha256(product.with_name("none"))
