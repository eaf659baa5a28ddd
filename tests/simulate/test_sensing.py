"""Radar, spectrometer and heat against closed forms."""

import numpy as np
import pytest

from swath.geo.grids import window_grid
from swath.geo.windows import Window
from swath.simulate import events, hyperspectral, moment, optical, sar, thermal, truth
from swath.simulate import landcover as lc


@pytest.fixture(scope="module")
def grid(world):
    west, south, _, _ = world.bounds
    return optical.sensor_grid(world, 20, (west + 200, south + 1000, west + 1800, south + 2200))


def test_speckle_has_its_looks_and_windows_agree(world, summer):
    ten = optical.sensor_grid(
        world, 10, (world.bounds[0], world.bounds[1], world.bounds[0] + 1500, world.bounds[1] + 1500)
    )
    seen = sar.backscatter(world, summer, grid=ten)
    ratio = seen.power / (seen.clean + 10 ** np.array([-2.6, -2.9])[:, None, None])
    # gamma law: mean 1, variance 1 / looks
    assert ratio.mean() == pytest.approx(1, abs=0.01)
    assert ratio.var() == pytest.approx(1 / 4.4, rel=0.05)
    part = sar.backscatter(world, summer, grid=window_grid(ten, Window(20, 30, 40, 50)))
    assert part.power[:, 5:-5, 5:-5] == pytest.approx(seen.power[:, 25:55, 35:75], rel=0.02)
    codes = truth.landcover_mask(world, ten, summer, 4)
    power = {c: np.median(10 * np.log10(seen.power[0][codes == c])) for c in (lc.WATER, lc.FOREST)}
    assert power[lc.WATER] < power[lc.FOREST] - 6


def test_flood_darkens_the_radar(world, summer):
    grid = optical.sensor_grid(world, 20)
    later = events.flooded(world, summer, 7.0)
    before, after = (
        sar.backscatter(world, m, grid=grid, radar=sar.Radar(pixel=20.0)).clean[0] for m in (summer, later)
    )
    codes = [truth.landcover_mask(world, grid, m, 4) for m in (summer, later)]
    wet = (codes[1] == lc.WATER) & np.isin(codes[0], (lc.GRASS, lc.CROP))
    assert wet.sum() > 50
    assert np.median(after[wet]) < 0.25 * np.median(before[wet])


def test_phase_follows_motion_and_coherence(world, summer, grid):
    later = moment.at(world, 184)
    still = sar.interferogram(world, summer, later, 0.0, baseline=0.0, grid=grid)
    moved = sar.interferogram(world, summer, later, 0.01, baseline=0.0, grid=grid)
    # 1 cm toward the sensor: 4 pi / 55.5 mm * 10 mm
    assert moved.unwrapped - still.unwrapped == pytest.approx(2.2642, abs=1e-3)
    error = np.angle(np.exp(1j * (still.phase - still.unwrapped)))
    calm = still.coherence > 0.7
    c, looks = still.coherence[calm], 22.0
    assert error[calm].std() == pytest.approx(float(np.sqrt(((1 - c**2) / (2 * looks * c**2)).mean())), rel=0.1)
    # phases of three passes close without noise
    third = moment.at(world, 196)
    pairs = [
        sar.interferogram(world, a, b, baseline=0.0, grid=grid).unwrapped
        for a, b in ((summer, later), (later, third), (summer, third))
    ]
    assert pairs[0] + pairs[1] - pairs[2] == pytest.approx(0, abs=1e-4)


def test_mogi_lifts_most_over_its_source(grid):
    x, y = (c.mean() for c in optical.axes(grid))
    up = sar.point_source(grid, (x, y), 1000.0, 1e6, incidence=0.0)
    # at the centre: 3 dV / (4 pi d^2) for a Poisson's ratio of 0.25
    assert up.max() == pytest.approx(0.75 * 1e6 / np.pi / 1000**2, rel=1e-3)


def test_plume_mass_is_rate_times_time(world):
    grid = optical.sensor_grid(world, 10)
    west, south, _east, north = world.bounds
    steady = hyperspectral.plume(grid, (west + 300, (south + north) / 2), 1000, wind=4.0, direction=90, seed=3)
    x, _ = optical.axes(grid)
    per_metre = steady.column.sum(0, dtype=float) * hyperspectral.MASS_PER_PPM_M["ch4"] * 10
    # the flux through each distance is the rate, on average over the puffs
    inside = (x > west + 500) & (x < west + 2300)
    assert per_metre[inside].mean() * 4.0 * 3600 == pytest.approx(1000, rel=0.25)
    assert steady.mass == pytest.approx(per_metre.sum() * 10, rel=1e-5)
    assert (steady.column[:, x < west + 290] == 0).all()


def test_the_plume_takes_what_beer_and_lambert_say(world, summer, grid):
    west, south, _east, north = truth.bounds_of(grid)
    plume = hyperspectral.plume(grid, (west + 300, (south + north) / 2), 5000, direction=90, seed=1)
    described = hyperspectral.bands(40.0, 2100.0, 2480.0)
    clear, gassy = (hyperspectral.observe(world, summer, grid, p, described) for p in ((), (plume,)))
    nm = np.array([b.wavelength for b in described])
    mass = 1 + 1 / np.sin(summer.sun.elevation)
    strongest = int(np.argmax(hyperspectral.unit_absorption("ch4", nm)))
    bright = (plume.column > 200) & (clear.radiance[strongest] > 0.3)
    ratio = np.log(gassy.radiance[strongest][bright] / clear.radiance[strongest][bright])
    expected = -hyperspectral.unit_absorption("ch4", nm)[strongest] * plume.column[bright] * mass
    assert np.polyfit(expected, ratio, 1)[0] == pytest.approx(1, abs=0.1)
    shares = clear.abundance.sum(0)
    assert shares.mean() == pytest.approx(1, abs=0.1)


def test_sunlight_of_the_black_body_is_the_solar_constant():
    nm = np.arange(200, 20000, 5.0)
    assert hyperspectral.solar(nm).sum() * 5e-3 == pytest.approx(1361, rel=0.02)


def test_cities_are_hot_by_day_and_water_warm_at_night(world, summer, grid):
    night = moment.at(world, 172, 23.5)
    codes = truth.landcover_mask(world, grid, summer, 4)
    day, dark = (thermal.temperature(world, grid, m) for m in (summer, night))
    water = codes == lc.WATER
    crop = codes == lc.CROP
    assert np.median(day[water]) < np.median(day[crop]) - 3
    assert np.median(dark[water]) > np.median(dark[crop]) + 1
    light = thermal.night_lights(world, optical.sensor_grid(world, 100))
    town = world.settlements[0]
    col, row = (int(v) for v in ~optical.sensor_grid(world, 100).affine @ town.centre)
    assert light[row, col] > 10 * np.median(light)
