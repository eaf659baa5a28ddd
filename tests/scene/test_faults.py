"""Scenes that break in the middle: what is damaged is named or left out, and what changes is noticed."""

import json

import numpy as np
import pytest
import rasterio

import tiny
from damage import spoil_a_block
from scene_models import slow_identity
from swath.data.blocks import default_cache
from swath.data.raster import open_raster
from swath.data.scenes import Scene
from swath.errors import ReadError
from swath.scene import outputs
from swath.scene.apply import apply


def scene_of(path):
    return Scene("scene", {"image": open_raster(path)})


def applied(model, scene, path, **options):
    return apply(model, scene, [outputs.values(path, ("a",), "1")], progress=False, **{"tile": 64, **options})


@pytest.fixture
def path(tmp_path):
    values = np.random.default_rng(0).random((1, 256, 256), np.float32) + 0.5
    tiled = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    return tiny.write_raster(tmp_path / "scene.tif", values, tiny.grid(256, 256), **tiled)


def test_a_damaged_block_is_named_or_left_out_and_listed(path, tmp_path):
    spoil_a_block(path, 1, 2)
    with pytest.raises(ReadError, match=r"scene\.tif is damaged in.*block 1, 2"):
        applied(slow_identity, scene_of(path), tmp_path / "a.tif")
    assert not (tmp_path / "a.tif").exists()
    report = applied(slow_identity, scene_of(path), tmp_path / "a.tif", on_error="skip", tile=256)
    assert len(report.skipped) == 1
    with rasterio.open(tmp_path / "a.tif") as made:
        valid = made.read_masks(1) > 0
    assert not valid[64:128, 128:192].any()
    assert valid.sum() == 256 * 256 - 64 * 64
    item = json.loads((tmp_path / "a.tif.stac.json").read_text())
    (told,) = item["properties"]["swath:provenance"]["skipped"]
    assert "scene.tif" in told


def test_a_file_that_changes_under_a_run_is_noticed(path, tmp_path):
    def changing(batch):
        path.write_bytes(path.read_bytes() + b"\0")
        return slow_identity(batch)

    with pytest.raises(ReadError, match="changed"):
        applied(changing, scene_of(path), tmp_path / "a.tif")
    assert not (tmp_path / "a.tif").exists()


def test_a_cache_smaller_than_a_block_only_costs_time(path, tmp_path):
    applied(slow_identity, scene_of(path), tmp_path / "a.tif")
    cache = default_cache()
    budget = cache.budget
    cache.resize(100)
    try:
        with pytest.warns(RuntimeWarning, match="larger than the cache's budget"):
            applied(slow_identity, scene_of(path), tmp_path / "b.tif")
    finally:
        cache.resize(budget)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
