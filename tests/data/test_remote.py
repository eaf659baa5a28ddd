"""Scenes by URL, from a local server that breaks on demand."""

import numpy as np
import pytest
import yaml

import faulty_server
import tiny
from swath.data import remote
from swath.data.config import load_data
from swath.data.raster import open_raster
from swath.errors import ReadError
from swath.geo.windows import Window, whole

TILED = {"tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "deflate"}


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_PAUSE", 0.05)
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.05")
    monkeypatch.setenv("CPL_VSIL_CURL_NON_CACHED", "/vsicurl/http://127.0.0.1")
    with faulty_server.serving(tmp_path) as (url, faults):
        yield tmp_path, url, faults


def noise(path, seed=0):
    values = np.random.default_rng(seed).integers(0, 10_000, (2, 512, 512)).astype(np.uint16)
    tiny.write_raster(path, values, tiny.grid(512, 512), names=("a", "b"), **TILED)
    return values


def test_windows_are_read_by_ranges(server):
    folder, url, faults = server
    values = noise(folder / "a b.tif")
    source = open_raster(f"{url}/a b.tif".replace(" ", "%20"))
    found, valid = source.read(Window(100, 200, 60, 70))
    assert np.array_equal(found, values[:, 100:160, 200:270])
    assert valid.all()
    assert faults.requests > 1


def test_busy_servers_are_asked_again(server):
    folder, url, faults = server
    values = noise(folder / "a.tif")
    faults.failing = 2
    source = open_raster(f"{url}/a.tif")
    faults.failing = 2
    found, _ = source.read(whole((512, 512)))
    assert np.array_equal(found, values)
    assert faults.failing == 0


def test_a_transfer_that_ends_early_is_repeated_and_at_last_refused(server):
    folder, url, faults = server
    values = noise(folder / "a.tif")
    source = open_raster(f"{url}/a.tif")
    faults.cutting = 1
    found, _ = source.read(Window(0, 0, 100, 100))
    assert np.array_equal(found, values[:, :100, :100])
    assert faults.cutting == 0
    faults.cutting = 1000
    with pytest.raises(ReadError, match=r"a\.tif is damaged in"):
        source.read(Window(300, 300, 100, 100))


def test_a_file_that_is_shorter_than_it_says_is_refused(server):
    folder, url, _ = server
    noise(folder / "a.tif")
    content = (folder / "a.tif").read_bytes()
    (folder / "a.tif").write_bytes(content[: len(content) // 2])
    with pytest.raises(ReadError, match=r"a\.tif"):
        open_raster(f"{url}/a.tif").read(whole((512, 512)))


def test_servers_that_do_not_answer_are_given_up(server, monkeypatch):
    folder, url, faults = server
    monkeypatch.setenv("GDAL_HTTP_TIMEOUT", "1")
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    noise(folder / "a.tif")
    faults.stalling = 1000
    with pytest.raises(ReadError, match=r"a\.tif cannot be read as a raster"):
        open_raster(f"{url}/a.tif")


def test_what_is_not_there_or_not_allowed(server):
    _, url, _ = server
    with pytest.raises(ReadError, match=r"none\.tif cannot be read as a raster"):
        open_raster(f"{url}/none.tif")
    with pytest.raises(ReadError, match="of a kind that is not read: got ftp://"):
        open_raster("ftp://127.0.0.1/a.tif")


def test_a_description_may_name_urls(server):
    folder, url, _ = server
    values = noise(folder / "both.tif")
    for name, band in zip("ab", values, strict=True):
        tiny.write_raster(folder / f"{name}.tif", band, tiny.grid(512, 512), **TILED)
    layer = {"files": {name: f"{url}/{name}.tif" for name in "ab"}, "sensor": "custom", "unit": "dn"}
    (folder / "data.yaml").write_text(yaml.safe_dump({"layers": {"image": layer}}))
    (scene,) = load_data(folder / "data.yaml")
    assert scene.id == "a"
    found, _ = scene.layers["image"].read(Window(0, 0, 50, 60))
    assert np.array_equal(found, values[:, :50, :60])
