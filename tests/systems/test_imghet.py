"""imghet through its verbs: a simulated trial of textures, maps of scenes, and bad input."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import rasterio
import yaml
from affine import Affine
from PIL import Image

import swath
from swath import registry
from swath.cli import main
from swath.errors import ConfigError, DataError, RunError, SwathError
from swath.simulate.texture_trials import texture_trial

FAST = {"epochs": 3, "batch": 16, "folds": 2}


def write_trial(folder, units, part=None, **changes):
    """A trial as a person has it: a CSV, images in an array, and a YAML that names the columns."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(
        {
            "village": units.keys[units.image_of],
            "given": units.treatment.astype(int),
            "income": units.outcome,
            "lon": 32.0 + 0.01 * units.image_of,
            "lat": np.full(len(units), 2.5),
            "age": np.arange(len(units)) % 40,
            **({} if part is None else {"part": part}),
        }
    )
    table.to_csv(folder / "units.csv", index=False)
    np.savez(folder / "chips.npz", images=units.images, keys=units.keys)
    said = {
        "units": "units.csv",
        "treatment": "given",
        "outcome": "income",
        "key": "village",
        "lon": "lon",
        "lat": "lat",
        "covariates": ["age"],
        "probability": 0.5,
        "images": {"chips": "chips.npz"},
        **({} if part is None else {"part": "part"}),
        **changes,
    }
    path = folder / "units.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in said.items() if v is not None}))
    return path


