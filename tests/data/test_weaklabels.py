"""Weak labels on a small world whose clusters, zone and land cover are known."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from swath.data import weaklabels
from swath.data.classes import IGNORE, Classes
from swath.data.sources import ArraySource
from swath.data.weaklabels import ClusterLabels, Zone, find_clusters, stratified_points
from swath.errors import ConfigError, DataError
from swath.geo.grids import window_grid
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands

_GRID = GeoBox((60, 80), Affine(10, 0, 500_000, 0, -10, 3_000_000), "EPSG:32646")
_BANDS = Bands("nicfi", tuple(Band(n, "reflectance", scale=1e-4, nodata=0) for n in ("red", "nir")))
_CLASSES = Classes.of({0: "cropland", 1: "rice", 2: "forest", 3: "urban"})
_CENTRES = np.array([[500, 4000], [1500, 2500], [2500, 2600]])


@pytest.fixture
def world():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, (60, 80))
    values = (_CENTRES[truth] + rng.normal(0, 30, (60, 80, 2))).transpose(2, 0, 1).astype(np.uint16)
    values[:, 5, 5] = 0
    image = ArraySource(values, _BANDS, _GRID, name="season")
    coarse = GeoBox((6, 8), Affine(100, 0, 500_000, 0, -100, 3_000_000), "EPSG:32646")
    metres = np.broadcast_to(np.linspace(500, 3000, 6)[:, None], (6, 8)).astype(np.float32)
    zone = Zone(ArraySource(metres[None], Bands("dem", (Band("elevation", "m"),)), coarse), 1000, 2600)
    codes = np.zeros((1, 60, 80), np.uint8)
    codes[0, 20:30, 10:20] = 9
    cover = ArraySource(codes, Bands("rlcms", (Band("class", "1"),)), _GRID)
    return truth, image, zone, cover


def _named(clusters):
    """The code that a person would give: forest, rice, urban for the three centres."""
    return {n: (2, 1, 3)[int(np.argmin(((c * 1e4 - _CENTRES) ** 2).sum(1)))] for n, c in enumerate(clusters.centres)}


def test_clusters_are_found_and_named(world, monkeypatch):
    truth, image, zone, cover = world
    monkeypatch.setattr(weaklabels, "_SQUARE", 32)
    clusters = find_clusters(image, zone, k=3)
    np.testing.assert_allclose(np.sort(clusters.centres[:, 0]), np.sort(_CENTRES[:, 0]) * 1e-4, rtol=0.02)
    labels = ClusterLabels(image, clusters, _named(clusters), _CLASSES, zone, cover, {9: 0})
    found = labels.read(_GRID)
    expected = np.array([2, 1, 3])[truth]
    expected[20:30, 10:20] = 0
    rows = np.arange(60) // 10
    expected[~np.isin(rows, [1, 2, 3, 4]).repeat(80).reshape(60, 80)] = IGNORE  # 500 and 3000 m
    np.testing.assert_array_equal(found, np.where(expected == IGNORE, IGNORE, expected))
    window = Window(7, 9, 20, 30)
    np.testing.assert_array_equal(labels.read(window_grid(_GRID, window)), found[window.slices])


def test_invalid_pixels_and_unnamed_clusters_have_no_label(world):
    _, image, _, _ = world
    clusters = find_clusters(image, k=3)
    strata = _named(clusters)
    left_out = next(n for n, code in strata.items() if code == 1)
    del strata[left_out]
    found = ClusterLabels(image, clusters, strata, _CLASSES).read(_GRID)
    assert found[5, 5] == IGNORE
    assert 1 not in found
    assert set(np.unique(found)) == {IGNORE, 2, 3}


def test_clusters_are_learned_from_a_uniform_choice(world, monkeypatch):
    _, image, _, _ = world
    monkeypatch.setattr(weaklabels, "_PIXELS", 300)
    monkeypatch.setattr(weaklabels, "_SQUARE", 16)
    few = find_clusters(image, k=3)
    np.testing.assert_allclose(np.sort(few.centres[:, 0]), np.sort(_CENTRES[:, 0]) * 1e-4, rtol=0.03)
    again = find_clusters(image, k=3)
    np.testing.assert_array_equal(few.centres, again.centres)


class _Fixed:
    name = "fixed"

    def __init__(self, classes):
        self._classes = classes

    def read(self, grid):
        offset = ~_GRID.affine @ grid.affine
        window = Window(round(offset.f), round(offset.c), *grid.shape)
        return self._classes[window.slices]


def test_points_are_stratified_uniform_and_without_replacement(monkeypatch):
    monkeypatch.setattr(weaklabels, "_SQUARE", 17)
    classes = np.where(np.mgrid[:60, :80][1] < 20, 1, 0).astype(np.int16)
    hits = np.zeros((60, 80), int)
    for seed in range(60):
        points = stratified_points(_Fixed(classes), _GRID, {1: 300, 0: 100}, seed)
        assert np.bincount(points.classes).tolist() == [100, 300]
        np.testing.assert_array_equal(classes[points.rows, points.cols], points.classes)
        assert len({*zip(points.rows.tolist(), points.cols.tolist(), strict=True)}) == 400
        hits[points.rows, points.cols] += 1
    # 300 of 1200 pixels, 60 times: 15 each; quarters of the area hold 4500 of 18000 with a deviation below 60.
    quarters = [hits[r : r + 30, c : c + 10].sum() for r in (0, 30) for c in (0, 10)]
    assert max(abs(q - 4500) for q in quarters) < 240


def test_values_at_points(world):
    _, image, _, _ = world
    points = weaklabels.Points(np.array([5, 7, 59]), np.array([5, 8, 79]), np.zeros(3, int))
    values = points.read_values(image)
    assert np.isnan(values[0]).all()
    np.testing.assert_allclose(
        values[1:], (image.read(Window(0, 0, 60, 80))[0][:, [7, 59], [8, 79]] * 1e-4).T, rtol=1e-6
    )


def test_what_does_not_fit_is_refused(world):
    _, image, zone, cover = world
    clusters = find_clusters(image, k=3)
    with pytest.raises(DataError, match="cannot be clustered"):
        find_clusters(image, Zone(zone.elevation, 8000, 9000))
    with pytest.raises(ConfigError, match="stratum is no class"):
        ClusterLabels(image, clusters, {0: 7}, _CLASSES)
    with pytest.raises(ConfigError, match="no such cluster"):
        ClusterLabels(image, clusters, {3: 1}, _CLASSES)
    with pytest.raises(ConfigError, match="belong together"):
        ClusterLabels(image, clusters, {0: 1}, _CLASSES, land_cover=cover)
    shifted = GeoBox((5, 5), _GRID.affine @ Affine.translation(0.5, 0), _GRID.crs)
    with pytest.raises(DataError, match="own pixels only"):
        ClusterLabels(image, clusters, {0: 1}, _CLASSES).read(shifted)
    with pytest.raises(DataError, match=r"got 4800 of class 1; expected 5000 of class 1"):
        stratified_points(_Fixed(np.ones((60, 80), np.int16)), _GRID, {1: 5000})
