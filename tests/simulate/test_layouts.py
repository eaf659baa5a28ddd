"""Published layouts: the readers read what is written, and find the classes of the same world."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from PIL import Image
from rasterio import features

from swath.data.city_table import read_cities
from swath.data.readers.bhutan_rice import read_bhutan_image, read_bhutan_rice
from swath.data.readers.cloud_adapter import read_cloud_adapter
from swath.data.readers.cloudtracks import read_cloudtracks
from swath.data.readers.dubai import read_dubai
from swath.data.readers.floodnet import read_floodnet
from swath.data.readers.floodnet_classification import read_floodnet_classification
from swath.data.readers.floodnet_vqa import read_floodnet_vqa
from swath.data.readers.gid15 import read_gid15
from swath.data.readers.landcover_ai import read_landcover_ai
from swath.data.readers.mass_buildings import read_mass_buildings
from swath.data.readers.methane_onboard import read_methane_onboard
from swath.data.readers.roofnet import TABLE, TABLE_COLUMNS, read_roofnet
from swath.errors import ConfigError
from swath.geo.windows import whole
from swath.simulate import aerial, cloudsen12, drone, layouts, moment, rice, roofs, ship_tracks, starcop, truth
from swath.simulate import landcover as lc
from swath.simulate.painting import paint
from swath.simulate.world import make_world


@pytest.fixture(scope="module")
def place():
    return make_world(seed=3, width=2400, height=1500, towns=40)


def test_landcover_ai(place, tmp_path):
    layouts.landcover_ai(place, tmp_path, sheets=3, edge=520)
    found = read_landcover_ai(tmp_path, split="published")
    assert {scene.part for scene in found} == {"train", "val", "test"}
    built = known = 0
    for scene in found:
        labels = scene.labels.read(scene.grid)
        assert labels.max() <= 4
        houses = place.layer("buildings", truth.bounds_of(scene.grid))
        houses = houses[houses["start_date"] <= "2023-06-19"]
        if len(houses):
            # buildings are those of the vector layer at pixel centres, less what crowns hide
            inside = features.geometry_mask(houses.geometry, labels.shape, scene.grid.affine, invert=True)
            assert not ((labels == 1) & ~inside).any()
            built, known = built + (labels == 1).sum(), known + inside.sum()
    assert 0.85 * known < built <= known


def test_dubai(place, tmp_path):
    written = layouts.dubai(place, tmp_path, tiles=3, pictures=2, edge=160)
    found = read_dubai(tmp_path)
    assert len(found) == 6
    assert len(written) == 12
    assert {scene.part for scene in found} == {"train", "val", "test"}
    labels = np.concatenate([scene.labels.read(scene.grid).ravel() for scene in found])
    assert labels.min() >= 0
    assert {2, 3} <= set(np.unique(labels))
    image = found[0].layers["image"]
    assert image.bands.names == ("red", "green", "blue")


def test_mass_buildings(place, tmp_path):
    aerial.mass_buildings(place, tmp_path, pictures=5, edge=240)
    found = read_mass_buildings(tmp_path)
    assert [scene.part for scene in found] == ["train"] * 3 + ["val", "test"]
    _, valid = found[0].layers["image"].read(whole(found[0].grid.shape))
    assert valid.mean() == pytest.approx(0.85)  # the white strip
    built = known = 0
    for scene in found:
        path = next(tmp_path.glob(f"*/sat/{scene.id}.tiff"))
        with rasterio.open(path) as file:
            grid = GeoBox(file.shape, file.transform, file.crs)
        houses = place.layer("buildings", truth.bounds_of(grid))
        houses = houses[houses["start_date"] <= "2023-06-19"]
        inside = features.geometry_mask(houses.geometry, grid.shape, grid.affine, invert=True)
        inside[:, 204 if scene.id == found[0].id else 240 :] = False
        labels = scene.labels.read(scene.grid) == 1
        assert not (labels & ~inside).any()
        built, known = built + labels.sum(), known + inside.sum()
    assert 0.8 * known < built <= known  # less what crowns hide


def test_gid15(place, tmp_path):
    aerial.gid15(place, tmp_path, pictures=6, edge=100)
    found = read_gid15(tmp_path, "published")
    assert [scene.part for scene in found] == ["train"] * 3 + ["val"] * 2 + ["test"]
    land = {}
    for scene in found[:5]:
        with rasterio.open(next(tmp_path.glob(f"GID/img_dir/*/{scene.id}.tif"))) as file:
            grid = GeoBox(file.shape, file.transform, file.crs)
        codes = paint(place, grid, moment.at(place, 170, 11.0)).landcover
        for code, label in zip(codes.ravel(), scene.labels.read(scene.grid).ravel(), strict=True):
            land.setdefault(int(code), set()).add(found.classes.names[label])
    assert all(len(names) == 1 for names in land.values())  # each of ours is one of theirs
    assert land[lc.FOREST] == {"arbor woodland"}
    assert land[lc.BUILDING] == {"rural residential"}
    assert found[5].labels is None


def test_no_more_pictures_than_have_room(place, tmp_path):
    with pytest.raises(ConfigError, match="at most"):
        aerial.mass_buildings(place, tmp_path, pictures=5, edge=1200)


def test_bhutan_rice(tmp_path):
    place = make_world(seed=3, width=1400, height=1400, towns=60, coast=0.0)
    rice.bhutan_rice(place, tmp_path, points=40)
    found = read_bhutan_rice(tmp_path, "RGBNES", duplicates="keep")
    parts = {scene.part: scene for scene in found}
    assert set(parts) == {"train", "val", "test"}
    scene = parts["train"]
    labels = scene.labels.read(scene.grid).ravel()
    counts = np.bincount(labels, minlength=5)
    assert counts.max() == 40
    assert (counts[[0, 2, 3, 4]] == 40).all()
    image = read_bhutan_image(tmp_path / "image_2023.tfrecord.gz", features="RGBNES")[0]
    assert image.grid.crs == place.config.crs
    source = image.layers["image"]
    values, _ = source.read(whole(image.grid.shape))
    assert values.shape == (18, 128, 128)
    # every training point is a pixel of the image
    columns, _ = scene.layers["image"].read(whole(scene.grid.shape))
    columns = columns[:, :, 0].T
    pixels = {row.tobytes() for row in np.ascontiguousarray(values.reshape(18, -1).T)}
    assert all(row.tobytes() in pixels for row in np.ascontiguousarray(columns))
    # flooded before the season, green during it, where rice grows
    if counts[1]:
        ndvi = [(columns[:, k + 3] - columns[:, k]) / (columns[:, k + 3] + columns[:, k]) for k in (0, 4)]
        assert ndvi[1][labels == 1].mean() > ndvi[0][labels == 1].mean() + 0.2


def test_methane_onboard(place, tmp_path):
    starcop.methane_onboard(place, tmp_path, scenes=3, edge=48)
    found = read_methane_onboard(tmp_path)
    assert [scene.id for scene in found if scene.part == "test"] == ["sim_flight2_r0"]
    shares = [(scene.labels.read(scene.grid) == 1).mean() for scene in found]
    assert shares[0] > 0.01
    assert shares[1] == 0
    cube = found[0].layers["cube"]
    values, valid = cube.read(whole(found[0].grid.shape))
    assert valid.all()
    assert [band.wavelength for band in cube.bands[:4]] == [460, 550, 640, 2122]
    plume = found[0].labels.read(found[0].grid) == 1
    # methane absorbs around 2350 nm and not at 2129 nm
    seen = dict(zip((band.wavelength for band in cube.bands), values, strict=True))
    ratio = seen[2353] / seen[2129]
    assert np.median(ratio[plume]) < np.median(ratio[~plume])


def test_floodnet_in_its_three_layouts(place, tmp_path):
    drone.floodnet(place, tmp_path / "masks", pictures=8, edge=160)
    found = read_floodnet(tmp_path / "masks")
    assert [scene.part for scene in found].count("train") == 4
    seen = set(np.unique([scene.labels.read(scene.grid) for scene in found]))
    assert {1, 2, 4, 9} <= seen <= set(range(10))
    drone.floodnet_classification(place, tmp_path / "classes", pictures=6, edge=64)
    assert sorted(s.labels.index for s in read_floodnet_classification(tmp_path / "classes")) == [0, 0, 0, 1, 1, 1]
    drone.floodnet_vqa(place, tmp_path / "questions", pictures=8, edge=160)
    asked = read_floodnet_vqa(tmp_path / "questions")
    assert {scene.kind for scene in asked} >= {"Simple_Counting", "Complex_Counting", "Condition_Recognition"}
    assert len({scene.group for scene in asked}) == 4


def test_cloud_adapter(place, tmp_path):
    cloudsen12.cloud_adapter(place, tmp_path, pictures=12, edge=64)
    found = read_cloud_adapter(tmp_path)
    assert found.name == "cloudsen12_high_l1c"
    assert [sum(scene.part == part for scene in found) for part in ("train", "val", "test")] == [6, 2, 4]
    bright, counts = {k: [] for k in range(4)}, np.zeros(4, int)
    for scene in found:
        labels = scene.labels.read(scene.grid)
        counts += np.bincount(labels.ravel(), minlength=4)
        image, _ = scene.layers["image"].read(whole(scene.grid.shape))
        assert image.min() == 0  # each is stretched by itself
        assert image.max() >= 254
        for k in set(np.unique(labels)) & {0, 1, 3}:
            bright[k].append(image[:, labels == k].mean() / image.mean())
    assert (counts > 0).all()
    assert np.mean(bright[1]) > np.mean(bright[0]) > np.mean(bright[3])  # thick cloud, clear ground, shadow


def test_clouds_want_three_places_side_by_side(place, tmp_path):
    with pytest.raises(ConfigError, match="no room"):
        cloudsen12.cloud_adapter(place, tmp_path, pictures=1, edge=96)


def test_cloudtracks(place, tmp_path):
    ship_tracks.cloudtracks(place, tmp_path, granules=12, shape=(120, 90))
    found = read_cloudtracks(tmp_path)
    assert {scene.part for scene in found} == {"train", "val", "test"}
    assert len({scene.group for scene in found}) == 3
    for number, scene in enumerate(sorted(found, key=lambda s: s.id)):
        seen = ship_tracks.granule(place.seed, number, (120, 90))
        values, _ = scene.layers["image"].read(whole(scene.grid.shape))
        assert np.array_equal(np.moveaxis(values, 0, -1), seen.picture)
        assert len(scene.labels.instances(scene.grid)) == len(seen.tracks)
        inside = features.geometry_mask(seen.outlines, (120, 90), Affine.identity(), invert=True) if seen.tracks else 0
        assert ((scene.labels.read(scene.grid) == 1) != inside).mean() < 2e-3


def test_roofnet(tmp_path):
    place = make_world(seed=3, width=3000, height=2400, towns=120)
    roofs.roofnet(place, tmp_path, roofs=3)
    found = read_roofnet(tmp_path)
    table = read_cities(tmp_path / "cities.csv")
    houses = place.layer("buildings").to_crs("EPSG:4326")
    for scene in found:
        city, material = table.find(scene.group), found.classes.names[scene.labels.index]
        assert material in (*city.materials, "Unknown")
        assert table.nearest(scene.facts["longitude"], scene.facts["latitude"])[0] == city
        # the house that stands there has a material of this class
        (house,) = houses[
            houses.contains(shapely.Point(scene.facts["longitude"], scene.facts["latitude"]))
        ].itertuples()
        own = roofs.MATERIALS[house[houses.columns.get_loc("roof:material") + 1]]
        assert material in (own, "Unknown")
    assert pd.read_csv(tmp_path / TABLE).columns.tolist() == [*TABLE_COLUMNS]
    mixes = {city.materials for city in table.cities}
    assert len(mixes) > len(table.cities) // 2  # cities differ
    assert len({found.classes.names[scene.labels.index] for scene in found}) >= 6
    with pytest.raises(ConfigError, match="too few cities"):
        roofs.roofnet(make_world(seed=3, width=1000, height=1000, towns=100), tmp_path / "few")


def test_what_is_too_coarse_shows_no_texture():
    picture = Image.fromarray(np.indices((96, 84)).sum(0).astype(np.uint8) % 2 * 200)
    seen = np.asarray(roofs._coarse(picture))
    assert seen.shape == (96, 84)
    assert seen.mean() == pytest.approx(100, abs=1)
    assert seen.std() < 2


def test_each_material_has_a_texture_of_its_own():
    grid = GeoBox((128, 128), Affine(0.2, 0, 0, 0, -0.2, 25.6), "EPSG:32632")
    spectra = []
    for material in sorted(roofs.MATERIALS):
        house = gpd.GeoDataFrame({"roof:material": [material]}, geometry=[shapely.box(2, 6, 24, 18)], crs="EPSG:32632")
        factor = roofs.textures(house, grid, 0)
        inside = factor[40:96, 16:112]
        assert (factor[:8] == 1).all()
        assert inside.std() > 0.05
        waves = np.abs(np.fft.fft2(inside - inside.mean()))[:20, :20].ravel()
        spectra.append(waves / np.linalg.norm(waves))
    alike = np.array(spectra) @ np.array(spectra).T
    names = sorted(roofs.MATERIALS)
    same = (names.index("metal"), names.index("blue_metal"))
    assert alike[same] == pytest.approx(1)  # one class
    alike[same] = alike[same[::-1]] = 0
    np.fill_diagonal(alike, 0)
    assert alike.max() < 0.9
