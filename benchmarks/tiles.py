"""Tiles a second through Studio's server beside plain rio-tiler, and how long a large scene takes to open.

    python -m benchmarks.tiles [--seconds 10] [--size 20000]

Both sides make the same tiles of the same file on the same number of threads and hold the file open. The server is
measured as a client of its ASGI application, without the socket, once with its memory of tiles empty and once full.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import rasterio
from rasterio.transform import from_origin
from rio_tiler.io import Reader

ZOOM = 12


def make_scene(path: Path, size: int) -> None:
    """A COG of three bands of 16 bit with overviews, 10 m, UTM."""
    rng = np.random.default_rng(0)
    block = rng.integers(200, 4000, (3, 1024, 1024)).astype(np.uint16)
    plain = path.with_suffix(".plain.tif")
    profile = {"driver": "GTiff", "dtype": "uint16", "count": 3, "width": size, "height": size, "crs": "EPSG:32633"}
    grid = {"transform": from_origin(400_000, 5_400_000, 10, 10), "tiled": True, "compress": "lzw", "nodata": 0}
    with rasterio.open(plain, "w", **profile, **grid) as raster:
        for row in range(0, size, 1024):
            for col in range(0, size, 1024):
                height, width = min(1024, size - row), min(1024, size - col)
                raster.write(block[:, :height, :width], window=rasterio.windows.Window(col, row, width, height))
    rasterio.shutil.copy(plain, path, driver="COG", compress="LZW")
    plain.unlink()


def tiles_of(path: Path, zoom: int = ZOOM) -> list[tuple[int, int, int]]:
    """Tiles that lie wholly in the scene, at most 256."""
    with Reader(str(path)) as reader:
        west, south, east, north = reader.get_geographic_bounds("EPSG:4326")
    count = 2**zoom
    xs = range(math.ceil((west + 180) / 360 * count), math.floor((east + 180) / 360 * count))
    rows = [(1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * count for lat in (north, south)]
    return [(zoom, x, y) for y in range(math.ceil(rows[0]), math.floor(rows[1])) for x in xs][:256]


def rate_of_rio_tiler(path: Path, tiles: Sequence[tuple[int, int, int]], seconds: float, threads: int) -> float:
    """Tiles a second of rio-tiler alone: read, stretch, PNG."""

    def work(share: int) -> int:
        made, end = 0, time.perf_counter() + seconds
        with Reader(str(path)) as reader:
            while time.perf_counter() < end:
                z, x, y = tiles[(share + made * threads) % len(tiles)]
                image = reader.tile(x, y, z, indexes=(1, 2, 3), tilesize=256)
                image.rescale(in_range=((200, 4000),))
                image.render(img_format="PNG")
                made += 1
        return made

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(work, range(threads))) / seconds


async def rate_of_studio(
    app: Any, name: str, tiles: Sequence[tuple[int, int, int]], seconds: float, fresh: bool
) -> float:
    """Tiles a second of the server to four clients; `fresh` asks for a new stretch each time round."""
    made, end = 0, time.perf_counter() + seconds
    transport = httpx.ASGITransport(app=app)

    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:

        async def ask(share: int) -> None:
            nonlocal made
            number = share
            while time.perf_counter() < end:
                z, x, y = tiles[number % len(tiles)]
                high = 4000 + (number // len(tiles) if fresh else 0)
                words = {"path": name, "bands": "1,2,3", "low": "200", "high": str(high)}
                (await client.get(f"/api/tiles/{z}/{x}/{y}", params=words)).raise_for_status()
                number += 4
                made += 1

        await asyncio.gather(*(ask(share) for share in range(4)))
    return made / seconds


def seconds_of(action: Callable[[], Any]) -> float:
    """Seconds that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def measure(size: int, seconds: float) -> dict[str, float]:
    """All numbers, of a scene of `size` pixels a side that is made for it."""
    from starlette.testclient import TestClient

    from swath.studio.app import create_app

    threads = max(2, os.cpu_count() or 2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene" / "large.tif"
        path.parent.mkdir()
        make_scene(path, size)
        app = create_app([path.parent])
        with TestClient(app, base_url="http://localhost") as client:
            client.get("/api/about")
            opening = seconds_of(
                lambda: client.get("/api/layer", params={"path": "scene/large.tif"}).raise_for_status()
            )
            first = next(found[0] for zoom in range(8, ZOOM + 1) if (found := tiles_of(path, zoom)))
            url = "/api/tiles/{}/{}/{}".format(*first)
            tile = seconds_of(lambda: client.get(url, params={"path": "scene/large.tif"}).raise_for_status())
        tiles = tiles_of(path)
        plain = rate_of_rio_tiler(path, tiles, seconds, threads)
        fresh = asyncio.run(rate_of_studio(app, "scene/large.tif", tiles, seconds, fresh=True))
        kept = asyncio.run(rate_of_studio(app, "scene/large.tif", tiles, seconds, fresh=False))
    return {
        "threads": threads, "pixels a side": size, "tiles": len(tiles),
        "facts of the scene, s": opening, "first tile, s": tile,
        "rio-tiler, tiles/s": plain, "studio, tiles/s": fresh, "studio, remembered tiles/s": kept,
        "studio to rio-tiler": fresh / plain,
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--size", type=int, default=20_000)
    given = parser.parse_args()
    print(json.dumps(measure(given.size, given.seconds), indent=1))
