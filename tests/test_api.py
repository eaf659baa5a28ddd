"""The names of the package itself, as the README uses them."""

import numpy as np
import torch

import swath
import tiny
from swath.data.raster import RasterSource


def test_a_scene_opens(tmp_path):
    path = tiny.write_raster(tmp_path / "a.tif", tiny.smooth(8, 8, bands=4), tiny.grid(8, 8))
    source = swath.open(path)
    assert isinstance(source, RasterSource)
    assert np.dtype(source.dtype) == np.float32


def test_a_saved_task_comes_back_with_what_it_learned(tmp_path):
    task = swath.create("bhutan_rice", variant="published", features="RGBNE")
    task.save(tmp_path / "run")
    again = swath.load(str(tmp_path / "run"))
    batch = {"image": torch.rand(2, len(task.bands["image"]), 4, 4), "valid": torch.ones(2, 4, 4, dtype=torch.bool)}
    with torch.no_grad():
        assert torch.equal(task.eval()(batch), again.eval()(batch))
    assert again.bands == task.bands
    assert again.classes == task.classes
