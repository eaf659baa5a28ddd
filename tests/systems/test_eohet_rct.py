"""eohet_rct through its verbs: simulated trials of sequences, maps of several scenes, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
from affine import Affine
from PIL import Image

import swath
from swath import registry
from swath.cli import main
from swath.errors import ConfigError, DataError, RunError, SwathError
from swath.simulate import studies
from swath.simulate.sequence_trials import sequence_trial
from swath.simulate.world import make_world
from swath.tasks.weights import save_state
from trial_files import write_study

FAST = {"folds": 2, "reshuffles": 2, "features": 16}
WORDS = [word for name, value in FAST.items() for word in (f"--{name}", str(value))]


def place(units):
    """Units with places."""
    return replace(units, lon=32 + 0.001 * units.image_of, lat=np.full(len(units), 2.5))


def write_scenes(folder, edge=24, bands=2):
    """Two scenes of a place, the second brighter in the east."""
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    profile = {"driver": "GTiff", "width": edge, "height": edge, "count": bands, "dtype": "float32"}
    where = {"crs": "EPSG:32636", "transform": Affine(30, 0, 4e5, 0, -30, 3e5)}
    paths = []
    for number in range(2):
        values = random.normal(size=(bands, edge, edge)) + number * (np.arange(edge) > edge // 2)
        paths.append(folder / f"scene{number}.tif")
        with rasterio.open(paths[-1], "w", **profile, **where) as raster:
            raster.write(values.astype(np.float32))
    return [str(path) for path in paths]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A trial of 40 images of two dates, and a quick run of it."""
    folder = tmp_path_factory.mktemp("small")
    units, _ = sequence_trial(40, 0, frames=2, size=8, units=2)
    path = write_study(folder, place(units))
    assert main(["fit", "eohet_rct", str(path), "-o", str(folder / "run"), "--draws=20", *WORDS]) == 0
    return folder, units, path


class TestLearns:
    def test_a_trend_is_found_and_ranked(self, tmp_path):
        units, effect = sequence_trial(500, 1, trend=1.5, size=12)
        task = registry.create("eohet_rct", sequence="difference", features=32, reshuffles=2)
        task.fit(units, tmp_path / "run")
        study = json.loads((tmp_path / "run" / "study.json").read_text())
        assert study["rates"]["autoc"]["ratio"] > 3
        assert study["policies"]["first half over any half"][2] > 0
        low, high = study["calibration"][2:]
        assert low < 1 < high
        table = pd.read_csv(tmp_path / "run" / "units.csv")
        assert np.corrcoef(table["effect"], effect)[0, 1] > 0.5
        elsewhere, _ = sequence_trial(400, 2, trend=1.5, size=12)
        scores = task.score(replace(elsewhere, keys=np.char.add("far ", elsewhere.keys)), part="all")
        assert scores.system["autoc_ratio"].value > 3
        assert scores.system["autoc"].low > 0
        assert scores.baselines["constant effect"]["autoc_ratio"].value == 0

    def test_table_and_images_together_tell_more_than_each(self, tmp_path):
        units, _ = sequence_trial(500, 3, trend=1.5, table=1.5, size=12)
        ratio = {}
        for inputs in ("images", "table", "both"):
            registry.create("eohet_rct", inputs=inputs, features=32, reshuffles=1).fit(units, tmp_path / inputs)
            found = json.loads((tmp_path / inputs / "study.json").read_text())
            ratio[inputs] = found["rates"]["autoc"]["ratio"]
        assert ratio["both"] > max(ratio["images"], ratio["table"])

    @pytest.mark.data
    def test_the_uganda_trial(self, data_folder, tmp_path):
        with np.load(data_folder / "causal_uganda_rct" / "uganda_yop.npz") as file:
            table = pd.DataFrame({"key": file["obs_key"], "treated": file["treat"], "income": file["outcome"]})
            np.savez(tmp_path / "chips.npz", images=file["images"], keys=file["image_key"].astype(str))
        table.to_csv(tmp_path / "units.csv", index=False)
        path = tmp_path / "units.yaml"
        path.write_text("units: units.csv\ntreatment: treated\noutcome: income\nkey: key\nimages: {chips: chips.npz}\n")
        assert main(["fit", "eohet_rct", str(path), "-o", str(tmp_path / "run"), "--draws=50", *WORDS]) == 0
        study = json.loads((tmp_path / "run" / "study.json").read_text())
        assert (study["units"], study["images"]) == (2082, 327)
        assert study["average_effect"][2] < 0.7415 < study["average_effect"][3]  # the difference in means


