"""Samples of other libraries as collections."""

import numpy as np
import pytest
import torch

from swath.data.classes import IGNORE, Classes
from swath.data.loader import Batches
from swath.data.samplers import grid_places
from swath.data.sources import Source
from swath.data.torchgeo import from_torchgeo
from swath.errors import BandError, DataError
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands

RGB = Bands("rgb", tuple(Band(n, "dn") for n in ("red", "green", "blue")))


class Plain:
    """The protocol of a TorchGeo data set, without TorchGeo."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.images = [rng.random((3, 20 + n, 30)).astype(np.float32) for n in range(3)]
        self.masks = [rng.integers(0, 4, (20 + n, 30)) for n in range(3)]

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return {"image": torch.from_numpy(self.images[index]), "mask": torch.from_numpy(self.masks[index])}


def test_samples_become_batches():
    data = Plain()
    collection = from_torchgeo(data, RGB, Classes.of(["a", "b", "c"], ignored=[3]), "plain")
    assert isinstance(collection[0].layers["image"], Source)
    assert collection[2].grid.shape == (22, 30)
    (batch,) = Batches(collection, grid_places, part=None, patch=32, batch=3)
    for n in range(3):
        inside = Window(0, 0, 20 + n, 30).slices
        np.testing.assert_array_equal(batch["image"][n][:, *inside].numpy(), data.images[n])
        np.testing.assert_array_equal(
            batch["mask"][n][inside].numpy(), np.where(data.masks[n] < 3, data.masks[n], IGNORE)
        )
        assert batch["valid"][n].sum() == (20 + n) * 30


def test_what_does_not_fit_is_named():
    with pytest.raises(BandError, match=r"plain\[0\]\['image'\].*got 3; expected 1"):
        Batches(
            from_torchgeo(Plain(), Bands("s", (Band("one", "dn"),)), name="plain"),
            grid_places,
            part=None,
            patch=8,
            batch=1,
        ).places()

    class Unlabelled(Plain):
        def __getitem__(self, index):
            return {"image": torch.from_numpy(self.images[index])}

    collection = from_torchgeo(Unlabelled(), RGB, Classes.of(2))
    with pytest.raises(DataError, match="missing"):
        list(Batches(collection, grid_places, part=None, patch=8, batch=1))


def test_a_data_set_of_torchgeo():
    datasets = pytest.importorskip("torchgeo.datasets", reason="TorchGeo is not installed")

    class OfTorchGeo(Plain, datasets.NonGeoDataset):
        pass

    (batch,) = Batches(from_torchgeo(OfTorchGeo(), RGB), grid_places, part=None, patch=32, batch=3)
    assert batch["image"].shape == (3, 3, 32, 32)
    assert "mask" not in batch
