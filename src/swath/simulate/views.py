"""Views that are not from straight above: drones, panoramas, pushbroom satellites with RPC, photos from orbit.

The world around is a height field with colours; one ray caster finds what each ray meets first. Walls are what a ray
meets from the side; they are painted with rows of windows, so that streets look like streets.

Convention: world points are `(x, y, z)` in metres of the world's CRS, z up, on a flat Earth. Pictures count `(col, row)`
from the top-left corner of the top-left pixel. Cameras are pinholes: x right, y down, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.rpc import RPC
from scipy import ndimage

from swath.simulate import noise, thermal
from swath.simulate.moment import Moment
from swath.simulate.optical import finer, lit_reflectance, sensor_grid, toned
from swath.simulate.surface import axes, paint
from swath.simulate.truth import bounds_of
from swath.simulate.world import Bounds, World

_RGB = np.array([660.0, 560.0, 480.0]), np.array([60.0, 60.0, 60.0])


@dataclass(frozen=True)
class Relief:
    """A piece of the world as a coloured height field.

    Attributes:
        grid: Where.
        dsm: Elevation of the surface, m `[H, W]`.
        ground: Elevation of the ground, m `[H, W]`.
        colour: What is seen from above `[C, H, W]`: reflectance, or temperature.
        building: Whether a pixel is built `[H, W]`.
        tone: Brightness of each building's walls `[H, W]`.
    """

    grid: GeoBox
    dsm: np.ndarray
    ground: np.ndarray
    colour: np.ndarray
    building: np.ndarray
    tone: np.ndarray


def relief(world: World, moment: Moment, bounds: Bounds, pixel: float = 0.5, heat: bool = False) -> Relief:
    """The height field of `bounds`, coloured by reflectance in red, green and blue, or by brightness temperature."""
    grid = sensor_grid(world, pixel, bounds)
    surface = paint(world, grid, moment)
    if heat:
        colour = thermal.temperature(world, grid, moment, fine=1)[None]
    else:
        colour = np.stack(lit_reflectance(surface, *_RGB))
    houses = surface.objects("buildings")
    tone = 0.6 + 0.8 * noise.uniform(houses, np.zeros_like(houses), world.seed + 701)
    return Relief(grid, surface.dsm, surface.ground, colour, houses >= 0, tone.astype(np.float32))


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        centre: Where it is, x, y, z `[3]`.
        rotation: World to camera axes `[3, 3]`.
        focal: Focal length in pixels.
        shape: Height and width of its pictures.
    """

    centre: np.ndarray
    rotation: np.ndarray
    focal: float
    shape: tuple[int, int]

    @classmethod
    def looking(
        cls,
        centre: tuple[float, float, float],
        heading: float,
        tilt: float,
        focal: float,
        shape: tuple[int, int],
        roll: float = 0.0,
    ) -> Camera:
        """A camera that looks toward `heading` (degrees clockwise from north), `tilt` degrees up from straight down."""
        h, t, r = np.radians([heading, tilt, roll])
        forward = np.array([np.sin(h) * np.sin(t), np.cos(h) * np.sin(t), -np.cos(t)])
        right = np.array([np.cos(h), -np.sin(h), 0.0])
        down = np.cross(forward, right)
        right, down = np.cos(r) * right + np.sin(r) * down, np.cos(r) * down - np.sin(r) * right
        return cls(np.asarray(centre, float), np.stack([right, down, forward]), focal, shape)

    @property
    def matrix(self) -> np.ndarray:
        """Intrinsic matrix `[3, 3]`; the principal point is the middle of the picture."""
        height, width = self.shape
        return np.array([[self.focal, 0, width / 2], [0, self.focal, height / 2], [0, 0, 1.0]])

    def project(self, points: np.ndarray) -> np.ndarray:
        """Picture coordinates `(col, row)` `[N, 2]` of world points `[N, 3]`; NaN behind the camera."""
        seen = (np.asarray(points, float) - self.centre) @ self.rotation.T
        ahead = np.where(seen[:, 2] > 1e-9, seen[:, 2], np.nan)
        return seen[:, :2] / ahead[:, None] * self.focal + np.array(self.shape[::-1]) / 2

    def rays(self) -> np.ndarray:
        """Directions in the world of the pixel centres `[H * W, 3]`, of unit length."""
        row, col = np.mgrid[: self.shape[0], : self.shape[1]] + 0.5
        local = np.stack([col - self.shape[1] / 2, row - self.shape[0] / 2, np.full(row.shape, self.focal)], -1)
        world = local.reshape(-1, 3) @ self.rotation
        return world / np.linalg.norm(world, axis=1, keepdims=True)

    def homography(self, level: float = 0.0) -> np.ndarray:
        """Maps `(x, y, 1)` on the plane z = `level` to `(col, row, 1)`, up to scale `[3, 3]`."""
        pose = np.column_stack([self.rotation[:, 0], self.rotation[:, 1], self.rotation @ (np.array([0, 0, level]) - self.centre)])
        made = self.matrix @ pose
        return made / np.linalg.norm(made)