class TestVerbs:
    def test_the_run_is_whole_and_scores(self, small, capsys):
        folder, units, path = small
        run = folder / "run"
        table = pd.read_csv(run / "units.csv")
        assert len(table) == len(units)
        assert (table["effect_sd"] >= 0).all()
        with Image.open(run / "study.png") as picture:
            assert np.ptp(np.asarray(picture)) > 100
        assert main(["score", str(run), str(path), "--part", "all"]) == 0
        assert "T-learner on band means" in capsys.readouterr().out
        facts = json.loads((run / "scores-all.json").read_text())["facts"]
        assert facts["images fitted to, told by fits that never saw them"] == 40

    def test_a_loaded_run_tells_the_same(self, small):
        folder, _, path = small
        assert main(["predict", str(folder / "run"), str(path), "-o", str(folder / "again.parquet")]) == 0
        again, told = pd.read_parquet(folder / "again.parquet"), pd.read_csv(folder / "run" / "units.csv")
        np.testing.assert_allclose(again["effect"], told["effect"], rtol=1e-6)
        np.testing.assert_allclose(again["effect_sd"], told["effect_sd"], rtol=1e-6)

    def test_a_map_of_two_dates(self, small, tmp_path):
        folder, _, _ = small
        words = write_scenes(tmp_path)
        assert main(["predict", str(folder / "run"), *words, "-o", str(tmp_path / "map.tif"), "--step=4"]) == 0
        with rasterio.open(tmp_path / "map.tif") as raster:
            assert raster.descriptions == ("effect", "effect_sd")
            assert raster.shape == (5, 5)
            values = raster.read()
        assert np.isfinite(values).all()
        assert (values[1] > 0).all()
        task = swath.load(folder / "run")
        chips = []
        for word in words:
            with rasterio.open(word) as raster:
                chips.append(raster.read()[:, 4:12, 8:16])
        chip = np.stack(chips)[None]
        units, _ = sequence_trial(1, 0, frames=2, size=8)
        one = replace(units, images=chip, keys=np.array(["?"]))
        task.predict(one, tmp_path / "one.csv")
        assert pd.read_csv(tmp_path / "one.csv")["effect"][0] == pytest.approx(values[0, 1, 2], rel=1e-4)

    @pytest.mark.parametrize(
        "options",
        [
            {"learner": "forest", "inputs": "both"},
            {"learner": "network", "sequence": "transformer", "inputs": "both", "width": 8, "epochs": 1},
            {"learner": "network", "backbone": "transformer", "width": 8, "epochs": 1},
            {"learner": "clusters", "sequence": "stacked", "width": 8, "epochs": 1},
            {"representation": "test_resnet", "sequence": "mean_variance"},
            {"representation": "means", "inputs": "table"},
        ],
        ids=lambda options: "-".join(map(str, options.values())),
    )
    def test_every_way_leaves_a_whole_run(self, options, tmp_path):
        units, _ = sequence_trial(24, 0, frames=2, size=8)
        task = registry.create("eohet_rct", **{**FAST, **options})
        task.fit(units, tmp_path / "run", draws=4)
        again = swath.load(tmp_path / "run")
        again.predict(units, tmp_path / "units.csv")
        told, kept = (pd.read_csv(p / "units.csv")["effect"] for p in (tmp_path, tmp_path / "run"))
        np.testing.assert_allclose(told, kept, rtol=1e-5, atol=1e-6)

    def test_every_other_analysis_is_reported(self, tmp_path):
        units, _ = sequence_trial(30, 0, frames=2, size=4)
        path = write_study(tmp_path, units, covariates=None)
        run = tmp_path / "run"
        assert main(["fit", "eohet_rct", str(path), "-o", str(run), "--choices=true", "--draws=5", *WORDS]) == 0
        table = pd.read_csv(run / "choices.csv")
        assert len(table) == 2 * 5 * 2 * 2
        assert set(pd.read_csv(run / "factors.csv")["factor"]) == {
            "all", "representation", "aggregation", "learner", "metric",
        }  # fmt: skip

    def test_weights_of_an_encoder_are_used(self, tmp_path):
        import timm

        torch.manual_seed(1)
        net = timm.create_model("test_resnet", in_chans=2, num_classes=0)
        save_state(net.state_dict(), tmp_path / "encoder.safetensors")
        units, _ = sequence_trial(24, 0, frames=2, size=8)
        told = []
        for weights in (None, tmp_path / "encoder.safetensors"):
            task = registry.create("eohet_rct", representation="test_resnet", weights=weights, **FAST)
            told.append(task.analysis.representation(2)(units.images))
        assert not np.allclose(*told)
        with torch.inference_mode():
            frame = torch.nn.functional.interpolate(
                torch.from_numpy(units.images[:, 0]), (64, 64), mode="bilinear", antialias=True
            )
            expected = net.eval()(frame).numpy()
        np.testing.assert_allclose(told[1][:, : expected.shape[1]], expected, rtol=1e-4, atol=1e-5)

    def test_a_simulated_world_by_its_places(self, tmp_path):
        world = make_world(seed=3, width=4000, height=1500, towns=40)
        studies.eohet_rct(world, tmp_path, units=120)
        run = tmp_path / "run"
        words = [str(tmp_path / "units.yaml"), "-o", str(run), "--draws=20"]
        task = registry.create("eohet_rct", **FAST)
        units = task.open_data(words[0])
        with pytest.raises(DataError, match="no map of classes"):
            task.fit(units, run, draws=4, landcover=str(tmp_path / "june.tif"))
        assert main(["fit", "eohet_rct", *words, *WORDS, "--inputs=images"]) == 0
        assert main(["score", str(run), words[0]]) == 0
        scenes = [str(tmp_path / f"{name}.tif") for name in ("april", "june", "september")]
        assert main(["predict", str(run), *scenes, "-o", str(tmp_path / "map.tif")]) == 0
        with rasterio.open(tmp_path / "map.tif") as raster:
            assert np.isfinite(raster.read()).any()


