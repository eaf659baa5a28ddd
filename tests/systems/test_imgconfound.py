"""imgconfound: a study from its files to estimates, through the command line, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml

import swath
from swath.cli import main
from swath.errors import ConfigError, DataError
from swath.simulate.confounded import confounded_study
from swath.simulate.sequence_trials import sequence_trial
from trial_files import write_study

FAST = ["--features=16", "--folds=3"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"), confounded_study(400, 0, edge=12))


@pytest.fixture(scope="module")
def run(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["fit", "imgconfound", str(study), "-o", str(folder), "--draws=20", *FAST]) == 0
    return folder


def test_adjustment_takes_most_of_the_bias_away(run):
    estimates = json.loads((run / "study.json").read_text())["estimates"]
    naive = estimates["difference"]["value"] - 2
    assert naive > 1.5
    assert abs(estimates["doubly_robust"]["value"] - 2) < 0.25 * naive
    assert abs(estimates["hajek"]["value"] - 2) < 0.5 * naive
    assert 0.5 * naive > estimates["regression"]["value"] - 2 > 0.2 * naive  # the table tells two thirds of it


def test_the_run_holds_tables_and_a_picture(run):
    units = pd.read_csv(run / "units.csv")
    assert len(units) == 400
    assert units["propensity"].between(0, 1).all()
    balance = pd.read_csv(run / "balance.csv").set_index("name")
    assert (balance.loc[["x1", "x2"], "after"].abs() < balance.loc[["x1", "x2"], "before"].abs()).all()
    assert (run / "study.png").read_bytes().startswith(b"\x89PNG")


def test_predictions_of_units_fitted_to_are_those_that_never_saw_them(study, run, tmp_path):
    assert main(["predict", str(run), str(study), "-o", str(tmp_path / "units.csv")]) == 0
    told, kept = pd.read_csv(tmp_path / "units.csv"), pd.read_csv(run / "units.csv")
    np.testing.assert_allclose(told["propensity"], kept["propensity"], rtol=1e-6)


def test_new_units_are_told_and_scored(run, tmp_path, capsys):
    other = confounded_study(300, 9, edge=12)
    path = write_study(tmp_path, other)
    keys = {key: f"new {key}" for key in other.keys}
    table = pd.read_csv(tmp_path / "units.csv", dtype={"key": str})
    table["key"] = table["key"].map(keys)
    table.to_csv(tmp_path / "units.csv", index=False)
    np.savez(tmp_path / "chips.npz", images=other.images, keys=np.array([keys[key] for key in other.keys]))
    assert main(["score", str(run), str(path), "--part", "all"]) == 0
    scores = json.loads((run / "scores-all.json").read_text())
    assert scores["facts"]["images fitted to, told by models that never saw them"] == 0
    best = scores["system"]["cross_entropy"]["value"]
    assert best < scores["baselines"]["covariates"]["cross_entropy"]["value"]
    assert best < scores["baselines"]["constant"]["cross_entropy"]["value"]


def test_a_network_from_pixels_comes_back(tmp_path):
    units = confounded_study(120, 2, edge=12)
    path = write_study(tmp_path / "study", units)
    run = tmp_path / "run"
    words = ["--way=network", "--folds=2", "--epochs=3", "--draws=10", "--width=8"]
    assert main(["fit", "imgconfound", str(path), "-o", str(run), *words]) == 0
    again = swath.load(run)
    told = pd.read_csv(run / "units.csv")["propensity"]
    again.predict(again.open_data(str(path)), tmp_path / "units.csv")
    np.testing.assert_allclose(pd.read_csv(tmp_path / "units.csv")["propensity"], told, rtol=1e-5)


@pytest.mark.parametrize("sequence", ["transformer", "difference"])
def test_a_vision_transformer_of_sequences_comes_back(sequence, tmp_path):
    units, _ = sequence_trial(24, 0, frames=2, size=12, units=2)
    task = swath.create("imgconfound", way="network", backbone="transformer", sequence=sequence, width=8, epochs=1)
    task.fit(units, tmp_path / "run", draws=4)
    swath.load(tmp_path / "run").predict(units, tmp_path / "units.csv")
    told, kept = (pd.read_csv(folder / "units.csv")["propensity"] for folder in (tmp_path, tmp_path / "run"))
    np.testing.assert_allclose(told, kept, rtol=1e-4)


def test_diagnostics_stand_beside_the_constant_share_and_units_seen(run):
    study = json.loads((run / "study.json").read_text())
    told = study["diagnostics"]
    assert told["constant"]["auc"] == 0.5
    assert told["propensity"]["cross_entropy"] < told["constant"]["cross_entropy"]
    assert told["propensity, units seen"]["cross_entropy"] < told["propensity"]["cross_entropy"]
    assert set(told["propensity"]) == {"cross_entropy", "error", "f1", "auc", "auprc"}
    # each covariate adds 1 to the logit; a ridge tells less
    assert all(0.3 < study["covariates"][name] < 1.2 for name in ("x1", "x2"))


@pytest.mark.parametrize("way", ["frozen", "network"])
def test_covariates_in_any_unit_tell_the_same(way, tmp_path):
    units = confounded_study(150, 6, edge=8)
    told = []
    for number, scale in enumerate((1.0, 1e6)):
        task = swath.create("imgconfound", way=way, folds=2, features=8, width=8, epochs=2)
        scaled = replace(units, covariates=5 + scale * units.covariates)
        task.fit(scaled, tmp_path / str(number), draws=4)
        told.append(pd.read_csv(tmp_path / str(number) / "units.csv")["propensity"])
    np.testing.assert_allclose(told[0], told[1], atol=2e-3)


def test_covariates_can_be_taken_out_of_the_outcome_first(tmp_path):
    units = confounded_study(400, 7, edge=8)
    units.outcome[:] += 20 * units.covariates[:, 0]
    errors = []
    for orthogonalise in (False, True):
        run = tmp_path / str(orthogonalise)
        swath.create("imgconfound", features=8, orthogonalise=orthogonalise).fit(units, run, draws=10)
        errors.append(json.loads((run / "study.json").read_text())["estimates"]["hajek"]["error"])
    assert errors[1] < 0.5 * errors[0]


def test_images_shared_across_arms_stay_in_one_fold(tmp_path):
    units = confounded_study(120, 8, edge=8)
    units = replace(units, image_of=np.arange(120) // 3)
    path = write_study(tmp_path, units)
    assert main(["fit", "imgconfound", str(path), "-o", str(tmp_path / "run"), "--draws=5", *FAST]) == 0
    task = swath.load(tmp_path / "run")
    fold_of = dict(zip(task.learned_models.keys, task.learned_models.fold, strict=True))
    assert len(fold_of) == 40  # a fold for each image, not for each unit
    study = json.loads((tmp_path / "run" / "study.json").read_text())
    assert (study["units"], study["images"]) == (120, 40)


def test_keys_twice_are_refused(tmp_path):
    units = confounded_study(20, 0, edge=4)
    path = write_study(tmp_path, units)
    np.savez(tmp_path / "chips.npz", images=units.images, keys=np.array(["00000"] * 20))
    with pytest.raises(DataError, match="several images of one key"):
        swath.create("imgconfound").open_data(str(path))


def test_images_without_information_leave_the_estimate(tmp_path):
    units = confounded_study(300, 3, edge=8, covariates=False)
    units.images[:] = 1.0
    run = tmp_path / "run"
    task = swath.create("imgconfound", features=8)
    task.fit(units, run, draws=5)
    found = json.loads((run / "study.json").read_text())["estimates"]
    assert found["hajek"]["value"] == pytest.approx(found["difference"]["value"], abs=0.03)


@pytest.mark.data
def test_the_uganda_trial(data_folder, tmp_path):
    with np.load(data_folder / "causal_uganda_rct" / "uganda_yop.npz") as file:
        table = pd.DataFrame({"key": file["obs_key"], "treated": file["treat"], "income": file["outcome"]})
        for number in (1, 2, 3, 4, 5, 6, 7):
            table[f"x{number}"] = file["X"][:, number - 1]
        np.savez(tmp_path / "chips.npz", images=file["images"], keys=file["image_key"].astype(str))
    table.to_csv(tmp_path / "units.csv", index=False)
    said = {"units": "units.csv", "treatment": "treated", "outcome": "income", "key": "key"}
    said |= {"images": {"chips": "chips.npz"}, "covariates": ["x2", "x4", "x6"]}
    path = tmp_path / "units.yaml"
    path.write_text(yaml.safe_dump(said))
    assert main(["fit", "imgconfound", str(path), "-o", str(tmp_path / "run"), "--draws=10", *FAST]) == 0
    found = json.loads((tmp_path / "run" / "study.json").read_text())
    # treatment was drawn by lot: images tell next to nothing of it, and adjustment changes next to nothing
    assert found["estimates"]["difference"]["value"] == pytest.approx(0.7415, abs=1e-3)
    assert found["estimates"]["doubly_robust"]["value"] == pytest.approx(0.74, abs=0.1)
    assert abs(found["diagnostics"]["propensity"]["auc"] - 0.5) < 0.1
    # x1 is the treatment itself, and x3, x5, x7 are products with it
    path.write_text(yaml.safe_dump({**said, "covariates": [f"x{number}" for number in range(1, 8)]}))
    assert main(["fit", "imgconfound", str(path), "-o", str(tmp_path / "other"), "--draws=10", *FAST]) == 1
    assert not (tmp_path / "other" / "study.json").exists()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda table: table.assign(treated=1), "both arms|without both"),
        (lambda table: table.assign(treated=table["treated"] * 2), "must be 0 or 1"),
        (lambda table: table.assign(income=table["income"].where(table.index > 3)), "have no outcome"),
        (lambda table: table.assign(key="nobody"), "keys have no image"),
        (lambda table: table.assign(x1=table["treated"]), "no overlap"),
    ],
)
def test_what_is_wrong_with_units_is_named(tmp_path, spoil, message):
    path = write_study(tmp_path, confounded_study(120, 4, edge=8))
    table = pd.read_csv(tmp_path / "units.csv", dtype={"key": str})
    spoil(table).to_csv(tmp_path / "units.csv", index=False)
    task = swath.create("imgconfound", features=8, folds=2)
    with pytest.raises(DataError, match=message):
        task.fit(task.open_data(str(path)), tmp_path / "run", draws=4)
    assert not (tmp_path / "run" / "task.json").exists()


def test_units_of_another_study_are_refused(run, tmp_path):
    task = swath.load(run)
    units = confounded_study(30, 5, edge=12)
    with pytest.raises(DataError, match="other covariates"):
        task.predict(confounded_study(30, 5, edge=12, covariates=False), tmp_path / "a.csv")
    with pytest.raises(DataError, match="other frames or bands"):
        task.predict(replace(units, images=units.images[:, :, :2]), tmp_path / "a.csv")


@pytest.mark.parametrize(
    "options", [{"way": "magic"}, {"folds": 1}, {"features": 0}, {"backbone": "lstm"}, {"sequence": "sum"}]
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ConfigError):
        swath.create("imgconfound", **options)
