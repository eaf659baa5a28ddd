"""The world: the same whoever asks, whole, and true to its own rules."""

import numpy as np
import pandas as pd
import pytest
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from swath.errors import ConfigError
from swath.simulate import roads
from swath.simulate.world import LAYERS, WorldConfig, make_world


def test_a_seed_makes_one_world(world):
    again = make_world(seed=3, width=3000, height=3000, towns=25)
    # asked in another order, and piece by piece first
    west, south, _east, _north = again.bounds
    again.layer("trees", (west, south, west + 900, south + 900))
    for name in LAYERS:
        pd.testing.assert_frame_equal(
            pd.DataFrame(world.layer(name).drop(columns="geometry")),
            pd.DataFrame(again.layer(name).drop(columns="geometry")),
        )
        a, b = world.layer(name).geometry.to_numpy(), again.layer(name).geometry.to_numpy()
        assert (shapely.to_wkb(a) == shapely.to_wkb(b)).all()
    other = make_world(seed=4, width=3000, height=3000, towns=25)
    assert not np.array_equal(other.terrain.height, world.terrain.height)


def test_layers_in_bounds_are_the_same_things(world):
    west, south, _east, _north = world.bounds
    box = west + 800, south + 700, west + 2100, south + 1900
    for name in LAYERS:
        whole, part = world.layer(name), world.layer(name, box)
        assert whole.index.is_unique
        inside = whole[whole.intersects(shapely.box(*box))]
        assert set(part.index) == set(inside.index)
        assert len(whole) > 0, name


def test_roads_are_one_graph(world):
    ways = world.layer("roads")
    # oracle: vertices that two ways share, found by their coordinates
    points, owner = shapely.get_coordinates(ways.geometry.to_numpy(), return_index=True)
    _, vertex = np.unique(np.round(points, 2), axis=0, return_inverse=True)
    n = vertex.max() + 1
    joined = owner[1:] == owner[:-1]
    graph = coo_matrix((np.ones(joined.sum()), (vertex.ravel()[:-1][joined], vertex.ravel()[1:][joined])), (n, n))
    assert connected_components(graph, directed=False)[0] == 1
    made = roads.road_graph(ways.geometry.to_numpy())
    assert len(np.unique(made.components())) == 1
    assert shapely.length(made.lines).sum() == pytest.approx(ways.length.sum(), rel=1e-6)
    ends = shapely.get_coordinates(shapely.get_point(made.lines, 0))
    assert ends == pytest.approx(made.nodes[made.edges[:, 0]])


def test_parcels_do_not_overlap_and_their_areas_sum(world):
    parcels = world.layer("parcels")
    assert parcels.area.sum() == pytest.approx(parcels["area"].sum(), rel=1e-6)
    assert parcels.union_all().area == pytest.approx(parcels["area"].sum(), rel=1e-6)
    woods = world.layer("natural").query("natural != 'water'").union_all()
    assert parcels.union_all().intersection(woods).area < 1.0


def test_buildings_stand_apart_and_on_dry_ground(world):
    houses = world.layer("buildings")
    assert len(houses) > 300
    pairs = shapely.STRtree(houses.geometry.to_numpy()).query(houses.geometry.to_numpy(), "intersects")
    assert (pairs[0] == pairs[1]).all()
    ways = world.layer("roads")
    assert houses.intersects(ways.buffer(ways["width"] / 2).union_all()).sum() == 0
    assert houses.intersects(shapely.union_all(world.water.areas)).sum() == 0
    assert (houses["height"] > 2).all()


def test_houses_have_four_or_six_right_corners(world):
    shapes = world.layer("buildings").geometry.to_numpy()
    assert (shapely.get_num_interior_rings(shapes) == 0).all()
    assert set(shapely.get_num_coordinates(shapes)) == {5, 7}
    for corners in map(shapely.get_coordinates, shapes):
        sides = np.diff(np.vstack([corners, corners[1:2]]), axis=0)
        sides /= np.hypot(*sides.T)[:, None]
        assert (sides[1:] * sides[:-1]).sum(1) == pytest.approx(0, abs=1e-6)


def test_blocks_tile_the_hull(world):
    for town in world.settlements:
        blocks = world.unit(("town", town.index, 0))["landuse"]
        assert blocks.area.sum() == pytest.approx(town.hull.area, rel=0.01)


def test_trees_keep_out_of_houses_and_roads(world):
    trees = world.layer("trees")
    solid = shapely.union_all(world.layer("buildings").geometry.to_numpy())
    assert shapely.contains(solid, trees[trees["stand"] == "town"].geometry.to_numpy()).sum() == 0
    sizes = trees["height"] * trees["crown"]
    conifer = trees["leaf_type"] == "needleleaved"
    expected = np.where(conifer, 0.109 * sizes**1.79, 0.016 * sizes**2.013)
    assert trees["biomass"].to_numpy() == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize(
    "settings",
    [
        {"width": 10},
        {"crs": "EPSG:4326"},
        {"crs": "nonsense"},
        {"coast": 2},
        {"seed": "x"},
        {"colour": 1},
    ],
)
def test_bad_settings_are_refused(settings):
    with pytest.raises(ConfigError):
        WorldConfig.of(settings)


def test_settings_survive_yaml(tmp_path):
    config = WorldConfig(seed=5, width=2000.0, forest=0.5)
    path = tmp_path / "w.yaml"
    path.write_text(config.to_yaml())
    assert WorldConfig.of(path) == config
    path.write_text("[1, 2")
    with pytest.raises(ConfigError):
        WorldConfig.of(path)


def test_a_world_without_towns_or_sea_still_stands():
    bare = make_world(seed=1, width=900, height=700, towns=0, coast=0.0, inflow=0.0, forest=0.0)
    for name in LAYERS:
        bare.layer(name)
