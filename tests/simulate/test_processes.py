"""Phenology, weather, events and records against closed forms and their own equations."""

from datetime import UTC, datetime

import numpy as np
import pytest
import shapely

from swath.simulate import events, moment, records, terrain, weather
from swath.simulate.phenology import CROPS, WILD, cover


@pytest.mark.parametrize("crop", [*CROPS.values(), *WILD.values()])
def test_shares_of_cover_are_shares(crop):
    for day in range(1, 366, 4):
        found = cover(crop, day, np.array([-9, 0, 9]), np.array([0.5, 1.0, 1.4]))
        parts = np.stack([found.green, found.dry, found.flower, found.water])
        assert parts.min() >= 0
        assert parts.sum(0).max() <= 1 + 1e-9


def test_green_is_half_way_on_the_day_of_greening():
    maize = CROPS["maize"]
    at = cover(maize, maize.rise[0], np.array([0.0]), np.array([1.0])).green[0]
    assert at == pytest.approx((maize.low + maize.high) / 2, abs=0.01)
    after = cover(maize, maize.harvest + 20, np.array([0.0]), np.array([1.0]))
    assert after.green[0] < 0.2
    assert 0.1 < after.dry[0] < 0.5
    flowers = [float(cover(CROPS["rapeseed"], d, 0, 1).flower) for d in (90, 125, 160)]
    assert flowers[1] > 0.5
    assert max(flowers[0], flowers[2]) < 0.01
    assert float(cover(CROPS["rice"], 140, 0, 1).water) > 0.5


def test_weather_has_seasons_and_keeps_water(world):
    days = weather.series(world)
    assert len(days) == 365
    monthly = days["temperature"].groupby(days.index.month).mean()
    assert monthly[7] - monthly[1] > 12
    assert days["wetness"].between(0, 1).all()
    assert (days["snow"] >= 0).all()
    assert 300 < days["rain"].sum() < 1400
    assert days.equals(weather.series(world))
    times = weather.calendar(datetime(2023, 4, 1, tzinfo=UTC), 30, 5)
    assert [t.day for t in times[:3]] == [1, 6, 11]
    assert len(times) == 7


def test_flood_water_lies_below_its_level(world):
    low, high = (shapely.union_all(events.flood(world, level)) for level in (2.0, 5.0))
    assert 0 < low.area < high.area
    # what a lower flood reaches a higher one reaches, up to the smoothing of outlines
    assert low.difference(high).area < 0.1 * low.area
    land = world.terrain
    hand = terrain.above_rivers(land, (land.upstream > 10) & (land.height > 0.2))
    row, col = np.nonzero(hand > 9)
    x, y = world.affine @ (col + 0.5, row + 0.5)
    assert shapely.contains_xy(high, x, y).mean() < 0.01


def test_fire_grows_and_stops_at_water(world, summer):
    woods = world.wild["wood"]
    spot = woods[int(np.argmax(shapely.area(woods)))].representative_point()
    first, later = (shapely.union_all(events.fire(world, summer, (spot.x, spot.y), h)) for h in (1.0, 4.0))
    assert 0 < first.area < later.area
    river = shapely.union_all(world.water.sea)
    assert later.intersection(river).area < 0.02 * later.area


def test_damage_falls_with_distance(world):
    x, y = world.settlements[0].centre
    states = events.tornado(world, np.array([[x - 3000, y], [x + 3000, y]]), width=200)
    houses = world.layer("buildings")
    away = np.abs(shapely.get_coordinates(shapely.centroid(houses.geometry.to_numpy()))[:, 1] - y)
    near, far = states[away < 80], states[away > 500]
    assert near.mean() > 1.5
    assert far.mean() < 0.6
    weak, strong = (events.earthquake(world, m, (x, y)).mean() for m in (5.0, 7.5))
    assert weak < 0.5 < strong
    later = events.damaged(events.damaged(moment.at(world, 10), states), states.clip(upper=1))
    assert dict(later.damage.items()) == states[states > 0].to_dict()


def test_yields_follow_their_equation(world):
    table = records.yields(world)
    ratio = table["yield"] / table["expected"]
    assert ratio.mean() == pytest.approx(1, abs=0.02)
    assert ratio.std() == pytest.approx(0.06, abs=0.015)
    mean = table["crop"].map({n: c.yield_ for n, c in CROPS.items()})
    assert table["expected"].to_numpy() == pytest.approx(
        (mean * table["vigour"] ** 1.3 * (0.7 + 0.5 * table["water"])).to_numpy()
    )


def test_disease_rises_with_wetness(world):
    table = records.disease(world, years=3)
    biggest = table[table["settlement"] == 0].sort_values("week")
    expected = biggest["people"] * np.exp(
        -9.6 + 2.6 * biggest["wetness"].shift(4) + 0.09 * biggest["temperature"].shift(4) + 0.5 * biggest["marsh"]
    )
    assert biggest["mean"][4:].to_numpy() == pytest.approx(expected[4:].to_numpy())
    assert biggest["cases"].mean() == pytest.approx(biggest["mean"].mean(), rel=0.2)
    # among weeks of like warmth, more cases follow the wet ones
    warm = biggest["temperature"].shift(4)
    rest = np.log1p(biggest["cases"]) - np.polyval(np.polyfit(warm[4:], np.log1p(biggest["cases"][4:]), 1), warm)
    assert np.corrcoef(biggest["wetness"].shift(4)[4:], rest[4:])[0, 1] > 0.2


def test_a_trial_is_confounded_by_what_the_image_shows(world):
    table = records.trial(world, count=4000, seed=1)

    def naive(t):
        return t["outcome"][t["treated"]].mean() - t["outcome"][~t["treated"]].mean()

    assert naive(table) - table["tau"].mean() > 0.4
    weight = np.where(table["treated"], 1 / table["propensity"], -1 / (1 - table["propensity"]))
    # weighting by the true propensity takes the confounding away
    assert (weight * table["outcome"]).mean() == pytest.approx(table["tau"].mean(), abs=0.35)
    randomised = records.trial(world, count=4000, confounded=0.0, seed=1)
    assert naive(randomised) == pytest.approx(randomised["tau"].mean(), abs=0.2)
    assert table["outcome"].to_numpy() == pytest.approx(np.where(table["treated"], table["y1"], table["y0"]))


def test_a_species_lives_where_its_chance_says(world):
    table = records.species(world, 4000)
    chance = 1 / (
        1 + np.exp(1.2 - 2.2 * table["wood"] + 0.004 * table["water_distance"] - 0.01 * (table["elevation"] - 60))
    )
    assert table["chance"].to_numpy() == pytest.approx(chance.to_numpy())
    assert table["present"].mean() == pytest.approx(table["chance"].mean(), abs=0.03)
