"""Rational polynomial coefficients: the camera model that satellite images are sold with.

Convention: pictures count `(col, row)` from the top-left corner of the top-left pixel; the offsets inside an RPC count
from its centre, as GDAL has it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pyproj import Transformer
from rasterio.rpc import RPC


def fitted(
    camera: Callable[[np.ndarray], np.ndarray],
    bounds: tuple[float, float, float, float],
    heights: tuple[float, float],
    crs: object,
    count: int = 12,
) -> RPC:
    """Rational polynomial coefficients (RPC00B) fitted to a camera over a box of the ground.

    Twenty coefficients each, found by linear least squares on a lattice of ground points, reweighted by the denominator
    (Tao and Hu 2001).

    Args:
        camera: Gives picture coordinates `(col, row)` `[N, 2]` of world points `[N, 3]`.
        bounds: West, south, east, north of the box, m.
        heights: Its lowest and highest elevation, m.
        crs: Of the world.
        count: Lattice points along each side.
    """
    west, south, east, north = bounds
    low, high = heights
    x, y, z = (
        g.ravel()
        for g in np.meshgrid(
            np.linspace(west, east, count), np.linspace(south, north, count), np.linspace(low, high, count)
        )
    )
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform(x, y)
    col, row = camera(np.stack([x, y, z], -1)).T - 0.5
    ground = [latitude, longitude, z]
    offsets = [float(v.min() + v.max()) / 2 for v in (*ground, row, col)]
    scales = [max(float(v.max() - v.min()) / 2, 1e-9) for v in (*ground, row, col)]
    phi, lam, up, r, c = ((v - o) / s for v, o, s in zip((*ground, row, col), offsets, scales, strict=True))
    terms = _cubic(phi, lam, up)
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
        samp_num_coeff=parts["samp"][0].tolist(), samp_off=offsets[4], samp_scale=scales[4], err_bias=None,
        err_rand=None,
    )  # fmt: skip


def project(rpc: RPC, longitude: np.ndarray, latitude: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Picture coordinates `(col, row)` `[N, 2]` of points on the ground, degrees and m."""
    terms = _cubic(
        (np.asarray(latitude) - rpc.lat_off) / rpc.lat_scale,
        (np.asarray(longitude) - rpc.long_off) / rpc.long_scale,
        (np.asarray(height) - rpc.height_off) / rpc.height_scale,
    )
    row = terms @ np.array(rpc.line_num_coeff) / (terms @ np.array(rpc.line_den_coeff))
    col = terms @ np.array(rpc.samp_num_coeff) / (terms @ np.array(rpc.samp_den_coeff))
    return np.stack([col * rpc.samp_scale + rpc.samp_off, row * rpc.line_scale + rpc.line_off], -1) + 0.5


def locate(rpc: RPC, places: np.ndarray, height: np.ndarray, rounds: int = 8) -> np.ndarray:
    """Longitude and latitude `[N, 2]` of `(col, row)` `[N, 2]` at heights `[N]`, m, by Newton's method."""
    found = np.tile([rpc.long_off, rpc.lat_off], (len(places), 1))
    small = np.array([rpc.long_scale, rpc.lat_scale]) * 1e-4
    for _ in range(rounds):
        here = project(rpc, found[:, 0], found[:, 1], height)
        east = project(rpc, found[:, 0] + small[0], found[:, 1], height)
        north = project(rpc, found[:, 0], found[:, 1] + small[1], height)
        slope = np.stack([(east - here) / small[0], (north - here) / small[1]], -1)
        found = found + np.linalg.solve(slope, (places - here)[..., None])[..., 0]
    return found


def _cubic(p: np.ndarray, l: np.ndarray, h: np.ndarray) -> np.ndarray:  # noqa: E741
    """The twenty terms of RPC00B in latitude `p`, longitude `l` and height `h` `[N, 20]`."""
    p, l, h = np.broadcast_arrays(*(np.asarray(v, float) for v in (p, l, h)))  # noqa: E741
    one = np.ones_like(p)
    terms = (
        one, l, p, h, l * p, l * h, p * h, l * l, p * p, h * h, p * l * h, l**3, l * p * p, l * h * h, l * l * p, p**3,
        p * h * h, l * l * h, p * p * h, h**3,
    )  # fmt: skip
    return np.stack(terms, -1)
