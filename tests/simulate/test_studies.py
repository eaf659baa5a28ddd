"""A simulated trial: round trip through the reader of units, and truth in what is written."""

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.warp import transform

from swath.causal.units import read_units
from swath.simulate import studies
from swath.simulate.world import make_world


def test_a_trial_reads_as_units_with_its_places(tmp_path):
    world = make_world(seed=3, width=4000, height=1500, towns=40)
    studies.imghet(world, tmp_path, units=120)
    units = read_units(tmp_path / "units.yaml")
    assert units.images.shape[1:] == (1, 4, 64, 64)
    table = pd.read_csv(tmp_path / "units.csv")
    np.testing.assert_array_equal(units.treatment, table["treated"])
    assert 0.3 < units.treatment.mean() < 0.7
    west, east = (units.of_part(part).lon for part in ("train", "test"))
    assert west.max() < east.min()
    metres = 111_320 * np.cos(np.radians(units.lat.mean()))
    assert (east.min() - west.max()) * metres > 600
    with rasterio.open(tmp_path / "scene.tif") as scene:
        (x,), (y,) = transform("EPSG:4326", scene.crs, [table["lon"][7]], [table["lat"][7]])
        row, col = scene.index(x, y)
        middle = scene.read(window=((row, row + 1), (col, col + 1)))[:, 0, 0]
    around = units.images[units.image_of[7], 0, :, 31:33, 31:33].reshape(4, -1)
    assert (around == middle[:, None]).all(axis=0).any()


def test_the_effect_is_one_of_treatment(tmp_path):
    world = make_world(seed=3, width=4000, height=1500, towns=40)
    studies.imghet(world, tmp_path, units=2000)
    table = pd.read_csv(tmp_path / "units.csv")
    arms = table.groupby("treated")["outcome"].mean()
    error = table["outcome"].std() * 2 / np.sqrt(len(table))
    assert arms[1] - arms[0] == pytest.approx(table["true_effect"].mean(), abs=4 * error)


def test_an_observational_study_is_confounded(tmp_path):
    world = make_world(seed=3, width=4000, height=1500, towns=40)
    studies.imgconfound(world, tmp_path, units=2000)
    table = pd.read_csv(tmp_path / "units.csv")
    arms = table.groupby("treated")["outcome"].mean()
    assert arms[1] - arms[0] > table["true_effect"].mean() + 0.5
    assert "probability" not in (tmp_path / "units.yaml").read_text()


def test_scenes_of_three_seasons_make_a_sequence(tmp_path):
    world = make_world(seed=3, width=4000, height=1500, towns=40)
    studies.eohet_rct(world, tmp_path, units=40)
    units = read_units(tmp_path / "units.yaml")
    assert units.images.shape[1:] == (3, 4, 64, 64)
    april, june, september = units.images.mean(axis=(0, 3, 4))
    assert abs(april[3] - june[3]) > 0.005  # near infrared, as plants grow
    assert not np.allclose(june, september)
    assert units.covariate_names == ("age",)
