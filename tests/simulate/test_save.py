"""Worlds on disk: whole, readable by others, the same each time."""

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import yaml

from swath.data.config import load_data
from swath.errors import ConfigError, SwathError, UnknownNameError
from swath.geo import cog
from swath.simulate import moment, optical, rasters, requests, save
from swath.simulate.world import LAYERS, make_world

SETTINGS = {
    "seed": 3,
    "width": 1500,
    "height": 1200,
    "towns": 60,
    "images": [
        {"sensor": "sentinel2_l2a", "dates": ["05-10", "07-01"], "clouds": 0.2},
        {"sensor": "sentinel1_grd_power", "dates": ["07-01"]},
    ],
    "events": [{"kind": "flood", "date": "06-15", "level": 4}],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("world")
    save.simulate(SETTINGS, path)
    return path


def test_all_layers_are_written_once(folder):
    world = make_world(**{k: v for k, v in SETTINGS.items() if k not in ("images", "events")})
    assert {name for name, _ in pyogrio.list_layers(folder / "vectors.gpkg")} <= set(LAYERS)
    for name in LAYERS:
        expected = world.layer(name)
        if not len(expected):
            continue
        read = gpd.read_file(folder / "vectors.gpkg", layer=name)
        assert set(expected.index) <= set(read["id"]), name
        assert read["id"].is_unique
        assert read.crs == world.config.crs
    assert "building:levels" in gpd.read_file(folder / "vectors.gpkg", layer="buildings")


def test_pictures_and_labels_lie_on_one_grid(folder):
    files = sorted((folder / "images" / "sentinel2_l2a").glob("*.tif"))
    assert len(files) == 2
    for image in files:
        with rasterio.open(image) as a, rasterio.open(folder / "labels" / image.name) as b:
            assert (a.transform, a.crs, a.shape) == (b.transform, b.crs, b.shape)
            assert a.count == 12
            assert a.nodata == 0
            assert a.descriptions[1] == "B02"
            assert set(np.unique(b.read(1))) <= set(range(1, 10))
            assert 200 < np.median(a.read(8)) < 6000
        assert cog.problems(image) == []
        item = json.loads(Path(f"{image}.stac.json").read_text())
        assert set(item["assets"]) == {"data", "labels", "clouds"}
        assert item["properties"]["datetime"].startswith("2023-")
    assert len(list((folder / "clouds").glob("*.tif"))) == 2
    with rasterio.open(folder / "dem.tif") as dem:
        assert dem.read(1).max() > 20


def test_the_folder_is_a_data_set(folder):
    found = load_data(folder / "data.yaml")
    assert found.classes.names[:2] == ("water", "forest")
    assert {scene.part for scene in found if isinstance(scene.part, str)} <= {"train", "val", "test"}
    assert sorted({scene.time.strftime("%m-%d") for scene in found}) == ["05-10", "07-01"]
    scene = found[0]
    labels = scene.labels.read(scene.grid)
    with rasterio.open(folder / "labels" / "shot0_20230510T1030.tif") as file:
        assert np.array_equal(labels, file.read(1) - 1)


def test_events_show_only_after_their_date(folder):
    first, second = (
        rasterio.open(folder / p).read(1)
        for p in sorted(str(f.relative_to(folder)) for f in (folder / "labels").glob("shot0*.tif"))
    )
    assert (second == 1).sum() > (first == 1).sum()


def test_the_same_settings_write_the_same_pictures(folder, tmp_path):
    settings = yaml.safe_load((folder / "world.yaml").read_text())
    settings["images"] = [{"sensor": "sentinel2_l2a", "dates": ["05-10"], "clouds": 0.2}]
    save.simulate(settings, tmp_path)
    one, two = (next((f / "images" / "sentinel2_l2a").glob("*0510T*.tif")) for f in (folder, tmp_path))
    with rasterio.open(one) as a, rasterio.open(two) as b:
        assert np.array_equal(a.read(), b.read())


def test_a_picture_written_by_windows_is_the_whole_picture(folder, tmp_path, monkeypatch):
    world = make_world(**{k: v for k, v in SETTINGS.items() if k not in ("images", "events")})
    monkeypatch.setattr(rasters, "WINDOW", 48)
    when = moment.at(world, 130)
    grid = optical.sensor_grid(world, 10)
    camera = optical.SENSORS["planetscope4"].__class__(**{**optical.SENSORS["planetscope4"].__dict__, "pixel": 10.0})
    path = tmp_path / "a.tif"
    rasters.write_raster(path, grid, "uint16", 4, lambda part: optical.observe(world, camera, when, part).values)
    whole = optical.observe(world, camera, when, grid).values
    with rasterio.open(path) as file:
        assert (file.read() != whole).mean() < 0.01


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"images": [{"sensor": "hubble"}]}, UnknownNameError),
        ({"images": [{"sensor": "rgb", "dates": ["31-31"]}]}, ConfigError),
        ({"images": [{"sensor": "rgb", "clouds": 7}]}, ConfigError),
        ({"images": [{"sensor": "rgb", "bounds": [3, 2, 1, 0]}]}, ConfigError),
        ({"images": [{"dates": ["06-01"]}]}, ConfigError),
        ({"events": [{"kind": "meteor", "date": "06-01"}]}, UnknownNameError),
        ({"events": [{"kind": "flood", "date": "06-01", "depth": 3}]}, ConfigError),
        ({"layouts": ["nothing"]}, UnknownNameError),
        ({"size": 3}, ConfigError),
    ],
)
def test_bad_requests_are_refused_before_anything_is_written(change, error, tmp_path):
    with pytest.raises(error):
        save.simulate({"seed": 1, **change}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unreadable_file_is_one_clear_error(tmp_path):
    with pytest.raises(SwathError):
        save.simulate(tmp_path / "absent.yaml", tmp_path / "out")


def test_haze_brightens_the_blue(tmp_path):
    world = make_world(seed=1, width=700, height=700)
    blue = []
    for haze in (0.05, 0.6):
        shot = requests.shot({"sensor": "sentinel2_l1c", "haze": haze}, world.config)
        taken = save.write_shot(world, shot, moment.at(world, 170), tmp_path, f"haze{haze}")
        with rasterio.open(taken.files["image"]) as file:
            blue.append(file.read(2).mean())
    assert blue[1] > 1.1 * blue[0]


#: Values of tags that the wiki of OpenStreetMap documents (Map features, read in 2026), by layer and key.
OPENSTREETMAP = {
    "natural": {"natural": {"water", "wood", "scrub", "bare_rock", "wetland", "beach"}},
    "waterways": {"waterway": {"river", "stream"}},
    "landuse": {"landuse": {"residential", "commercial", "industrial", "farmyard"}, "leisure": {"park"}},
    "parcels": {"landuse": {"farmland", "meadow", "orchard", "vineyard"}},
    "roads": {
        "highway": {"primary", "secondary", "residential", "track"}, "surface": {"asphalt", "gravel"},
        "bridge": {"yes", "no"},
    },
    "buildings": {
        "building": {"house", "apartments", "retail", "industrial", "farm", "farm_auxiliary"},
        "roof:shape": {"gabled", "flat"},
    },
    "trees": {"natural": {"tree"}, "leaf_type": {"broadleaved", "needleleaved"}},
}  # fmt: skip
#: Keys of which numbers are asked, in metres, km/h or pieces.
NUMBERS = {
    "waterways": {"width"},
    "roads": {"lanes", "width", "maxspeed"},
    "buildings": {"height", "building:levels"},
    "trees": {"height", "diameter_crown"},
}


@pytest.mark.parametrize("name", LAYERS)
def test_vectors_carry_tags_of_openstreetmap(name, folder):
    found = gpd.read_file(folder / "vectors.gpkg", layer=name)
    for key, values in OPENSTREETMAP[name].items():
        assert set(found[key].dropna()) <= values, key
    # each thing carries one of the main keys of its layer
    main = [key for key in ("natural", "waterway", "landuse", "leisure", "highway", "building") if key in found]
    assert found[main].notna().any(axis=1).all()
    for key in NUMBERS.get(name, ()):
        assert (found[key] > 0).all(), key
