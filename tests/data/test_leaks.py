from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from scipy.ndimage import gaussian_filter

from swath.data.leaks import LeakReport, check_leaks
from swath.data.raster import open_raster
from swath.data.scenes import Collection, Scene
from swath.data.sources import ArraySource
from swath.geo.grids import pixel_grid
from swath.sensors.bands import Band, Bands

BANDS = Bands("custom", (Band("a", "1"),))


def smooth(seed: int, size: int = 256) -> np.ndarray:
    return gaussian_filter(np.random.default_rng(seed).normal(size=(1, size, size)), (0, 6, 6)).astype(np.float32)


def picture(name: str, values: np.ndarray, part: str, group: str | None = None, grid: GeoBox | None = None) -> Scene:
    source = ArraySource(values, BANDS, grid or pixel_grid(*values.shape[1:]))
    return Scene(name, {"image": source}, part=part, group=group)


def kinds(report: LeakReport) -> dict[str, int]:
    return {finding.kind: finding.count for finding in report.findings}


def test_pictures_apart_give_no_alarm() -> None:
    scenes = [picture(f"p{i}", smooth(i), ("train", "val", "test")[i % 3], group=f"g{i}") for i in range(60)]
    report = check_leaks(Collection(tuple(scenes)))
    assert report.findings == ()
    assert "nothing in common" in str(report)


def test_the_same_picture_under_two_names() -> None:
    scenes = (picture("a", smooth(0), "train"), picture("b", smooth(1), "test"), picture("c", smooth(0), "test"))
    found = kinds(check_leaks(Collection(scenes)))
    assert found["same pixels"] == 16
    assert found["near duplicate"] == 1


def test_a_brighter_noisier_shifted_copy_is_near() -> None:
    copy = np.roll(smooth(0), 2, -1) * 1.3 + 0.1 + np.random.default_rng(5).normal(0, 0.01, (1, 256, 256))
    scenes = (picture("a", smooth(0), "train"), picture("b", copy.astype(np.float32), "test"))
    assert kinds(check_leaks(Collection(scenes))) == {"near duplicate": 1}


def test_two_of_one_group() -> None:
    scenes = (picture("a", smooth(0), "train", "flight 1"), picture("b", smooth(1), "val", "flight 1"))
    report = check_leaks(Collection(scenes))
    assert kinds(report) == {"same group": 1}
    assert "flight 1" in str(report)


def test_scenes_of_two_zones_on_one_ground() -> None:
    """The same place at 12 degrees east, the border of zones 32 and 33, a quarter of the first scene in common."""
    east = GeoBox((256, 256), Affine(10, 0, 276_000, 0, -10, 5_550_000), "EPSG:32633")
    x, y = Transformer.from_crs(32633, 32632, always_xy=True).transform(276_000 + 1280, 5_550_000 - 1280)
    west = GeoBox((256, 256), Affine(10, 0, round(x), 0, -10, round(y)), "EPSG:32632")
    scenes = (picture("w", smooth(0), "train", grid=west), picture("e", smooth(1), "test", grid=east))
    assert set(kinds(check_leaks(Collection(scenes)))) == {"same ground"}
    far = GeoBox((256, 256), Affine(10, 0, 276_000, 0, -10, 5_500_000), "EPSG:32633")
    apart = (picture("w", smooth(0), "train", grid=west), picture("e", smooth(1), "test", grid=far))
    assert check_leaks(Collection(apart)).findings == ()


def test_rows_of_tables_that_are_equal_are_counted() -> None:
    generator = np.random.default_rng(0)
    train, test = (generator.random((1, n, 1)).astype(np.float32) for n in (500, 90))
    test[:, :7] = train[:, 11:18]
    scenes = (picture("t", train, "train"), picture("s", test, "test"))
    report = check_leaks(Collection(scenes))
    assert kinds(report) == {"same row": 7}
    assert report.findings[0].of == 90


@pytest.mark.data
def test_frames_of_one_flight_under_two_names_are_found(data_folder: Path) -> None:
    frames = sorted((data_folder / "aerial_vehicles" / "kit_ais").rglob("*.jpg"))
    frames += sorted((data_folder / "aerial_vehicles" / "kit_ais").rglob("*.png"))
    assert len(frames) > 5
    scenes = [
        Scene(str(p.relative_to(data_folder)), {"image": open_raster(p, crs="none")}, part="train" if i % 2 else "test")
        for i, p in enumerate(frames)
    ]
    assert "near duplicate" in kinds(check_leaks(Collection(tuple(scenes))))
