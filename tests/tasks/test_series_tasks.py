"""Tasks that take time series: fit, score, save, and scenes mapped from the command line's words."""

import numpy as np
import pytest
import rasterio
import torch
import yaml

import small_series as small
import tiny
from swath.data.scene_words import open_scene
from swath.data.scenes import Collection
from swath.data.series import SeriesInput, View
from swath.errors import ConfigError, DataError, RunError
from swath.sensors.catalogue import resolve
from swath.tasks.normalise import Normalisation, Normalise
from swath.tasks.plain import from_plain, to_plain
from swath.tasks.run import Run


@pytest.mark.parametrize("image", [True, False])
def test_it_learns_from_dates_and_the_padded_ones_do_not_count(tmp_path, image):
    task = small.task(image)
    task.fit(small.data(image), tmp_path, seed=1, accelerator="cpu")
    assert list(task.normalise.layers) == (["image", "s1"] if image else ["s1"])
    scores = task.score(small.data(image), resamples=20)
    assert scores.system["miou"].value > 0.9
    assert scores.baselines["random forest"]["miou"].value > 0.6  # it sees the dates, pixel by pixel
    scene = small.scene(8, None, image)
    (path,) = task.predict(scene, tmp_path / "map.tif", tile=16, progress=False)
    with rasterio.open(path) as file:
        found = file.read(1)
    truth = scene.labels.read(scene.grid)
    assert (found == truth).mean() > 0.95
    again = small.task(image)
    again.recall(tmp_path, Run(tmp_path).description)
    (path,) = again.predict(scene, tmp_path / "again.tif", tile=16, progress=False)
    with rasterio.open(path) as file:
        assert np.array_equal(file.read(1), found)


def test_tiles_give_what_the_whole_scene_gives(tmp_path):
    """The small network sees one pixel around, so tiles that overlap by more are blended of equal numbers."""
    task = small.task()
    task.normalise = Normalise({"image": Normalisation((128.0,), (70.0,)), "s1": Normalisation((-12.0,), (2.0,))})
    grid = tiny.grid(32, 32)
    scene = small.scene(2, None, grid=grid)
    whole, tiled = (
        task.predict(
            scene, tmp_path / f"{tile}.tif", products=("probabilities",), tile=tile, overlap=0.5, progress=False
        )[0]
        for tile in (64, 16)
    )
    with rasterio.open(whole) as a, rasterio.open(tiled) as b:
        np.testing.assert_allclose(a.read()[:, 1:-1, 1:-1], b.read()[:, 1:-1, 1:-1], atol=0.2)
        assert (a.read().argmax(0) == b.read().argmax(0)).mean() > 0.9


def test_series_are_normalised_where_they_are_valid():
    normalise = Normalise({"image": Normalisation((1.0,), (2.0,)), "s": Normalisation((10.0, 20.0), (2.0, 5.0))})
    values = torch.tensor([12.0, 15.0])[None, None, :, None, None].expand(1, 2, 2, 1, 1)
    valid = torch.tensor([True, False])[None, :, None, None]
    dates = torch.tensor([[7, 0]])
    found = normalise.series({"s": {"values": values, "valid": valid, "dates": dates}})["s"]
    assert found["values"].flatten().tolist() == [1.0, -1.0, 0.0, 0.0]
    assert found["dates"] is dates


def test_statistics_must_be_known_for_series_too():
    task = small.task()
    task.normalise = Normalise({"image": Normalisation((128.0,), (70.0,))})
    with pytest.raises(RunError, match="no normalisation"):
        task({"image": torch.zeros(1, 1, 8, 8), "valid": torch.ones(1, 8, 8, dtype=torch.bool), "series": {}})


def test_inputs_of_series_are_written_and_read_as_plain_values():
    wanted = {"a": SeriesInput(resolve("sentinel1_grd"), View(10.0, 128)), "b": SeriesInput(resolve("elevation"))}
    assert from_plain(to_plain(wanted)) == wanted


def described(folder):
    for name, x in (("a", 500_000.0), ("b", 600_000.0)):
        grid = tiny.grid(20, 20, x=x)
        tiny.write_raster(folder / f"hr/{name}.tif", np.full((1, 20, 20), 9, np.uint8), grid)
        for month in (4, 5):
            tiny.write_raster(folder / f"s/{name}_2020{month:02}01.tif", np.full((1, 20, 20), -9.0, np.float32), grid)
    series = {"files": "s/{id}_*.tif", "sensor": "custom", "bands": ["a"], "unit": "dB", "time": "%Y%m%d"}
    layer = {"files": "hr/{id}.tif", "sensor": "rgb", "bands": ["red"]}
    path = folder / "data.yaml"
    path.write_text(yaml.safe_dump({"layers": {"image": layer}, "series": {"s1": series}}))
    return path


def test_a_yaml_names_a_scene_with_its_series(tmp_path):
    path, series = described(tmp_path), {"s1": SeriesInput(small.BANDS)}
    scene = open_scene([f"{path}:b"], {"image": small.IMAGE}, series=series)
    assert (scene.id, len(scene.series["s1"])) == ("b", 2)
    with pytest.raises(ConfigError, match="has 2 scenes"):
        open_scene([str(path)], {"image": small.IMAGE}, series=series)
    with pytest.raises(ConfigError, match="no scene 'c'"):
        open_scene([f"{path}:c"], {"image": small.IMAGE}, series=series)
    with pytest.raises(ConfigError, match="not named by rasters"):
        open_scene([str(tmp_path / "hr/a.tif")], {"image": small.IMAGE}, series=series)
    with pytest.raises(DataError, match="lacks a series"):
        open_scene([f"{path}:a"], {"image": small.IMAGE}, series={"x": series["s1"], "y": series["s1"]})


def test_the_map_says_which_dates_it_is_of(tmp_path):
    task = small.task()
    task.normalise = Normalise({"image": Normalisation((128.0,), (70.0,)), "s1": Normalisation((-12.0,), (2.0,))})
    scene = open_scene([f"{described(tmp_path)}:a"], task.bands, series=task.series)
    task.predict(scene, tmp_path / "map.tif", progress=False)
    told = (tmp_path / "map.tif.stac.json").read_text()
    assert "a_20200401.tif" in told
    assert "a_20200501.tif" in told
    assert Collection((scene,)).series["s1"].bands == small.BANDS