class TestBadInput:
    def fails(self, tmp_path, error, match, units, options=None, part=None, **changes):
        path = write_study(tmp_path, units, part, **changes)
        task = registry.create("eohet_rct", **{**FAST, **(options or {})})
        with pytest.raises(error, match=match):
            task.fit(task.open_data(path), tmp_path / "run", draws=4)
        assert not (tmp_path / "run" / "task.json").exists()

    @pytest.fixture
    def units(self):
        return sequence_trial(30, 0, frames=2, size=4)[0]

    @pytest.mark.parametrize("arm", [0.0, 1.0])
    def test_all_are_treated_or_none(self, arm, units, tmp_path):
        self.fails(tmp_path, DataError, "both arms", replace(units, treatment=np.full(30, arm)))

    def test_a_fold_without_an_arm(self, units, tmp_path):
        few = (np.arange(30) < 2).astype(float)
        self.fails(tmp_path, DataError, "no unit of an arm|both arms", replace(units, treatment=few), {"folds": 10})

    def test_outcomes_are_missing(self, units, tmp_path):
        units.outcome[3] = np.nan
        self.fails(tmp_path, DataError, "1 of 30 units have no outcome", units)
        path = write_study(tmp_path, units, missing="drop")
        task = registry.create("eohet_rct", **FAST)
        task.fit(task.open_data(path), tmp_path / "run", draws=4)
        assert json.loads((tmp_path / "run" / "study.json").read_text())["dropped"] == 1

    def test_keys_twice(self, units, tmp_path):
        keys = units.keys.copy()
        keys[1] = keys[0]
        self.fails(tmp_path, DataError, "several images of one key", replace(units, keys=keys))

    def test_images_are_missing(self, units, tmp_path):
        path = write_study(tmp_path, units)
        np.savez(tmp_path / "chips.npz", images=units.images[2:], keys=units.keys[2:])
        with pytest.raises(DataError, match="2 keys have no image"):
            registry.create("eohet_rct").open_data(path)

    def test_an_image_is_in_two_parts(self, units, tmp_path):
        units = replace(units, image_of=np.arange(30) // 2)
        self.fails(tmp_path, DataError, "share images", units, part=["train", "test"] * 15)

    def test_images_shared_across_arms_stay_together(self, tmp_path):
        units, _ = sequence_trial(20, 0, frames=2, size=4, units=4)
        assert any(len(set(units.treatment[units.image_of == i])) == 2 for i in range(20))
        path = write_study(tmp_path, units)
        task = registry.create("eohet_rct", **FAST)
        task.fit(task.open_data(path), tmp_path / "run", draws=4)
        table = pd.read_csv(tmp_path / "run" / "units.csv")
        assert (table.groupby("image")["effect"].nunique() == 1).all()

    @pytest.mark.parametrize(
        "options",
        [
            {"folds": 1}, {"reshuffles": 0}, {"learner": "magic"}, {"features": 0}, {"sequence": "transformer"},
            {"learner": "network", "inputs": "table"}, {"learner": "clusters", "inputs": "both"},
            {"weights": "a.pt"}, {"sequence": "backwards"}, {"inputs": "sound"},
        ],
    )  # fmt: skip
    def test_options_without_sense(self, options):
        with pytest.raises(ConfigError):
            registry.create("eohet_rct", **options)

    def test_an_encoder_that_timm_does_not_have(self, units, tmp_path):
        self.fails(tmp_path, ConfigError, "no such encoder", units, {"representation": "clay"})

    @pytest.mark.parametrize("options", [{"draws": 1}, {"level": 1.5}])
    def test_options_of_verbs_without_sense(self, options, small, tmp_path):
        folder, units, _ = small
        with pytest.raises(ConfigError, match="draws"):
            swath.load(folder / "run").score(units, part="all", **options)
        with pytest.raises(ConfigError, match="draws"):
            registry.create("eohet_rct").fit(units, tmp_path / "run", **options)

    def test_no_covariates_where_they_are_asked_for(self, units, tmp_path):
        self.fails(tmp_path, ConfigError, "no covariates", units, {"inputs": "both"}, covariates=None)

    def test_scenes_that_do_not_fit(self, small, tmp_path):
        folder, _, _ = small
        task = swath.load(folder / "run")
        words = write_scenes(tmp_path)
        with pytest.raises(ConfigError, match="scene for each frame"):
            task.predict(task.open_source(words[:1]), tmp_path / "map.tif")
        other = write_scenes(tmp_path / "other", bands=3)
        with pytest.raises(DataError, match="other frames or bands"):
            task.predict(task.open_source(other), tmp_path / "map.tif")
        with pytest.raises(ConfigError, match="cannot be written so"):
            task.predict(task.open_source(words), tmp_path / "map.png")
        assert not (tmp_path / "map.tif").exists()

    def test_a_map_of_what_covariates_tell(self, units, tmp_path):
        task = registry.create("eohet_rct", inputs="both", **FAST)
        task.fit(units, tmp_path / "run", draws=4)
        with pytest.raises(ConfigError, match="asks for covariates"):
            task.predict(task.open_source(write_scenes(tmp_path)), tmp_path / "map.tif")

    def test_a_task_that_learned_nothing(self, units, tmp_path):
        with pytest.raises(RunError, match="learned nothing"):
            registry.create("eohet_rct").predict(units, tmp_path / "units.csv")

    @pytest.mark.parametrize("file", ["keys.json", "weights.safetensors", "task.json"])
    def test_damaged_runs(self, file, small, tmp_path):
        folder, _, _ = small
        run = tmp_path / "run"
        run.mkdir()
        for path in (folder / "run").iterdir():
            (run / path.name).write_bytes(path.read_bytes()[: 10 if path.name == file else None])
        with pytest.raises(SwathError):
            swath.load(run)
