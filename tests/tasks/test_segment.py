from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from torchmetrics.functional.classification import multiclass_jaccard_index

import small_segmentation as small
from swath.data.classes import Classes
from swath.data.scenes import Collection
from swath.errors import ConfigError, DataError, RunError
from swath.geo.windows import Window
from swath.tasks.weights import load_state

SCRIPT = Path(small.__file__)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[small.Segmentation, Path]:
    folder = tmp_path_factory.mktemp("run")
    task = small.task()
    task.fit(small.data(), folder, seed=3, accelerator="cpu")
    return task, folder


def run_script(folder: Path, devices: int = 1, pause: float = 0.0) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), str(devices), str(pause)], stderr=subprocess.DEVNULL
    )


def test_a_run_holds_what_it_should(fitted: tuple[small.Segmentation, Path]) -> None:
    _, folder = fitted
    names = {path.name for path in folder.iterdir()}
    assert {"task.json", "weights.safetensors", "metrics.csv", "leaks.json", "last.ckpt", "versions.json"} <= names
    assert len((folder / "metrics.csv").read_text().splitlines()) == 5


def test_a_fit_leaves_the_settings_of_torch_as_they_were(fitted: tuple[small.Segmentation, Path]) -> None:
    assert not torch.are_deterministic_algorithms_enabled()


def test_it_learns_what_single_pixels_do_not_show(fitted: tuple[small.Segmentation, Path]) -> None:
    scores = fitted[0].score(small.data(), resamples=200)
    assert scores.system["miou"].value > max(rival["miou"].value for rival in scores.baselines.values())
    assert scores.baselines["majority"]["kappa"].value == 0


def test_score_is_torchmetrics_on_whole_pictures(fitted: tuple[small.Segmentation, Path]) -> None:
    """Patches of 32 are cut with a margin of 4; the network sees 2 pixels around, so nothing is lost at their edges."""
    task, _ = fitted
    predicted, true = [], []
    for scene in small.data().with_part("test"):
        window = Window(0, 0, 64, 64)
        values, valid = scene.layers["image"].read(window)
        with torch.inference_mode():
            batch = {"image": torch.from_numpy(values)[None], "valid": torch.from_numpy(valid)[None]}
            predicted.append(task(batch)[0].argmax(0))
        true.append(torch.from_numpy(scene.labels.read(scene.grid)).long())  # type: ignore[union-attr]
    expected = multiclass_jaccard_index(torch.stack(predicted), torch.stack(true), 2)
    assert task.score(small.data(), resamples=2).system["miou"].value == pytest.approx(float(expected), abs=1e-6)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    fitted: tuple[small.Segmentation, Path], tmp_path: Path
) -> None:
    expected = load_state(fitted[1] / "weights.safetensors")
    small.task().fit(small.data(), tmp_path / "same", seed=3, accelerator="cpu", threads=1)
    same = load_state(tmp_path / "same" / "weights.safetensors")
    small.task().fit(small.data(), tmp_path / "other", seed=4, accelerator="cpu")
    other = load_state(tmp_path / "other" / "weights.safetensors")
    assert all(torch.equal(same[name], tensor) for name, tensor in expected.items())
    assert not all(torch.equal(other[name], tensor) for name, tensor in expected.items())


@pytest.mark.slow
def test_a_killed_fit_goes_on_to_the_same_weights(fitted: tuple[small.Segmentation, Path], tmp_path: Path) -> None:
    run = run_script(tmp_path, pause=0.3)
    while run.poll() is None and not (tmp_path / "last.ckpt").exists():
        time.sleep(0.05)
    time.sleep(0.4)  # into the next epoch
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    rows = (tmp_path / "metrics.csv").read_text().splitlines()
    assert len(rows) < 5, "it was killed too late for the test to say anything"
    small.task().fit(small.data(), tmp_path, seed=3, accelerator="cpu")
    expected, found = (load_state(folder / "weights.safetensors") for folder in (fitted[1], tmp_path))
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert (tmp_path / "metrics.csv").read_text() == (fitted[1] / "metrics.csv").read_text()


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    """The mean over two half batches is that over the batch. Dropout is off: each process would draw its own."""
    small.task(dropout=0.0).fit(small.data(), tmp_path / "one", seed=3, accelerator="cpu")
    assert run_script(tmp_path / "two", devices=2).wait() == 0
    expected, found = (load_state(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-4)


def test_another_recipe_does_not_go_on_in_a_run(fitted: tuple[small.Segmentation, Path]) -> None:
    with pytest.raises(RunError, match="begun with other options"):
        small.task(learning_rate=0.5).fit(small.data(), fitted[1], seed=3, accelerator="cpu")


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="loss became nan"):
        small.task(learning_rate=1e30).fit(small.data(), tmp_path, accelerator="cpu")


def test_map_of_a_scene_is_the_networks_largest_score(fitted: tuple[small.Segmentation, Path], tmp_path: Path) -> None:
    task, _ = fitted
    scene = small.scene(50, None)
    written = task.predict(scene, tmp_path / "map.tif", products=("classes", "vectors"), progress=False)
    values, valid = scene.layers["image"].read(Window(0, 0, 64, 64))
    with torch.inference_mode():
        batch = {"image": torch.from_numpy(values)[None], "valid": torch.from_numpy(valid)[None]}
        expected = task(batch)[0].argmax(0).numpy()
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(written[0]) as raster:
        found = raster.read(1)
    assert (found == expected).mean() > 0.999
    import geopandas as gpd

    squares = gpd.read_file(written[1])
    assert squares.area[squares["class"] == "square"].sum() == (found == 1).sum()


@pytest.mark.parametrize(("products", "error"), [(("classes", "height"), ConfigError)])
def test_unknown_product(
    fitted: tuple[small.Segmentation, Path], products: tuple[str, ...], error: type[Exception]
) -> None:
    with pytest.raises(error, match="no product 'height'"):
        fitted[0].predict(small.scene(0, None), Path("unused.tif"), products=products)


def test_other_classes_are_refused(fitted: tuple[small.Segmentation, Path]) -> None:
    data = small.data()
    strange = Collection(data.scenes, Classes.of(["a", "b"]))
    with pytest.raises(DataError, match="other classes than the task: got a, b; expected ground, square"):
        fitted[0].score(strange)


def test_class_weights_are_inverse_to_counts(tmp_path: Path) -> None:
    task = small.task(class_weights="inverse")
    task.prepare(small.data())
    labels = np.stack([s.labels.read(s.grid) for s in small.data().with_part("train")])  # type: ignore[union-attr]
    counts = np.bincount(labels.ravel())
    expected = counts.sum() / (2 * counts)
    torch.testing.assert_close(task.loss.weights, torch.tensor(expected, dtype=torch.float32))
