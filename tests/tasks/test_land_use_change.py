"""Scores, rivals and products of land use at two dates, by hand."""

import numpy as np
import pandas as pd
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

import tiny
from swath.data.classes import Classes
from swath.tasks.change_baselines import best_threshold
from swath.tasks.change_products import change_outputs, from_to_table
from swath.tasks.change_tally import ChangeTally

CLASSES = Classes.of({3: "field", 5: "house"})


def test_a_tally_by_hand():
    """Four pixels, one of them without label; one change is found with the right land use, one is made up."""
    tally = ChangeTally(2)
    before, after = np.array([0, 0, 1, 1]), np.array([0, 1, 1, -1])
    before[3] = -1
    predicted = (np.array([0, 0, 1, 0]), np.array([0, 1, 0, 0]), np.array([False, True, True, True]))
    tally.update(predicted, (before, after), "a")
    use, moved, change = tally.matrices(tally.total)
    assert use.tolist() == [[3, 0], [1, 2]]
    assert change.tolist() == [[1, 1], [0, 1]]
    assert moved.tolist() == [[2, 1, 1], [0, 1, 0], [0, 0, 1]]
    named = tally.named(tally.total)
    assert named["change_f1"] == pytest.approx(2 / 3)
    assert named["change_iou"] == pytest.approx(0.5)
    assert named["miou"] == pytest.approx((3 / 4 + 2 / 3) / 2)
    tally.update(predicted, (before, after), "b")
    assert set(tally.scores(0.95, 50, 0)) == set(named)
    assert tally.scores(0.95, 50, 0)["accuracy"].value == pytest.approx(5 / 6)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), count=st.integers(1, 30))
def test_the_threshold_has_the_best_f1(seed, count):
    rng = np.random.default_rng(seed)
    values, truth = rng.integers(0, 8, count).astype(float), rng.random(count) < 0.4
    found = best_threshold(values, truth)
    if not truth.any():
        assert found == np.inf
        return
    best = max(f1_score(truth, values > t, zero_division=0) for t in (-1, *range(8)))
    assert f1_score(truth, values > found, zero_division=0) == pytest.approx(best)


def test_scores_become_maps_with_their_legends(tmp_path):
    made = change_outputs(tmp_path / "map.tif", CLASSES)
    scores = np.array([0.2, 0.8, 0.9, 0.1, 0.7], np.float32)[:, None, None]
    valid = np.ones((1, 1), bool)
    stored = {name: one.stored(scores, valid).ravel().tolist() for name, one in made.items()}
    assert {name: stored[name] for name in ("change", "before", "after")} == {
        "change": [1], "before": [5], "after": [3],
    }  # fmt: skip
    assert made["probability"].stored(scores, valid).ravel().tolist() == pytest.approx([0.7])
    assert made["before"].path.name == "map-before.tif"
    assert made["change"].legend[1][0] == "change"


def maps(folder, grid):
    before, after = np.array([[3, 3, 5, 255]], np.uint8), np.array([[5, 5, 3, 255]], np.uint8)
    change = np.array([[1, 1, 0, 255]], np.uint8)
    return [
        tiny.write_raster(folder / f"{name}.tif", values[None], grid, nodata=255)
        for name, values in (("before", before), ("after", after), ("change", change))
    ]


def test_the_table_counts_what_became_what(tmp_path):
    table = pd.read_csv(from_to_table(*maps(tmp_path, tiny.grid(1, 4)), CLASSES, tmp_path / "t.csv"))
    assert table[["from", "to", "pixels"]].to_numpy().tolist() == [["field", "house", 2]]
    assert table["hectares"][0] == pytest.approx(0.02, rel=2e-3)


def test_a_picture_has_no_hectares(tmp_path):
    with rasterio.Env():
        paths = maps(tmp_path, tiny.grid(1, 4))
    for path in paths:
        with rasterio.open(path) as file:
            values = file.read(1)
        tiny.write_picture(path.with_suffix(".png"), values)
    table = from_to_table(*(path.with_suffix(".png") for path in paths), CLASSES, tmp_path / "t.csv")
    assert list(pd.read_csv(table)) == ["from", "to", "pixels"]