def write_scene(path, size=96):
    """A picture of which the western half is striped and the eastern plain, both as in the trial."""
    striped, _ = texture_trial(1, seed=1, share=1.0, size=size)
    plain, _ = texture_trial(1, seed=2, share=0.0, size=size)
    values = np.where(np.arange(size) < size // 2, striped.images[0, 0], plain.images[0, 0])
    profile = {"driver": "GTiff", "width": size, "height": size, "count": 3, "dtype": "float32"}
    place = {"crs": "EPSG:32636", "transform": Affine(30, 0, 4e5, 0, -30, 3e5)}
    with rasterio.open(path, "w", **profile, **place) as raster:
        raster.write(values.astype(np.float32))
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A trial of 40 images and a quick run of it."""
    folder = tmp_path_factory.mktemp("small")
    units, _ = texture_trial(40, size=16)
    path = write_trial(folder, units)
    task = registry.create("imghet", **FAST)
    task.fit(task.open_data(path), folder / "run")
    return folder, units, path


class TestLearns:
    def test_beats_its_baselines_where_texture_makes_the_effect(self, tmp_path):
        units, kind = texture_trial(600, seed=1, size=16, noise=0.5)
        task = registry.create("imghet", epochs=60, batch=32, folds=2, reshuffles=1)
        task.fit(units, tmp_path / "run")
        elsewhere, true_kind = texture_trial(400, seed=101, size=16, noise=0.5)
        elsewhere = replace(elsewhere, keys=np.char.add("far ", elsewhere.keys))
        found = task.fitted.fits.posterior(elsewhere.keys, task.fitted.standard(elsewhere.images))
        rivals = task.fitted.baselines(elsewhere.keys, task.fitted.standard(elsewhere.images))
        error = {name: _rmse(effect, 2.0 * true_kind) for name, effect in rivals.items()}
        own = _rmse(found.effect.mean(axis=0), 2.0 * true_kind)
        assert own < 0.5
        assert own < 0.6 * min(error.values())
        scores = task.score(elsewhere, part="all")
        assert scores.system["gain"].low > max(s["gain"].high for s in scores.baselines.values())
        assert scores.system["calibration"].value == pytest.approx(1.0, abs=0.3)
        study = json.loads((tmp_path / "run" / "study.json").read_text())
        assert [c["held_out"]["value"] for c in study["clusters"]] == pytest.approx([0, 2], abs=0.4)
        table = pd.read_csv(tmp_path / "run" / "images.csv")
        assert np.corrcoef(table["effect"], kind)[0, 1] > 0.9

    @pytest.mark.data
    def test_fits_the_uganda_trial(self, data_folder, tmp_path):
        with np.load(data_folder / "causal_uganda_rct" / "uganda_yop.npz") as file:
            keys = file["obs_key"].astype(str)
            table = {"village": keys, "given": file["treat"], "income": file["outcome"]}
            np.savez(tmp_path / "chips.npz", images=file["images"], keys=file["image_key"].astype(str))
            treated, outcome = file["treat"] == 1, file["outcome"]
        pd.DataFrame(table).to_csv(tmp_path / "units.csv", index=False)
        path = tmp_path / "units.yaml"
        path.write_text(
            "units: units.csv\ntreatment: given\noutcome: income\nkey: village\nimages: {chips: chips.npz}\n"
        )
        task = registry.create("imghet", epochs=10, reshuffles=1)
        task.fit(task.open_data(path), tmp_path / "run")
        study = json.loads((tmp_path / "run" / "study.json").read_text())
        assert (study["units"], study["images"]) == (2082, 327)
        raw = outcome[treated].mean() - outcome[~treated].mean()
        doubly = study["average_effect_doubly_robust"]
        assert doubly["low"] < raw < doubly["high"]
        assert study["average_effect"] == pytest.approx(raw, abs=0.2)


class TestVerbs:
    def test_from_the_command_line(self, small, tmp_path, capsys):
        _, _, path = small
        run = str(tmp_path / "run")
        options = [word for name, value in FAST.items() for word in (f"--{name}", str(value))]
        assert main(["fit", "imghet", str(path), "-o", run, *options]) == 0
        scene = write_scene(tmp_path / "scene.tif")
        assert main(["predict", run, str(scene), "-o", str(tmp_path / "map.tif"), "--step", "8", "--draws", "4"]) == 0
        assert main(["predict", run, str(path), "-o", str(tmp_path / "images.gpkg")]) == 0
        assert main(["score", run, str(path), "--part", "all"]) == 0
        with Image.open(tmp_path / "run" / "study.png") as picture:
            assert np.ptp(np.asarray(picture)) > 100
        assert "T-learner on band means" in capsys.readouterr().out
        with rasterio.open(tmp_path / "map.tif") as raster:
            assert raster.descriptions == ("effect", "effect_sd", "p1", "p1_sd", "p2", "p2_sd")
            assert raster.transform == Affine(240, 0, 4e5 + 30 * 4, 0, -240, 3e5 - 30 * 4)
            assert raster.shape == (11, 11)
            values = raster.read()
        np.testing.assert_allclose(values[2] + values[4], 1, atol=1e-5)
        assert (tmp_path / "map.tif.stac.json").is_file()

    def test_a_loaded_run_tells_the_same(self, small):
        folder, _, path = small
        task = swath.load(folder / "run")
        source = task.open_source([str(path)])
        (written,) = task.predict(source, folder / "again.csv")
        again, told = pd.read_csv(written, index_col="key"), pd.read_csv(folder / "run" / "images.csv", index_col="key")
        np.testing.assert_allclose(again.loc[told.index, "effect"], told["effect"], rtol=1e-5)

    def test_a_cell_of_a_map_is_what_its_chip_says(self, small, tmp_path):
        folder, _, _ = small
        task = swath.load(folder / "run")
        scene = write_scene(tmp_path / "scene.tif")
        task.predict(task.open_source([str(scene)]), tmp_path / "map.tif", draws=3)
        with rasterio.open(scene) as raster:
            chip = raster.read()[None, None, :, 32:48, 16:32]
        said = task.fitted.fits.posterior(np.array(["?"]), task.fitted.standard(chip), draws=3)
        with rasterio.open(tmp_path / "map.tif") as raster:
            assert raster.read(1)[2, 1] == pytest.approx(said.effect.mean(), rel=1e-4)

    def test_cells_without_data_stay_empty(self, small, tmp_path):
        folder, _, _ = small
        scene = write_scene(tmp_path / "scene.tif")
        with rasterio.open(scene, "r+") as raster:
            values = raster.read()
            values[:, :, :36] = np.nan
            raster.write(values)
        task = swath.load(folder / "run")
        task.predict(task.open_source([str(scene)]), tmp_path / "map.tif", draws=2)
        with rasterio.open(tmp_path / "map.tif") as raster:
            empty = np.isnan(raster.read(1))
        assert empty[:, :2].all()
        assert not empty[:, 2:].any()

    def test_parts_train_and_score_apart(self, tmp_path):
        units, _ = texture_trial(60, size=16)
        path = write_trial(tmp_path, units, part=np.where(np.arange(60) < 40, "train", "test"))
        task = registry.create("imghet", **FAST)
        task.fit(task.open_data(path), tmp_path / "run")
        scores = task.score(task.open_data(path))
        assert scores.facts["images"] == 20
        assert scores.facts["images fitted to, told by fits that never saw them"] == 0

    def test_covariates_are_taken_out(self, tmp_path):
        units, _ = texture_trial(60, (1.0, 1.0), size=8)
        age = np.arange(60) % 40
        path = write_trial(tmp_path, replace(units, outcome=units.outcome + 5.0 * age))
        spread = []
        for orthogonalise in (False, True):
            task = registry.create("imghet", **FAST, orthogonalise=orthogonalise)
            task.fit(task.open_data(path), tmp_path / f"run {orthogonalise}")
            prepared = task.fitted.prepared(task.open_data(path))
            spread.append(prepared.outcome.std())
        assert spread[1] < 0.1 * spread[0]

    @pytest.mark.parametrize("variant", ["release", "tarnet"])
    def test_other_variants_leave_whole_runs(self, variant, tmp_path):
        units, _ = texture_trial(40, size=16)
        path = write_trial(tmp_path, units)
        task = registry.create("imghet", **FAST, variant=variant)
        task.fit(task.open_data(path), tmp_path / "run")
        scene = write_scene(tmp_path / "scene.tif", 32)
        again = swath.load(tmp_path / "run")
        again.predict(again.open_source([str(scene)]), tmp_path / "map.tif")
        study = json.loads((tmp_path / "run" / "study.json").read_text())
        assert len(study["clusters"]) == (1 if variant == "tarnet" else 2)
        assert study["clusters"][0]["variance_within"] is None


class TestBadInput:
    def fails(self, tmp_path, error, match, units=None, options=None, part=None, **changes):
        units = texture_trial(40, size=8)[0] if units is None else units
        path = write_trial(tmp_path, units, part, **changes)
        task = registry.create("imghet", **{**FAST, **(options or {})})
        with pytest.raises(error, match=match):
            task.fit(task.open_data(path), tmp_path / "run")
        assert not (tmp_path / "run" / "task.json").exists()

    def test_all_are_treated(self, tmp_path):
        units, _ = texture_trial(40, size=8)
        self.fails(tmp_path, DataError, "both arms", replace(units, treatment=np.ones(40)))

    def test_an_outcome_is_missing(self, tmp_path):
        units, _ = texture_trial(40, size=8)
        units.outcome[3] = np.nan
        self.fails(tmp_path, DataError, "no outcome", units)

    def test_keys_twice(self, tmp_path):
        units, _ = texture_trial(40, size=8)
        self.fails(tmp_path, DataError, "several images of one key", replace(units, keys=np.array(["a"] * 40)))

    def test_an_image_is_in_two_parts(self, tmp_path):
        units, _ = texture_trial(40, size=8)
        units = replace(units, image_of=np.arange(40) // 2)
        self.fails(tmp_path, DataError, "share images", units, part=["train", "test"] * 20)

    def test_more_clusters_than_images(self, tmp_path):
        self.fails(tmp_path, DataError, "more clusters than images", options={"clusters": 30})

    def test_fewer_images_than_folds(self, tmp_path):
        self.fails(tmp_path, DataError, "fewer images than folds", options={"folds": 50})

    def test_covariates_are_wanted_and_there_are_none(self, tmp_path):
        self.fails(tmp_path, ConfigError, "nothing to take out", options={"orthogonalise": True}, covariates=None)

    @pytest.mark.parametrize("options", [{"clusters": 0}, {"folds": 1}, {"reshuffles": 0}, {"variant": "best"}])
    def test_options_without_sense(self, options):
        with pytest.raises(ConfigError):
            registry.create("imghet", **options)

    @pytest.mark.parametrize("options", [{"draws": 0}, {"level": 1.5}])
    def test_options_of_verbs_without_sense(self, options, small, tmp_path):
        folder, units, _ = small
        with pytest.raises(ConfigError, match="draws"):
            swath.load(folder / "run").score(units, part="all", **options)
        with pytest.raises(ConfigError, match="draws"):
            registry.create("imghet").fit(units, tmp_path / "run", **options)

    def test_a_scene_with_other_bands(self, small, tmp_path):
        folder, _, _ = small
        task = swath.load(folder / "run")
        path = tmp_path / "grey.tif"
        profile = {"driver": "GTiff", "width": 40, "height": 40, "count": 1, "dtype": "float32"}
        with rasterio.open(path, "w", **profile, crs="EPSG:32636", transform=Affine(30, 0, 4e5, 0, -30, 3e5)) as raster:
            raster.write(np.ones((1, 40, 40), np.float32))
        with pytest.raises(DataError, match="other bands"):
            task.predict(task.open_source([str(path)]), tmp_path / "map.tif")
        assert not (tmp_path / "map.tif").exists()

    @pytest.mark.parametrize("output", ["map.png", "images.xlsx"])
    def test_other_suffixes(self, output, small, tmp_path):
        folder, _, path = small
        task = swath.load(folder / "run")
        words = [str(write_scene(tmp_path / "scene.tif"))] if output == "map.png" else [str(path)]
        with pytest.raises(ConfigError, match="cannot be written so"):
            task.predict(task.open_source(words), tmp_path / output)

    def test_a_task_that_learned_nothing(self, small, tmp_path):
        _, _, path = small
        task = registry.create("imghet")
        with pytest.raises(RunError, match="learned nothing"):
            task.predict(task.open_data(path), tmp_path / "images.csv")

    @pytest.mark.parametrize("file", ["keys.json", "weights.safetensors", "task.json"])
    def test_damaged_runs(self, file, small, tmp_path):
        folder, _, _ = small
        run = tmp_path / "run"
        run.mkdir()
        for path in (folder / "run").iterdir():
            (run / path.name).write_bytes(path.read_bytes()[: 10 if path.name == file else None])
        with pytest.raises(SwathError):
            swath.load(run)


def _rmse(found, true):
    return float(np.sqrt(np.mean((found - true) ** 2)))