@dataclass(frozen=True)
class View:
    """A picture with its geometry.

    Attributes:
        values: uint8 `[H, W, 3]`, or float32 `[H, W]` for heat.
        points: World point that each pixel shows `[H, W, 3]`; NaN for the sky and beyond the height field.
        wall: Pixels that show a wall `[H, W]`.
    """

    values: np.ndarray
    points: np.ndarray
    wall: np.ndarray


def photograph(land: Relief, camera: Camera, reach: float = 3000.0) -> View:
    """The picture that a camera takes of a height field."""
    directions = camera.rays()
    origins = np.broadcast_to(camera.centre, directions.shape)
    return _view(land, origins, directions, camera.shape, reach)


def panorama(land: Relief, place: tuple[float, float], width: int = 1024, height: float = 2.4, reach: float = 350.0) -> View:
    """The full turn at a place, equirectangular `[width / 2, width]`: north in the middle column, east to the right."""
    row, col = np.mgrid[: width // 2, :width] + 0.5
    heading = (col / width - 0.5) * 2 * np.pi
    up = (0.5 - row / (width // 2)) * np.pi
    directions = np.stack([np.sin(heading) * np.cos(up), np.cos(heading) * np.cos(up), np.sin(up)], -1).reshape(-1, 3)
    x, y = ~land.grid.affine @ place
    eye = np.array([*place, land.ground[int(y), int(x)] + height])
    return _view(land, np.broadcast_to(eye, directions.shape), directions, (width // 2, width), reach)


def cast(land: Relief, origins: np.ndarray, directions: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """First points where rays meet a height field `[N, 3]` (NaN for none), and whether they meet a wall `[N]`.

    Rays are followed in steps of half a pixel between the highest and the lowest elevation, all at once; the crossing is
    then found by halving the last step.
    """
    top, bottom = float(land.dsm.max()) + 0.1, float(land.dsm.min()) - 0.1
    size = land.grid.affine.a
    level = np.maximum(np.hypot(directions[:, 0], directions[:, 1]), 1e-6)
    fall = directions[:, 2]
    steep = np.where(np.abs(fall) < 1e-9, -1e-9, fall)
    enter = np.where(origins[:, 2] > top, (top - origins[:, 2]) / steep, 0.0)
    leave = np.where(fall < 0, (bottom - origins[:, 2]) / steep, np.where(fall > 0, np.maximum((top - origins[:, 2]) / steep, 0), reach))
    leave = np.minimum(leave, enter + reach)
    going = np.flatnonzero((enter >= 0) & (leave > enter))
    step = 0.5 * size / level
    at = enter.copy()
    hit = np.zeros(len(origins), bool)
    while len(going):
        ahead = at[going] + np.minimum(step[going], leave[going] - at[going] + 1e-3)
        point = origins[going] + directions[going] * ahead[:, None]
        inside, elevation = _elevation(land, point)
        below = inside & (point[:, 2] <= elevation)
        hit[going[below]] = True
        at[going[~below]] = ahead[~below]
        going = going[~below & (ahead < leave[going])]
    low, high = at[hit], at[hit] + step[hit]
    for _ in range(8):
        middle = (low + high) / 2
        point = origins[hit] + directions[hit] * middle[:, None]
        below = point[:, 2] <= _elevation(land, point)[1]
        high, low = np.where(below, middle, high), np.where(below, low, middle)
    points = np.full(origins.shape, np.nan)
    points[hit] = origins[hit] + directions[hit] * high[:, None]
    wall = np.zeros(len(origins), bool)
    wall[hit] = _elevation(land, points[hit])[1] - points[hit, 2] > 0.4
    return points, wall


def _elevation(land: Relief, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a = land.grid.affine
    col = np.floor((points[:, 0] - a.c) / a.a).astype(np.int64)
    row = np.floor((points[:, 1] - a.f) / a.e).astype(np.int64)
    inside = (row >= 0) & (row < land.dsm.shape[0]) & (col >= 0) & (col < land.dsm.shape[1])
    return inside, land.dsm[np.where(inside, row, 0), np.where(inside, col, 0)]


def _view(land: Relief, origins: np.ndarray, directions: np.ndarray, shape: tuple[int, int], reach: float) -> View:
    points, wall = cast(land, origins, directions, reach)
    seen = np.isfinite(points[:, 0])
    a = land.grid.affine
    row, col = np.zeros(len(points), int), np.zeros(len(points), int)
    row[seen] = np.floor((points[seen, 1] - a.f) / a.e).clip(0, land.dsm.shape[0] - 1)
    col[seen] = np.floor((points[seen, 0] - a.c) / a.a).clip(0, land.dsm.shape[1] - 1)
    colour = land.colour[:, row, col].astype(np.float64)
    brick = wall & land.building[row, col]
    up = points[:, 2] - land.ground[row, col]
    along = points[:, 0] + points[:, 1]
    window = brick & (up % 3.0 > 1.0) & (up % 3.0 < 2.3) & (along % 3.2 < 1.3)
    heat = len(colour) == 1
    if heat:
        colour[:, brick] = np.median(land.colour) + 1.5 * land.tone[row, col][brick]
        colour[:, ~seen] = 255.0
        values = colour[0].reshape(shape).astype(np.float32)
    else:
        base = np.array([0.24, 0.21, 0.18])[:, None] * land.tone[row, col]
        colour[:, brick] = base[:, brick]
        colour[:, window] = np.array([0.05, 0.06, 0.08])[:, None]
        # crowns seen from the side are in their own shade
        colour[:, wall & ~land.building[row, col]] *= 0.75
        far = np.where(seen, np.linalg.norm(points - origins, axis=1), reach)
        sky = np.array([0.16, 0.22, 0.33])[:, None] * (1 + 0.6 * np.exp(-8 * np.maximum(directions[:, 2], 0)))
        below = directions[:, 2] < 0
        # thin haze, except for cameras beyond the air
        veil = np.where(far < 5e4, 1 - np.exp(-far / 6000), 0.12)
        colour = np.where(seen, colour * (1 - veil) + sky * veil, np.where(below, 0.0, sky))
        values = np.moveaxis(toned(colour), 0, -1).reshape(*shape, 3).round().astype(np.uint8)
    return View(values, points.reshape(*shape, 3), wall.reshape(shape))


@dataclass(frozen=True)
class Pushbroom:
    """A satellite that sweeps a line of pixels along its straight path; its geometry is exact and closed.

    A pixel `(col, row)` sees along `look + (col - width / 2) pitch across` from `start + row advance`.

    Attributes:
        start: Where the first line is taken, x, y, z `[3]`.
        advance: From line to line, m `[3]`.
        look: Direction of the middle pixel, of unit length `[3]`.
        across: Direction of rising columns, of unit length `[3]`.
        pitch: Angle of a pixel, radians.
        shape: Height and width of its pictures.
    """

    start: np.ndarray
    advance: np.ndarray
    look: np.ndarray
    across: np.ndarray
    pitch: float
    shape: tuple[int, int]

    @classmethod
    def over(
        cls,
        target: tuple[float, float, float],
        azimuth: float,
        off_nadir: float,
        pixel: float,
        shape: tuple[int, int],
        altitude: float = 600_000.0,
    ) -> Pushbroom:
        """A satellite that sees `target` in the middle of its picture from `azimuth` (degrees clockwise from north)."""
        a, t = np.radians([azimuth, off_nadir])
        look = -np.array([np.sin(a) * np.sin(t), np.cos(a) * np.sin(t), np.cos(t)])
        heading = np.array([0.0, -1.0, 0.0])
        across = np.cross(look, heading)
        across /= np.linalg.norm(across)
        if across[0] < 0:
            across = -across
        distance = altitude / np.cos(t)
        advance = heading * pixel
        centre = np.asarray(target, float) - look * distance
        return cls(centre - advance * shape[0] / 2, advance, look, across, pixel / distance, shape)

    def rays(self) -> tuple[np.ndarray, np.ndarray]:
        """Origins and unit directions of the pixel centres, each `[H * W, 3]`."""
        row, col = (g.ravel() + 0.5 for g in np.mgrid[: self.shape[0], : self.shape[1]])
        origins = self.start + row[:, None] * self.advance
        directions = self.look + ((col - self.shape[1] / 2) * self.pitch)[:, None] * self.across
        return origins, directions / np.linalg.norm(directions, axis=1, keepdims=True)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Picture coordinates `(col, row)` `[N, 2]` of world points `[N, 3]`: the solution of a 3 x 3 linear system."""
        frame = np.column_stack([self.advance, self.look, self.across])
        row, along, aside = np.linalg.solve(frame, (np.asarray(points, float) - self.start).T)
        return np.stack([aside / along / self.pitch + self.shape[1] / 2, row], -1)


def sweep(land: Relief, satellite: Pushbroom) -> View:
    """The picture that a pushbroom satellite takes of a height field."""
    origins, directions = satellite.rays()
    return _view(land, origins, directions, satellite.shape, 3000.0)


def fitted_rpc(satellite: Pushbroom, land: Relief, crs: object, count: int = 12) -> RPC:
    """Rational polynomial coefficients (RPC00B) fitted to a satellite's geometry over a height field.

    Twenty coefficients each, found by linear least squares on a lattice of ground points, reweighted by the denominator
    (Tao and Hu 2001). Line and sample are counted as GDAL does: pixel centres at whole numbers.
    """
    west, south, east, north = bounds_of(land.grid)
    low, high = float(land.dsm.min()) - 20, float(land.dsm.max()) + 20
    x, y, z = (g.ravel() for g in np.meshgrid(np.linspace(west, east, count), np.linspace(south, north, count), np.linspace(low, high, count)))
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform(x, y)
    col, row = satellite.project(np.stack([x, y, z], -1)).T - 0.5
    ground = [latitude, longitude, z]
    offsets = [float(v.min() + v.max()) / 2 for v in (*ground, row, col)]
    scales = [max(float(v.max() - v.min()) / 2, 1e-9) for v in (*ground, row, col)]
    p, l, h, r, c = ((v - o) / s for v, o, s in zip((*ground, row, col), offsets, scales, strict=True))
    terms = _cubic(p, l, h)
    parts = {}
    for name, value in (("line", r), ("samp", c)):
        weight = np.ones(len(value))
        for _ in range(4):
            matrix = np.hstack([terms, -value[:, None] * terms[:, 1:]]) * weight[:, None]
            # a little damping keeps terms that these points do not need at zero
            normal = matrix.T @ matrix + 1e-9 * np.eye(39)
            found = np.linalg.solve(normal, matrix.T @ (value * weight))
            parts[name] = found[:20], np.r_[1.0, found[20:]]
            weight = 1 / (terms @ parts[name][1])
    return RPC(
        height_off=offsets[2], height_scale=scales[2], lat_off=offsets[0], lat_scale=scales[0],
        line_den_coeff=parts["line"][1].tolist(), line_num_coeff=parts["line"][0].tolist(), line_off=offsets[3],
        line_scale=scales[3], long_off=offsets[1], long_scale=scales[1], samp_den_coeff=parts["samp"][1].tolist(),
        samp_num_coeff=parts["samp"][0].tolist(), samp_off=offsets[4], samp_scale=scales[4], err_bias=None, err_rand=None,
    )  # fmt: skip


def rpc_project(rpc: RPC, longitude: np.ndarray, latitude: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Picture coordinates `(col, row)` `[N, 2]` of points on the ground, degrees and m."""
    terms = _cubic(
        (np.asarray(latitude) - rpc.lat_off) / rpc.lat_scale,
        (np.asarray(longitude) - rpc.long_off) / rpc.long_scale,
        (np.asarray(height) - rpc.height_off) / rpc.height_scale,
    )
    row = terms @ np.array(rpc.line_num_coeff) / (terms @ np.array(rpc.line_den_coeff))
    col = terms @ np.array(rpc.samp_num_coeff) / (terms @ np.array(rpc.samp_den_coeff))
    return np.stack([col * rpc.samp_scale + rpc.samp_off, row * rpc.line_scale + rpc.line_off], -1) + 0.5


def rpc_locate(rpc: RPC, places: np.ndarray, height: np.ndarray, rounds: int = 8) -> np.ndarray:
    """Longitude and latitude `[N, 2]` of picture coordinates `(col, row)` `[N, 2]` at heights `[N]`, by Newton's method."""
    found = np.tile([rpc.long_off, rpc.lat_off], (len(places), 1))
    small = np.array([rpc.long_scale, rpc.lat_scale]) * 1e-4
    for _ in range(rounds):
        here = rpc_project(rpc, found[:, 0], found[:, 1], height)
        east = rpc_project(rpc, found[:, 0] + small[0], found[:, 1], height)
        north = rpc_project(rpc, found[:, 0], found[:, 1] + small[1], height)
        slope = np.stack([(east - here) / small[0], (north - here) / small[1]], -1)
        found = found + np.linalg.solve(slope, (places - here)[..., None])[..., 0]
    return found


def from_orbit(world: World, moment: Moment, tilt: float = 35.0, heading: float = 30.0, shape: tuple[int, int] = (480, 720)) -> tuple[View, Camera]:
    """A photo of the whole world by hand from a station 420 km high, tilted, with its camera."""
    west, south, east, north = world.bounds
    pixel = max(10.0, (east - west) / 1000)
    land = relief(world, moment, world.bounds, pixel)
    soft = np.stack([ndimage.gaussian_filter(c, 0.7) for c in land.colour])
    land = Relief(land.grid, land.dsm, land.ground, soft, land.building, land.tone)
    distance = 420_000 / np.cos(np.radians(tilt))
    h, t = np.radians([heading, tilt])
    back = distance * np.sin(t)
    centre = (west + east) / 2 - back * np.sin(h), (south + north) / 2 - back * np.cos(h), 420_000.0
    focal = 0.75 * shape[1] * distance / (east - west)
    camera = Camera.looking(centre, heading, tilt, focal, shape)
    return photograph(land, camera, 8000.0), camera


def _cubic(p: np.ndarray, l: np.ndarray, h: np.ndarray) -> np.ndarray:  # noqa: E741
    """The twenty terms of RPC00B in latitude `p`, longitude `l` and height `h` `[N, 20]`."""
    p, l, h = np.broadcast_arrays(*(np.asarray(v, float) for v in (p, l, h)))  # noqa: E741
    one = np.ones_like(p)
    terms = (
        one, l, p, h, l * p, l * h, p * h, l * l, p * p, h * h, p * l * h, l**3, l * p * p, l * h * h, l * l * p, p**3,
        p * h * h, l * l * h, p * p * h, h**3,
    )  # fmt: skip
    return np.stack(terms, -1)
