"""Truths recomputed from the vector layers by other means."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy import ndimage

from swath.errors import GridError
from swath.geo.windows import Window
from swath.simulate import events, language, moment, optical, traffic, truth
from swath.simulate import landcover as lc
from swath.simulate.density import density
from swath.simulate.painting import paint
from swath.simulate.surface import axes


@pytest.fixture(scope="module")
def town(world):
    x, y = world.settlements[0].centre
    x, y = round(x), round(y)
    return optical.sensor_grid(world, 1.0, (x - 160, y - 160, x + 160, y + 160))


@pytest.fixture(scope="module")
def surface(world, summer, town):
    return paint(world, town, summer)


def test_land_cover_follows_from_the_vectors(world, summer):
    """For random pixels, the topmost layer that holds their centre decides."""
    grid = optical.sensor_grid(world, 7.0)
    codes = paint(world, grid, summer).landcover
    x, y = axes(grid)
    rng = np.random.default_rng(0)
    row, col = rng.integers(0, grid.shape[0], 3000), rng.integers(0, grid.shape[1], 3000)
    points = shapely.points(x[col], y[row])
    natural, parcels, town = world.layer("natural"), world.layer("parcels"), world.layer("landuse")
    houses = world.layer("buildings")
    houses = houses[houses["start_date"] <= summer.time.strftime("%Y-%m-%d")]
    ways = world.layer("roads")

    def inside(frame):
        return shapely.contains(shapely.union_all(frame.geometry.to_numpy()), points)

    expected = np.full(len(points), lc.GRASS)
    for kind, code in (("wood", lc.FOREST), ("bare_rock", lc.BARE), ("wetland", lc.WETLAND), ("beach", lc.BARE)):
        expected[inside(natural[natural["natural"] == kind])] = code
    expected[inside(town)] = lc.GRASS
    expected[inside(town[town["landuse"].isin(["commercial", "industrial", "farmyard"])])] = lc.PAVED
    expected[inside(parcels)] = lc.GRASS
    expected[inside(parcels[parcels["landuse"] != "meadow"])] = lc.CROP
    expected[inside(natural[natural["natural"] == "water"])] = lc.WATER
    for highway in ("track", "residential", "secondary", "primary"):
        mine = ways[ways["highway"] == highway]
        expected[inside(gpd.GeoDataFrame(geometry=mine.buffer(mine["width"] / 2)))] = lc.ROAD
    expected[inside(houses)] = lc.BUILDING
    sites = world.layer("buildings")
    sites = sites[sites["start_date"] > summer.time.strftime("%Y-%m-%d")].buffer(8)
    clear = ~shapely.contains(shapely.union_all(sites.to_numpy()), points) if len(sites) else np.ones(len(points), bool)
    # rasterising and containment may differ by rounding at edges
    assert (codes[row, col] == expected)[clear].mean() > 0.998


def test_object_areas_match_their_polygons(surface, world):
    houses = world.layer("buildings")
    seen = surface.objects("buildings")
    inside = houses[houses.within(shapely.box(*truth.bounds_of(surface.grid)).buffer(-1))]
    areas = np.array([(seen == i).sum() for i in inside.index], float)
    whole = areas > 0.9 * inside.area.to_numpy()
    # crowns may hang over some
    assert whole.mean() > 0.85
    assert areas[whole].sum() == pytest.approx(inside.area.to_numpy()[whole].sum(), rel=0.02)


def test_heights_are_those_of_the_buildings(surface, world):
    houses = world.layer("buildings")
    flat = houses[houses["roof:shape"] == "flat"]
    seen = surface.objects("buildings")
    for number, height in zip(flat.index, flat["height"], strict=True):
        mine = seen == number
        if mine.any():
            assert surface.above[mine] == pytest.approx(height, abs=0.01)


def test_instances_number_all_objects(surface):
    labels, index = truth.instances(surface, "buildings")
    seen = surface.objects("buildings")
    assert set(np.unique(labels)) == set(range(len(index) + 1))
    assert np.array_equal(np.where(labels > 0, index[labels - 1], -1), seen)


def test_boxes_hold_their_pixels(world, summer):
    x, y = (round(v) for v in world.settlements[0].centre)
    grid = optical.sensor_grid(world, 0.25, (x - 90, y - 90, x + 90, y + 90))
    cars = traffic.vehicles(world, truth.bounds_of(grid), summer.time)
    found = truth.boxes(cars, grid, "kind")
    assert len(found.index) >= 3
    labels = paint(world, grid, summer).objects("vehicles")
    checked = 0
    for number, (left, top, right, bottom), corners in zip(found.index, found.boxes, found.corners, strict=True):
        rows, cols = np.nonzero(labels == number)
        if len(rows) < 20:
            continue
        checked += 1
        assert left - 1 <= cols.min()
        assert cols.max() <= right
        assert top - 1 <= rows.min()
        assert rows.max() <= bottom
        sides = np.hypot(*(corners - np.roll(corners, 1, 0)).T)
        shape = cars.loc[number].geometry
        assert sides[0] * sides[1] / 16 == pytest.approx(shape.area, rel=1e-3)
    assert checked >= 2


def test_density_sums_to_the_count(world):
    grid = optical.sensor_grid(world, 10)
    trees = world.layer("trees")
    points = shapely.get_coordinates(trees.geometry.to_numpy())
    west, south, east, north = truth.bounds_of(grid)
    inside = ((points >= (west, south)) & (points <= (east, north))).all(1).sum()
    assert density(points, grid).sum() == pytest.approx(inside, rel=1e-4)
    assert truth.stems(world, grid).sum() == pytest.approx(inside, rel=1e-6)
    tonnes = truth.biomass(world, grid).sum(dtype=float) * 0.01
    assert tonnes == pytest.approx(trees["biomass"].sum() / 1000, rel=1e-4)


def test_lanes_lie_right_of_the_axis_and_lead_on(world):
    found = truth.lane_graph(world)
    ways = world.layer("roads")
    lanes = found.lanes
    two = lanes[lanes["highway"] == "residential"]
    axis = ways.geometry.loc[two["way"]].to_numpy()
    middle = shapely.line_interpolate_point(two.geometry.to_numpy(), 0.5, normalized=True)
    assert np.median(shapely.distance(middle, axis)) == pytest.approx(1.5, abs=0.05)
    # right of the driving direction: the axis lies to the left
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(two.geometry.to_numpy(), 0.52, normalized=True))
    here = shapely.get_coordinates(middle)
    to_axis = (
        shapely.get_coordinates(shapely.line_interpolate_point(axis, shapely.line_locate_point(axis, middle))) - here
    )
    left = (ahead - here)[:, 0] * to_axis[:, 1] - (ahead - here)[:, 1] * to_axis[:, 0]
    assert (left > 0).mean() > 0.97
    first, second = found.follows.T
    ends = shapely.get_coordinates(shapely.get_point(lanes.geometry.to_numpy()[first], -1))
    starts = shapely.get_coordinates(shapely.get_point(lanes.geometry.to_numpy()[second], 0))
    assert np.hypot(*(ends - starts).T).max() < 25
    assert set(np.unique(found.follows)) == set(range(len(lanes)))


def test_change_is_what_happened(world, summer):
    x, y = (round(v) for v in world.settlements[0].centre)
    grid = optical.sensor_grid(world, 2.0, (x - 200, y - 200, x + 200, y + 200))
    same = truth.change(world, grid, summer, summer)
    assert not same.changed.any()
    assert same.captions == ("The scene is the same as before.",)
    states = events.tornado(world, np.array([[x - 2000, y], [x + 2000, y]]))
    later = events.damaged(summer, states)
    found = truth.change(world, grid, summer, later)
    houses = world.layer("buildings", truth.bounds_of(grid))
    expected = states.loc[houses.index]
    assert found.damage["damage"].to_dict() == expected[expected > 0].to_dict()
    assert any("destroyed" in c for c in found.captions)


def test_misaligned_copies_know_their_move(world):
    houses = world.layer("buildings").iloc[:60]
    copy = truth.misaligned(houses, np.random.default_rng(0))
    kept = houses.loc[copy.index]
    shift = shapely.get_coordinates(shapely.centroid(copy.geometry.to_numpy())) - shapely.get_coordinates(
        shapely.centroid(kept.geometry.to_numpy())
    )
    assert shift == pytest.approx(copy[["dx", "dy"]].to_numpy(), abs=1e-6)
    assert copy.area.to_numpy() == pytest.approx(kept.area.to_numpy())
    assert len(copy) < len(houses)


def test_answers_follow_from_the_vectors(world, summer):
    x, y = world.settlements[0].centre
    bounds = x - 250, y - 250, x + 250, y + 250
    scene = language.facts(world, bounds, summer)
    asked = {q.text: q.answer for q in language.questions(scene)}
    frame = shapely.box(*bounds)
    houses = world.layer("buildings")
    houses = houses[houses["start_date"] <= summer.time.strftime("%Y-%m-%d")]
    cut = houses.intersection(frame).area
    assert asked["How many buildings are there?"] == str((cut > 5).sum())
    assert asked["Is there a ship in the image?"] in ("yes", "no")
    assert asked["What is the area covered by buildings?"] == language.area_answer(cut[cut > 5].sum())
    assert language.area_answer(5000) == "between 1000m2 and 10000m2"
    assert f"{(cut > 5).sum()} buildings" in " ".join(language.captions(scene))
    assert language.questions(scene) == language.questions(language.facts(world, bounds, summer))


def test_relations_hold_on_the_geometries(world, summer):
    x, y = world.settlements[0].centre
    graph = language.scene_graph(world, (x - 120, y - 120, x + 120, y + 120), summer)
    shapes = graph.objects.geometry.to_numpy()
    assert len(graph.relations) > 10
    for r in graph.relations:
        a, b = shapes[r.subject], shapes[r.object]
        assert {"on": a.intersects(b), "in": a.within(b)}.get(r.predicate, a.distance(b) <= 25)


def test_a_surface_needs_the_grid_of_its_world(world, summer):
    with pytest.raises(GridError, match="CRS"):
        paint(world, GeoBox((4, 4), Affine(1, 0, 0, 0, -1, 0), "EPSG:3857"), summer)
    with pytest.raises(GridError, match="north-up"):
        paint(world, GeoBox((4, 4), Affine.rotation(20), world.grid.crs), summer)


def test_ships_move_and_stay_at_sea(world):
    sea = shapely.union_all(world.water.sea)
    first, second = (traffic.ships(world, moment.at(world, 100, h).time) for h in (10.0, 10.1))
    assert len(first) > 0
    assert first.within(sea).all()
    moved = shapely.distance(shapely.centroid(first.geometry.to_numpy()), shapely.centroid(second.geometry.to_numpy()))
    assert (moved <= first["speed"] * 360 + 1e-6).all()


def test_density_is_scipys_blur_of_the_counts_and_has_no_seams():
    grid = GeoBox((50, 70), Affine(2, 0, 1000, 0, -2, 900), "EPSG:32632")
    points = np.random.default_rng(0).uniform((1000, 800), (1140, 900), (300, 2))
    counts = np.histogram2d(900 - points[:, 1], points[:, 0] - 1000, (50, 70), ((0, 100), (0, 140)))[0]
    whole = density(points, grid, 3.0)
    assert whole == pytest.approx(ndimage.gaussian_filter(counts, 3.0, mode="reflect"), abs=1e-6)
    window = Window(7, 0, 20, 33)
    assert density(points, grid, 3.0, window) == pytest.approx(whole[window.slices], abs=1e-6)


@pytest.fixture(scope="module")
def after(world, summer):
    """A third of the woods is felled, the largest wood burns, and the river floods."""
    woods = world.wild["wood"]
    spot = woods[int(np.argmax(shapely.area(woods)))].representative_point()
    later = events.felled(world, summer, 0.3)
    return events.flooded(world, events.burned(world, later, (spot.x, spot.y), 1.0), 5.0)


def test_what_is_felled_or_burned_is_no_biomass(world, after):
    grid = optical.sensor_grid(world, 10)
    trees = world.layer("trees")
    gone = shapely.union_all([*after.cleared, *after.burned])
    standing = trees[~shapely.contains(gone, trees.geometry.to_numpy())]
    assert 0.2 < len(standing) / len(trees) < 0.95
    assert truth.stems(world, grid, after).sum() == len(standing)
    tonnes = truth.biomass(world, grid, after).sum(dtype=float) * 0.01
    assert tonnes == pytest.approx(standing["biomass"].sum() / 1000, rel=1e-4)
    # the surface that the sensors see says the same
    tall = truth.canopy_height(world, optical.sensor_grid(world, 4.0), after) > 0
    x, y = axes(optical.sensor_grid(world, 4.0))
    inside = shapely.contains_xy(gone.buffer(-6), *np.meshgrid(x, y))
    assert inside.sum() > 100
    assert not tall[inside].any()


def test_canopy_height_of_large_pixels_is_that_of_the_tallest_tree(world, summer):
    grid = optical.sensor_grid(world, 10)
    found = truth.canopy_height(world, grid, summer)
    trees = world.layer("trees")
    shapes = trees.geometry.to_numpy()
    tree = shapely.STRtree(shapes)
    rng = np.random.default_rng(1)
    for row, col in zip(rng.integers(0, grid.shape[0], 200), rng.integers(0, grid.shape[1], 200), strict=True):
        west, north = grid.affine @ (col, row)
        inside = tree.query(shapely.box(west, north - 10, west + 10, north), "contains")
        assert found[row, col] == pytest.approx(trees["height"].to_numpy()[inside].max(initial=0.0))
    assert (found > 0).mean() > 0.1


def test_words_are_about_the_scene_after_what_happened(world, summer, after):
    flood = shapely.union_all(after.flooded)
    x, y = flood.representative_point().coords[0]
    bounds = x - 250, y - 250, x + 250, y + 250
    frame = shapely.box(*bounds)
    before, now = (language.facts(world, bounds, moment) for moment in (summer, after))
    gone = shapely.union_all([*after.cleared, *after.burned])
    natural = world.layer("natural", bounds)
    water, woods = (natural[natural["natural"] == kind].union_all() for kind in ("water", "wood"))
    woods = woods.difference(gone)
    expected = water.union(flood.difference(woods)).intersection(frame).area
    assert now.areas["water areas"] == pytest.approx(expected, rel=0.01)
    assert now.areas["water areas"] > before.areas["water areas"]
    assert now.areas["woods"] == pytest.approx(woods.intersection(frame).area, abs=20)
    fields = world.layer("parcels", bounds).union_all().difference(flood).difference(shapely.union_all(after.burned))
    assert now.areas["fields"] == pytest.approx(fields.intersection(frame).area, rel=0.01, abs=20)


def test_floods_are_water_in_the_scene_graph(world, after):
    x, y = shapely.union_all(after.flooded).representative_point().coords[0]
    bounds = x - 250, y - 250, x + 250, y + 250
    graph = language.scene_graph(world, bounds, after)
    floods = graph.objects[graph.objects["attribute"] == "flood"]
    assert (floods["kind"] == "water").all()
    near = [shape for shape in after.flooded if shape.intersects(shapely.box(*bounds))]
    assert floods.union_all().symmetric_difference(shapely.union_all(near)).area < 1e-6
    shapes = graph.objects.geometry.to_numpy()
    wet = [r for r in graph.relations if r.predicate == "near" and r.object in floods.index]
    houses = graph.objects[graph.objects["kind"] == "building"]
    expected = sum(int((shapely.distance(shapes[i], houses.geometry.to_numpy()) <= 25).sum()) for i in floods.index)
    assert len(wet) == expected
