"""STAC items as sources, from a static catalogue on disk and on a local server."""

from datetime import UTC, datetime

import numpy as np
import pystac
import pytest
import yaml
from pystac.extensions.eo import EOExtension
from shapely.geometry import box, mapping

import faulty_server
import tiny
from stac_api import serving_api
from swath.data.config import load_data
from swath.data.scene_words import open_scene
from swath.data.stac_items import item_collection, item_scene, item_source, items_of
from swath.errors import BandError, DataError, ReadError
from swath.geo.windows import whole
from swath.sensors.catalogue import resolve

BANDS = resolve("sentinel2_l2a", ["B04", "B08"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A self-contained catalogue: three items in a row from west to east, one a month, red and infrared apart."""
    root = tmp_path_factory.mktemp("stac")
    catalogue = pystac.Catalog("things", "for tests")
    for number in range(3):
        west = 15 + number
        item = pystac.Item(
            f"item{number}",
            mapping(box(west, 45, west + 0.5, 45.5)),
            [west, 45, west + 0.5, 45.5],
            datetime(2020, 1 + number, 1, tzinfo=UTC),
            {},
        )
        for key, name in (("visual_red", "red"), ("B08", None)):
            values = np.full((1, 16, 16), 1000 * number + len(key), np.uint16)
            path = tiny.write_raster(root / f"item{number}" / f"{key}.tif", values, tiny.grid(16, 16))
            asset = pystac.Asset(str(path), media_type=pystac.MediaType.COG, roles=["data"])
            item.add_asset(key, asset)
            if name:
                asset.extra_fields["eo:bands"] = [{"name": "something", "common_name": name}]
        item.add_asset("thumbnail", pystac.Asset("small.png", media_type="image/png", roles=["thumbnail"]))
        EOExtension.add_to(item)
        catalogue.add_item(item)
    catalogue.normalize_hrefs(str(root))
    catalogue.make_all_asset_hrefs_relative()
    catalogue.save(pystac.CatalogType.SELF_CONTAINED)
    return root


def first_values(source):
    return source.read(whole(source.grid.shape))[0][:, 0, 0].tolist()


def test_bands_are_found_by_key_and_by_common_name(folder):
    source = item_source(folder / "item1" / "item1.json", BANDS)
    assert source.bands.names == ("B04", "B08")
    assert first_values(source) == [1010, 1003]
    scene = item_scene(folder / "item1" / "item1.json", BANDS)
    assert (scene.id, scene.time) == ("item1", datetime(2020, 2, 1, tzinfo=UTC))


def test_a_band_that_no_asset_has_is_named(folder):
    with pytest.raises(BandError, match=r"item0 has no asset of band 'B02'"):
        item_source(folder / "item0" / "item0.json", resolve("sentinel2_l2a", ["B02", "B08"]))


@pytest.mark.parametrize(
    ("properties", "offset"),
    [
        ({"s2:processing_baseline": "03.01"}, 0.0),
        ({"s2:processing_baseline": "05.09"}, -0.1),
        ({"processing:version": "05.11"}, -0.1),
        ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}, 0.0),
        ({"s2:processing_baseline": "unknown"}, 0.0),
    ],
)
def test_the_offset_follows_from_the_baseline_of_an_item(folder, properties, offset):
    item = pystac.Item.from_file(str(folder / "item1" / "item1.json"))
    item.properties.update(properties)
    assert {band.offset for band in item_source(item, BANDS).bands} == {offset}
    assert {band.offset for band in item_source(item, BANDS, offset_given=True).bands} == {0.0}


def test_a_static_catalogue_is_searched(folder):
    catalogue = folder / "catalog.json"
    assert [item.id for item in items_of(catalogue)] == ["item0", "item1", "item2"]
    assert [item.id for item in items_of(catalogue, bbox=(16.2, 45.2, 17.1, 45.3))] == ["item1", "item2"]
    february = (datetime(2020, 2, 1), datetime(2020, 2, 28))
    assert [item.id for item in items_of(catalogue, between=february)] == ["item1"]
    with pytest.raises(DataError, match="No item of"):
        items_of(catalogue, bbox=(0, 0, 1, 1))
    found = item_collection(items_of(catalogue), BANDS)
    assert [first_values(scene.layers["image"])[1] for scene in found] == [3, 1003, 2003]


def test_items_are_read_from_a_server(folder):
    with faulty_server.serving(folder) as (url, faults):
        faults.failing = 1
        assert first_values(item_source(f"{url}/item2/item2.json", BANDS)) == [2010, 2003]
        assert len(items_of(f"{url}/catalog.json")) == 3


def test_an_api_is_searched_page_by_page(folder):
    items = [pystac.Item.from_file(str(folder / f"item{n}" / f"item{n}.json")).to_dict() for n in range(3)]
    with serving_api(items) as (url, searches):
        assert [item.id for item in items_of(url)] == ["item0", "item1", "item2"]
        assert len(searches) == 3
        assert [item.id for item in items_of(url, bbox=(16.2, 45.2, 17.1, 45.3))] == ["item1", "item2"]
        february = (datetime(2020, 2, 1, tzinfo=UTC), datetime(2020, 2, 28, tzinfo=UTC))
        assert [item.id for item in items_of(url, between=february)] == ["item1"]
        assert [item.id for item in items_of(url, limit=2)] == ["item0", "item1"]
        with pytest.raises(DataError, match="No item of"):
            items_of(url, collections=["other"])


def test_a_search_that_the_api_refuses_is_told(folder):
    with serving_api([], broken=True) as (url, _), pytest.raises(ReadError, match="no such filter"):
        items_of(url)


@pytest.mark.parametrize("form", ["{path}", "file://{path}", "/vsizip/{path}", "/vsicurl/file://{path}"])
def test_an_item_from_elsewhere_opens_no_file_of_this_machine(folder, tmp_path, form):
    secret = tiny.write_raster(tmp_path / "secret.tif", np.ones((1, 4, 4), np.uint8), tiny.grid(4, 4))
    item = pystac.Item.from_file(str(folder / "item0" / "item0.json"))
    for asset in item.assets.values():
        asset.href = form.format(path=secret)
    item.remove_links("root")
    item.save_object(include_self_link=False, dest_href=str(tmp_path / "item.json"))
    with faulty_server.serving(tmp_path) as (url, _), pytest.raises(ReadError):
        item_source(f"{url}/item.json", BANDS)


def test_descriptions_and_command_lines_name_items(folder, tmp_path):
    layer = {"files": str(folder / "item{n}" / "item*.json"), "sensor": "sentinel2_l2a", "bands": ["B04", "B08"]}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"layers": {"image": {**layer, "offset": 0}}}))
    data = load_data(tmp_path / "data.yaml")
    assert [scene.time.month for scene in data] == [1, 2, 3]
    scene = open_scene([str(folder / "item1" / "item1.json")], {"image": BANDS})
    assert first_values(scene.layers["image"]) == [1010, 1003]


@pytest.mark.parametrize("content", ["{", "[]", '{"type": "Feature"}', '{"type": "Catalog", "id": "x"}'])
def test_what_is_no_item_is_refused(tmp_path, content):
    (tmp_path / "item.json").write_text(content)
    with pytest.raises(ReadError, match=r"item\.json"):
        item_source(tmp_path / "item.json", BANDS)
