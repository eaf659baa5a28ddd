"""The command line on a user's own files: two zones, labels in a third CRS, from YAML to map and scores."""

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import yaml
from safetensors.numpy import load_file

import tiny
from swath.cli import main
from swath.data.scene_words import open_scene
from swath.errors import BandError, ConfigError
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands


def test_a_map_lies_where_the_scene_lies_and_finds_the_fields(folder, run, tmp_path, capsys):
    words = ["predict", str(run), str(folder / "west.tif"), "-o", str(tmp_path / "map.tif")]
    assert main([*words, "--products", "classes", "vectors", "--json", "--on-error", "skip"]) == 0
    paths = json.loads(capsys.readouterr().out)
    assert paths == [str(tmp_path / "map.tif"), str(tmp_path / "map-vectors.gpkg")]
    with rasterio.open(tmp_path / "map.tif") as found, rasterio.open(folder / "west.tif") as scene:
        assert (found.crs, found.transform, found.shape) == (scene.crs, scene.transform, scene.shape)
        codes = found.read(1)
        assert found.colormap(1)[2][:3] == (255, 204, 0)
    assert (codes[10:36, 10:36] == 2).mean() > 0.95
    assert (codes[:6] == 1).mean() > 0.95
    outlined = gpd.read_file(tmp_path / "map-vectors.gpkg")
    assert outlined.crs == rasterio.open(folder / "west.tif").crs
    assert set(outlined["class"]) == {"other", "field"}


def test_scores_stand_beside_baselines_and_are_kept(folder, run, capsys):
    assert main(["score", str(run), str(folder / "data.yaml"), "--json", "--resamples", "50"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((run / "scores-test.json").read_text())
    assert set(printed["baselines"]) >= {"majority", "nearest centroid", "random forest"}
    assert printed["system"]["miou"]["value"] > printed["baselines"]["majority"]["miou"]["value"]


def test_the_configuration_of_a_run_makes_the_same_run_again(run, tmp_path):
    assert main(["fit", str(run / "config.yaml"), "-o", str(tmp_path / "again")]) == 0
    weights, again = load_file(run / "weights.safetensors"), load_file(tmp_path / "again" / "weights.safetensors")
    assert weights.keys() == again.keys()
    assert all(np.array_equal(weights[name], again[name]) for name in weights)
    first, second = (yaml.safe_load((r / "config.yaml").read_text()) for r in (run, tmp_path / "again"))
    assert first == second


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["fit", "no_such_system", "data.yaml", "-o", "run"], "no_such_system"),
        (["fit", "bhutan_rice", "no_such.yaml", "-o", "run"], "does not exist"),
        (["predict", "bhutan_rice", "scene.tif", "-o", "map.tif"], "must be trained"),
        (["predict", "no_such_run", "scene.tif", "-o", "map.tif"], "no run"),
        (["info", "no_such_system"], "no_such_system"),
    ],
)
def test_what_cannot_be_is_told_in_one_message(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    said = capsys.readouterr()
    assert said.err.startswith("swath: ")
    assert told in said.err
    assert "Traceback" not in said.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", ["fit", "predict", "score"])
def test_a_verb_alone_tells_its_usage(verb, capsys):
    assert main([verb]) == 2
    assert main([verb, "--help"]) == 0
    assert f"usage: swath {verb}" in capsys.readouterr().out


def test_layers_of_a_scene_are_named_once_and_all(folder):
    needed = {name: Bands("custom", (Band("a", "1"), Band("b", "1"))) for name in ("before", "after")}
    west = str(folder / "west.tif")
    scene = open_scene([f"before={west}", f"after={west}"], needed)
    assert list(scene.layers) == ["before", "after"]
    with pytest.raises(ConfigError, match="missing"):
        open_scene([f"before={west}"], needed)
    with pytest.raises(ConfigError, match="twice"):
        open_scene([f"before={west}", f"before={west}"], needed)


def test_bands_are_taken_by_name_and_joined_by_commas(folder, tmp_path):
    values = np.stack([np.full((4, 4), n, np.float32) for n in (1, 2, 3)]) / 10
    both = tiny.write_raster(tmp_path / "three.tif", values, tiny.grid(4, 4), names=("b", "x", "a"))
    needed = {"image": Bands("custom", (Band("a", "1"), Band("b", "1")))}
    window = Window(0, 0, 4, 4)
    found, _ = open_scene([str(both)], needed).layers["image"].read(window)
    assert found[:, 0, 0] == pytest.approx([0.3, 0.1])
    singles = [tiny.write_raster(tmp_path / f"{n}.tif", values[n : n + 1], tiny.grid(4, 4)) for n in (1, 2)]
    found, _ = open_scene([",".join(map(str, singles))], needed).layers["image"].read(window)
    assert found[:, 0, 0] == pytest.approx([0.2, 0.3])
    with pytest.raises(BandError, match="other bands"):
        open_scene([str(singles[0])], needed)
