"""Views against projective geometry, GDAL's RPC and rays on known shapes."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.transform import RPCTransformer
from scipy.spatial.transform import Rotation

from swath.simulate import rays, rpc, truth, views


@pytest.fixture(scope="module")
def land(world, summer):
    x, y = (round(v) for v in world.settlements[0].centre)
    return rays.relief(world, summer, (x - 120, y - 120, x + 120, y + 120), 1.0)


def middle(land):
    west, south, east, north = truth.bounds_of(land.grid)
    return (west + east) / 2, (south + north) / 2, float(land.ground.mean())


def test_camera_axes_are_a_rotation():
    camera = views.Camera.looking((0, 0, 100), heading=0, tilt=0, focal=100, shape=(60, 80))
    # from above, north up: columns run east, rows south
    assert camera.rotation == pytest.approx(Rotation.from_euler("x", 180, degrees=True).as_matrix(), abs=1e-12)
    for heading, tilt, roll in ((30, 50, 10), (200, 80, -40)):
        axes = views.Camera.looking((1, 2, 3), heading, tilt, 1, (2, 2), roll).rotation
        assert axes @ axes.T == pytest.approx(np.eye(3), abs=1e-12)
        assert np.linalg.det(axes) == pytest.approx(1)


def test_homography_is_the_projection_of_the_plane():
    camera = views.Camera.looking((5, -3, 80), 40, 55, 300, (200, 300), 7)
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(0, 80, (50, 2)), np.full(50, 12.0)])
    mapped = np.column_stack([points[:, :2], np.ones(50)]) @ camera.homography(12.0).T
    assert mapped[:, :2] / mapped[:, 2:] == pytest.approx(camera.project(points), abs=1e-6)


def test_every_pixel_shows_the_point_that_projects_to_it(land):
    x, y, z = middle(land)
    camera = views.Camera.looking((x - 40, y - 90, z + 90), 20, 45, 120, (60, 80))
    view = views.photograph(land, camera)
    points = view.points.reshape(-1, 3)
    seen = np.isfinite(points[:, 0])
    assert seen.mean() > 0.7
    place = np.indices(camera.shape).reshape(2, -1).T[seen][:, ::-1] + 0.5
    assert camera.project(points[seen]) == pytest.approx(place, abs=1e-4)
    assert view.values.shape == (60, 80, 3)
    assert view.wall.any()


def test_a_ray_meets_a_tower_where_geometry_says():
    dsm = np.zeros((100, 100), np.float32)
    dsm[40:60, 40:60] = 30.0
    flat = rays.Relief(
        GeoBox((100, 100), Affine(1, 0, 0, 0, -1, 100), "EPSG:32632"), dsm, np.zeros_like(dsm), np.zeros((3, 100, 100)),
        dsm > 0, np.ones_like(dsm),
    )  # fmt: skip
    origins = np.array([[0.0, 50.0, 10.0], [50.0, 50.0, 90.0], [0.0, 50.0, 45.0], [10.0, 10.0, 20.0]])
    directions = np.array([[1.0, 0.0, -1e-6], [0.0, 0.0, -1.0], [1.0, 0.0, -0.3], [0.0, 0.0, 1.0]])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points, wall = rays.cast(flat, origins, directions, 500.0)
    assert points[0] == pytest.approx([40, 50, 10], abs=0.01)
    assert points[1] == pytest.approx([50, 50, 30], abs=0.01)
    assert points[2] == pytest.approx([50, 50, 30], abs=0.05)
    assert np.isnan(points[3]).all()
    assert wall.tolist() == [True, False, False, False]


def test_rpc_closes_on_the_surface_and_agrees_with_gdal(world, land):
    x, y, z = middle(land)
    to_degrees = Transformer.from_crs(world.config.crs, "EPSG:4326", always_xy=True)
    bounds, heights = truth.bounds_of(land.grid), (float(land.dsm.min()) - 20, float(land.dsm.max()) + 20)
    for azimuth, off_nadir in ((200, 25), (20, 15), (110, 5)):
        satellite = views.Pushbroom.over((x, y, z), azimuth, off_nadir, 1.0, (120, 120))
        assert satellite.project(np.array([[x, y, z]])) == pytest.approx(np.array([[60, 60]]), abs=1e-6)
        view = views.sweep(land, satellite)
        points = view.points[20:100:4, 20:100:4].reshape(-1, 3)
        points = points[np.isfinite(points[:, 0])]
        model = rpc.fitted(satellite.project, bounds, heights, world.config.crs)
        longitude, latitude = to_degrees.transform(points[:, 0], points[:, 1])
        projected = rpc.project(model, longitude, latitude, points[:, 2])
        assert projected == pytest.approx(satellite.project(points), abs=0.01)
        back = rpc.locate(model, projected, points[:, 2])
        again = rpc.project(model, back[:, 0], back[:, 1], points[:, 2])
        assert again == pytest.approx(projected, abs=0.01)
        assert to_degrees.transform(*back.T, direction="INVERSE") == pytest.approx(points[:, :2].T, abs=0.01)
        with RPCTransformer(model) as gdal:
            rows, cols = gdal.rowcol(longitude, latitude, zs=points[:, 2], op=lambda v: v)
        # GDAL counts from the corner of the first pixel, too
        assert np.stack([cols, rows], -1) == pytest.approx(projected, abs=0.01)


def test_a_panorama_has_north_in_the_middle(land):
    x, y, _ = middle(land)
    view = views.panorama(land, (x, y), width=128, reach=100.0)
    points = view.points[34:60]
    seen = np.isfinite(points[..., 0])
    heading = np.degrees(np.arctan2(points[..., 0] - x, points[..., 1] - y))
    expected = (np.arange(128) + 0.5) / 128 * 360 - 180
    error = (heading - expected + 180) % 360 - 180
    assert np.abs(error[seen]).max() < 1e-3
    assert np.isnan(view.points[:20, :, 0]).mean() > 0.5


def test_heat_from_a_drone(world, summer):
    x, y = (round(v) for v in world.settlements[0].centre)
    land = rays.relief(world, summer, (x - 60, y - 60, x + 60, y + 60), 1.0, heat=True)
    view = views.photograph(land, views.Camera.looking((x, y, land.dsm.max() + 60), 0, 0, 100, (64, 64)))
    assert view.values.dtype == np.float32
    assert 270 < np.median(view.values) < 330


def test_a_photo_from_orbit_sees_the_world(world, summer):
    view, camera = views.from_orbit(world, summer, shape=(60, 90))
    west, south, east, north = world.bounds
    centre = camera.project(np.array([[(west + east) / 2, (south + north) / 2, 0.0]]))
    assert centre == pytest.approx(np.array([[45, 30]]), abs=1.0)
    assert np.isfinite(view.points[..., 0]).mean() > 0.3
