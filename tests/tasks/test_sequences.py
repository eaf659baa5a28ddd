"""Classification of sequences: it learns, goes on after a kill, is scored beside its baselines, and writes tables."""

import json
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import torch
from lightning.pytorch import Callback

import swath
from small_sequences import CLASSES, FEATURES, small_sequences
from swath.data.sequences import split_sequences
from swath.errors import BandError, ConfigError, DataError
from swath.tasks.task import Task


@pytest.fixture
def data():
    return split_sequences(small_sequences())


def _task(network="tempcnn", **options):
    torch.manual_seed(0)
    options = {"classes": CLASSES, "bands": FEATURES, "length": 9, "network": network, **options}
    return swath.create("sen4agrinet:oad", **options)


def _quick(task, **changes):
    return replace(task.recipe, **{"epochs": 8, "batch": 16, **changes})


def test_it_learns_is_scored_saved_and_taken_back(data, tmp_path):
    task = _task()
    task.fit(data, tmp_path / "run", recipe=_quick(task), accelerator="cpu")
    scores = task.score(data, resamples=50)
    assert set(scores.baselines) == {"majority", "nearest centroid", "random forest", "peak rule"}
    assert scores.system["accuracy"].value > 0.8 > scores.baselines["majority"]["accuracy"].value
    assert scores.baselines["peak rule"]["accuracy"].value > 0.6  # the classes are told by their peaks
    assert scores.facts["intervals"].endswith("groups")
    again = Task.load(tmp_path / "run")
    np.testing.assert_array_equal(again._probabilities(data.values), task._probabilities(data.values))
    assert json.loads((tmp_path / "run/leaks.json").read_text()) == {"units of the same numbers": {}}
    assert "by groups" in json.loads((tmp_path / "run/data.json").read_text())["split"]


class _Killed(Callback):
    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 2:
            raise KeyboardInterrupt


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(data, tmp_path):
    whole, cut = _task("transformer"), _task("transformer")
    recipe = _quick(whole, epochs=4)
    whole.fit(data, tmp_path / "whole", recipe=recipe, accelerator="cpu")
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        cut.fit(data, tmp_path / "cut", recipe=recipe, accelerator="cpu", callbacks=(_Killed(),))
    again = _task("transformer")
    again.fit(data, tmp_path / "cut", recipe=recipe, accelerator="cpu")
    assert again.weights_hash() == whole.weights_hash()


def test_weights_of_classes_are_n_over_k_n(data, tmp_path):
    task = _task()
    task.recipe = replace(task.recipe, class_weights="inverse")
    task.prepare(data)
    train = data.of_part("train")
    counts = np.bincount(train.labels, minlength=3)
    np.testing.assert_allclose(task.class_weights, len(train) / (3 * counts), rtol=1e-6)


def test_tables_with_and_without_places(data, tmp_path):
    task = _task()
    task.fit(data, tmp_path / "run", recipe=_quick(task, epochs=1), accelerator="cpu")
    unseen = replace(data, values=data.values.copy())
    unseen.values[0] = np.nan
    (path,) = task.predict(unseen, tmp_path / "crops.csv")
    table = pd.read_csv(path)
    assert table["class"].isna().tolist() == [True] + [False] * 89
    np.testing.assert_allclose(table.loc[1:, ["p_early", "p_middle", "p_late"]].sum(axis=1), 1, rtol=1e-5)
    best = table.loc[1:, ["p_early", "p_middle", "p_late"]].to_numpy().argmax(1)
    assert table.loc[1:, "class"].tolist() == [CLASSES.names[place] for place in best]
    with pytest.raises(ConfigError, match="no place"):
        task.predict(data, tmp_path / "crops.gpkg")
    boxes = gpd.GeoSeries([shapely.box(n, 0, n + 1, 1) for n in range(90)], crs=32631)
    for name in ("crops.gpkg", "crops.parquet"):
        (path,) = task.predict(replace(unseen, geometry=boxes), tmp_path / name)
        found = gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path)
        assert found.crs.to_epsg() == 32631
        assert found["id"].tolist() == data.ids.tolist()
        assert found.geometry.iloc[5].equals(boxes[5])
    facts = json.loads((tmp_path / "crops.csv.provenance.json").read_text())
    assert facts["system"] == "sen4agrinet:oad"
    assert facts["weights"] == task.weights_hash()


def test_other_data_are_refused(data, tmp_path):
    task = _task()
    with pytest.raises(DataError, match="number of steps"):
        task.fit(split_sequences(small_sequences(steps=8)), tmp_path / "run")
    with pytest.raises(DataError, match="other classes"):
        _task(classes=["a", "b", "c"]).fit(data, tmp_path / "run")
    with pytest.raises(BandError):
        _task(bands=replace(FEATURES, sensor="other")).fit(data, tmp_path / "run")
    with pytest.raises(ConfigError, match="one YAML"):
        task.open_source(["a.yaml", "b.yaml"])
