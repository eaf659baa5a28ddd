"""Optical sensors: energy is conserved, windows agree, pictures look like the real ones."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance

from swath.geo.grids import window_grid
from swath.geo.windows import Window
from swath.simulate import landcover as lc
from swath.simulate import moment, optical, truth
from swath.simulate.clouds import Sky
from swath.simulate.painting import paint
from swath.simulate.world import make_world


def test_the_same_moment_gives_the_same_picture(world, summer):
    west, south, _, _ = world.bounds
    grid = optical.sensor_grid(world, 10, (west + 900, south + 900, west + 1500, south + 1500))
    first, second = (optical.observe(world, optical.SENSORS["sentinel2_l2a"], summer, grid) for _ in range(2))
    assert np.array_equal(first.values, second.values)
    later = optical.observe(world, optical.SENSORS["sentinel2_l2a"], moment.at(world, 173), grid)
    assert not np.array_equal(first.values, later.values)


@pytest.mark.parametrize(("name", "cover"), [("sentinel2_l1c", 0.3), ("planetscope4", 0.0), ("landsat8", 0.0)])
def test_a_window_is_a_part_of_the_whole(world, summer, name, cover):
    camera = optical.SENSORS[name]
    west, south, _, _ = world.bounds
    size = 72 * camera.pixel
    grid = optical.sensor_grid(
        world, camera.pixel, (west + 300, south + 300, west + 300 + size, south + 300 + size), camera.origin
    )
    whole = optical.observe(world, camera, summer, grid, Sky(cover=cover))
    window = Window(13, 17, 29, 31)
    part = optical.observe(world, camera, summer, window_grid(grid, window), Sky(cover=cover))
    different = part.values != whole.values[:, *window.slices]
    # long shadows and blur may differ where a picture ends; numbers by one count where sums are rounded
    assert different.mean() < 0.02
    assert np.array_equal(part.veil.cloudy, whole.veil.cloudy[window.slices])


def test_sensors_agree_on_the_same_ground(world, summer):
    """A Landsat pixel is the mean of the Sentinel-2 pixels under it, up to blur, band and noise."""
    west, south, _, _ = world.bounds
    fine = optical.sensor_grid(world, 10, (west + 985, south + 985, west + 2185, south + 2185), 5.0)
    coarse = optical.sensor_grid(world, 30, (west + 985, south + 985, west + 2185, south + 2185), 15.0)
    ten, thirty = (
        optical.reflect(paint(world, optical.finer(grid, camera.fine), summer), camera, Sky(), optical.Atmosphere(), 0)
        for grid, camera in (
            (fine, optical.SENSORS["sentinel2_l2a"]),
            (coarse, replace(optical.SENSORS["landsat8"], fine=12)),
        )
    )
    mean = optical.averaged(ten[3], 3)
    inner = np.s_[2:-2, 2:-2]
    assert np.corrcoef(mean[inner].ravel(), thirty[3][inner].ravel())[0, 1] > 0.97
    assert mean[inner].mean() == pytest.approx(thirty[3][inner].mean(), rel=0.03)


def test_flat_reflectance_passes_unchanged():
    """Averaging and blurring keep the mean; averaging of a ramp is exact."""
    ramp = np.add.outer(np.arange(12.0), np.arange(12.0)).astype(np.float32)
    assert optical.averaged(ramp, 3)[0, 0] == pytest.approx(2.0)
    assert optical.averaged(ramp, 3).mean() == pytest.approx(ramp.mean())


def test_noise_has_the_stated_ratio(world):
    camera = optical.SENSORS["sentinel2_l2a"]
    grid = optical.sensor_grid(world, 10, (0, 0, 2000, 2000))
    flat = np.full((12, 200, 200), 0.2, np.float32)
    stored = optical._stored(camera, flat, grid, moment.at(world, 100), 1)
    values = camera.bands.decode(stored)
    for number, snr in enumerate(camera.snr):
        native = values[number][:: camera.coarser[number], :: camera.coarser[number]]
        assert native.mean() / native.std() == pytest.approx(snr, rel=0.12)


def test_shadows_lie_where_the_sun_puts_them(world):
    grid = optical.sensor_grid(world, 10)
    x, y = optical.axes(grid)
    for hour in (9.0, 15.0):
        when = moment.at(world, 172, hour)
        sky = Sky(cover=0.2, base=700.0, wind=(0.0, 0.0), size=700.0)
        over = optical.veil(x, y, sky, when.sun, 0.0, 7)
        away = sky.base / np.tan(when.sun.elevation) / 10
        row, col = round(np.cos(when.sun.azimuth) * away), round(-np.sin(when.sun.azimuth) * away)
        moved = np.roll(over.depth, (row, col), (0, 1))
        inner = np.s_[abs(row) + 1 : -abs(row) - 1, abs(col) + 1 : -abs(col) - 1]
        assert np.corrcoef(moved[inner].ravel(), -np.log(over.sunlight[inner]).ravel())[0, 1] > 0.97
    assert 0.05 < over.cloudy.mean() < 0.4
    assert not (over.cloudy & over.shaded).any()


def test_land_cover_is_neither_noise_nor_giveaway():
    """A nearest-centroid classifier on Sentinel-2, trained on another world, is far from trivial and from perfect."""
    seen = []
    for seed in (5, 6):
        place = make_world(seed=seed, width=3000, height=3000, towns=25)
        when = moment.at(place, 160)
        image = optical.observe(place, optical.SENSORS["sentinel2_l2a"], when)
        mask = truth.landcover_mask(place, image.grid, when, 4)
        seen.append((image.bands.decode(image.values).reshape(12, -1).T, mask.ravel()))
    (x, y), (u, v) = seen
    scale = x.std(0)
    codes = [c for c in lc.CLASSES.codes if (y == c).sum() > 50 and (v == c).sum() > 50]
    centroids = np.stack([x[y == c].mean(0) for c in codes])
    kept = np.isin(v, codes)
    guess = np.array(codes)[cdist(u[kept] / scale, centroids / scale).argmin(1)]
    recall = np.mean([(guess[v[kept] == c] == c).mean() for c in codes])
    assert len(codes) >= 6
    assert 1.8 / len(codes) < recall < 0.92


@pytest.mark.data
def test_sentinel2_values_are_in_the_range_of_eurosat(data_folder):
    place = make_world(seed=3, width=4000, height=4000)
    chips = sorted((data_folder / "eurosat_ms_200").glob("*/*.tif"))
    real = []
    for chip in chips:
        with rasterio.open(chip) as file:
            real.append(file.read()[:, ::4, ::4].reshape(13, -1) / 1e4)
    # EuroSAT puts B8A last
    order = [0, 1, 2, 3, 4, 5, 6, 7, 12, 8, 9, 10, 11]
    values = np.concatenate(real, 1)[order]
    when = moment.at(place, 172)
    image = optical.observe(place, optical.SENSORS["sentinel2_l1c"], when)
    simulated = image.bands.decode(image.values)[:, ::3, ::3].reshape(13, -1)
    distance = {}
    for name, a, b in zip(image.bands.names, values, simulated, strict=True):
        distance[name] = wasserstein_distance(a[::7], b) / max(a.std(), 0.01)
    # in standard deviations of the real values; the mean over the bands
    assert np.mean(list(distance.values())) < 0.8
    assert max(distance.values()) < 1.5


@pytest.mark.data
def test_aerial_values_are_in_the_range_of_dubai(data_folder):
    place = make_world(seed=3, width=4000, height=4000)
    from PIL import Image

    chips = sorted((data_folder / "dubai_landcover_seg").rglob("*.jpg"))[:20]
    real = np.concatenate([np.asarray(Image.open(c))[::9, ::9].reshape(-1, 3) for c in chips])
    x, y = place.settlements[0].centre
    grid = optical.sensor_grid(place, 0.5, (x - 200, y - 200, x + 200, y + 200))
    seen = optical.observe(place, optical.SENSORS["rgb"], moment.at(place, 172), grid).values.reshape(3, -1).T
    distance = [wasserstein_distance(real[:, k], seen[::5, k]) / real[:, k].std() for k in range(3)]
    print(np.round(distance, 2))
    assert max(distance) < 1.5
