"""Views that are not from straight above: drones, panoramas, pushbroom satellites with RPC, photos from orbit.

The world around is a height field with colours; one ray caster finds what each ray meets first. Walls are what a ray
meets from the side; they are painted with rows of windows, so that streets look like streets.

Convention: world points are `(x, y, z)` in metres of the world's CRS, z up, on a flat Earth. Pictures count
`(col, row)` from the top-left corner of the top-left pixel. Cameras are pinholes: x right, y down, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from swath.simulate.moment import Moment
from swath.simulate.optical import toned
from swath.simulate.rays import Relief, cast, relief
from swath.simulate.world import World


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
        pose = np.column_stack(
            [self.rotation[:, 0], self.rotation[:, 1], self.rotation @ (np.array([0, 0, level]) - self.centre)]
        )
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


def panorama(
    land: Relief, place: tuple[float, float], width: int = 1024, height: float = 2.4, reach: float = 350.0
) -> View:
    """The full turn at a place, equirectangular `[width / 2, width]`: north in the middle column, east to the right."""
    row, col = np.mgrid[: width // 2, :width] + 0.5
    heading = (col / width - 0.5) * 2 * np.pi
    up = (0.5 - row / (width // 2)) * np.pi
    directions = np.stack([np.sin(heading) * np.cos(up), np.cos(heading) * np.cos(up), np.sin(up)], -1).reshape(-1, 3)
    x, y = ~land.grid.affine @ place
    eye = np.array([*place, land.ground[int(y), int(x)] + height])
    return _view(land, np.broadcast_to(eye, directions.shape), directions, (width // 2, width), reach)


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
        # beyond the height field lies haze, and the dark for cameras beyond the air
        dark = (directions[:, 2] < 0) & (origins[:, 2] > 5e4)
        # thin haze, except for cameras beyond the air
        veil = np.where(far < 5e4, 1 - np.exp(-far / 6000), 0.12)
        colour = np.where(seen, colour * (1 - veil) + sky * veil, np.where(dark, 0.0, sky))
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


def from_orbit(
    world: World, moment: Moment, tilt: float = 35.0, heading: float = 30.0, shape: tuple[int, int] = (480, 720)
) -> tuple[View, Camera]:
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
