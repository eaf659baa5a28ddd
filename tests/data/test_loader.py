"""Batches: right pixels in the right order whatever the threads and ranks; errors name the scene; threads end."""

import threading
import time
from functools import partial

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from odc.geo.geobox import GeoBox
from torch.utils.data import DataLoader

from halves import Left
from swath.data.blocks import BlockCache
from swath.data.classes import IGNORE
from swath.data.loader import Batches, PatchDataset
from swath.data.raster import open_raster
from swath.data.samplers import block_places, grid_places, random_places
from swath.data.scenes import Collection, Scene
from swath.data.sources import ArraySource
from swath.errors import ConfigError, DataError, ReadError
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands

SIZE, ORIGIN = 120, Affine(10, 0, 600000, 0, -10, 5200000)
BANDS = Bands("s", (Band("red", "reflectance", scale=1e-4, offset=-0.1, nodata=0), Band("nir", "reflectance")))


class Checker:
    """Class 0 and 1 in turns of ten pixels, unlabelled below row 100 of a scene at `ORIGIN`."""

    name = "checker"

    def read(self, grid):
        col, row = (round(v) for v in ~ORIGIN @ (grid.affine.c, grid.affine.f))
        rows, cols = np.mgrid[row : row + grid.shape[0], col : col + grid.shape[1]]
        return np.where(rows < 100, (rows // 10 + cols // 10) % 2, IGNORE).astype(np.int16)


def array(seed, size=SIZE, bands=BANDS, dtype=np.uint16, transform=ORIGIN):
    values = np.random.default_rng(seed).integers(0, 30, (len(bands), size, size)).astype(dtype)
    return ArraySource(values, bands, GeoBox((size, size), transform, "EPSG:32632"))


def world(count=3, **more):
    return Collection(
        tuple(
            Scene(f"s{n}", {"image": array(n)}, **({"labels": Checker(), "part": "train"} | more)) for n in range(count)
        )
    )


def as_bytes(batch):
    return b"".join(batch[key].numpy().tobytes() for key in sorted(batch))


def test_a_batch_holds_physical_values_validity_labels_and_where_they_are():
    scenes = world(part=Left(60))
    batches = Batches(scenes, partial(random_places, count=10), part="train", patch=32, batch=4)
    assert len(batches) == 3
    seen = list(batches)
    assert [len(b["scene"]) for b in seen] == [4, 4, 2]
    for batch in seen:
        assert {k: (v.dtype, v.shape[1:]) for k, v in batch.items()} == {
            "image": (torch.float32, (2, 32, 32)),
            "valid": (torch.bool, (32, 32)),
            "mask": (torch.int64, (32, 32)),
            "scene": (torch.int64, ()),
            "window": (torch.int64, (4,)),
        }
        for i, (scene, window) in enumerate(zip(batch["scene"].tolist(), batch["window"].tolist(), strict=True)):
            window = Window(*window)
            stored, valid = scenes[scene].layers["image"].read(window)
            assert not valid.all()
            physical = np.where(valid, BANDS.decode(stored), 0)
            np.testing.assert_array_equal(batch["image"][i].numpy(), physical)
            np.testing.assert_array_equal(batch["valid"][i].numpy(), valid)
            rows, cols = np.mgrid[window.row : window.row_stop, window.col : window.col_stop]
            counts = valid & (rows < 100) & (cols < 60)
            expected = np.where(counts, (rows // 10 + cols // 10) % 2, IGNORE)
            np.testing.assert_array_equal(batch["mask"][i].numpy(), expected)


def test_nothing_that_is_not_a_number_reaches_a_network():
    bands = Bands("s", (Band("a", "1", nodata=-1.7e308),))
    values = np.ones((1, 8, 8))
    values[0, 0, :4] = [np.nan, np.inf, -np.inf, -1.7e308]
    source = ArraySource(values, bands, GeoBox((8, 8), ORIGIN, "EPSG:32632"))
    (batch,) = Batches(Collection((Scene("x", {"i": source}),)), grid_places, part=None, patch=10, batch=1)
    assert batch["image"].isfinite().all()
    assert batch["image"].sum() == batch["valid"].sum() == 60
    assert "mask" not in batch


def test_the_order_does_not_depend_on_threads():
    def run(threads, prefetch, seed=1):
        batches = Batches(
            world(), block_places, part="train", patch=16, batch=7, threads=threads, prefetch=prefetch, seed=seed
        )
        return [[as_bytes(batch) for batch in batches] for _ in range(2)]

    one = run(1, 1)
    assert one == run(4, 3)
    assert one[0] != one[1]
    assert one != run(1, 1, seed=2)


def test_epochs_can_be_resumed():
    batches = Batches(world(), block_places, part="train", patch=16, batch=7)
    _, second = ([as_bytes(b) for b in batches] for _ in range(2))
    resumed = Batches(world(), block_places, part="train", patch=16, batch=7)
    resumed.epoch = 1
    assert [as_bytes(b) for b in resumed] == second


@pytest.mark.parametrize("count", [24, 25, 23, 3])
def test_ranks_share_the_steps_of_one_process(count):
    def steps(batch, **ranks):
        batches = Batches(world(), partial(block_places, count=count), part="train", patch=16, batch=batch, **ranks)
        found = [
            {(s, *w) for s, w, v in zip(b["scene"].tolist(), b["window"].tolist(), b["valid"], strict=True) if v.any()}
            for b in batches
        ]
        assert len(found) == len(batches)
        return found

    alone, ranks = steps(8), [steps(2, rank=rank, world=4) for rank in range(4)]
    assert all(len(rank) == len(alone) for rank in ranks)
    for step, together in enumerate(alone):
        shares = [rank[step] for rank in ranks]
        assert set.union(*shares) == together
        assert sum(map(len, shares)) == len(together)


def test_several_layers_are_laid_on_the_grid_of_the_first():
    coarse = array(9, 60, Bands("radar", (Band("vv", "dB"),)), np.float32, ORIGIN @ Affine.scale(2))
    scenes = Collection((Scene("x", {"optical": array(0), "radar": coarse}),))
    (batch,) = Batches(scenes, grid_places, part=None, patch=SIZE, batch=1)
    assert batch["image"]["optical"].shape == (1, 2, SIZE, SIZE)
    radar = batch["image"]["radar"][0, 0].numpy()
    stored = coarse.read(Window(0, 0, 60, 60))[0][0]
    # Bilinear weights of a pixel centre a quarter of a coarse pixel off: 9/16, 3/16, 3/16, 1/16.
    expected = (9 * stored[5, 5] + 3 * stored[4, 5] + 3 * stored[5, 4] + stored[4, 4]) / 16
    if batch["valid"][0, 10, 10]:
        assert radar[10, 10] == pytest.approx(expected)
    again = array(5, SIZE, Bands("other", (Band("x", "1"),)))
    with pytest.raises(DataError, match="different layers or bands"):
        Batches(Collection((*scenes, Scene("y", {"optical": again}))), grid_places, part=None, patch=8, batch=1)


def test_unlabelled_scenes_beside_labelled_ones_have_no_mask():
    scenes = Collection((*world(1), Scene("bare", {"image": array(7)}, part="train")))
    (batch,) = Batches(scenes, grid_places, part="train", patch=SIZE, batch=2)
    assert (batch["mask"][0] != IGNORE).any()
    assert (batch["mask"][1] == IGNORE).all()


class Broken(ArraySource):
    def read(self, window):
        if window.row <= 40 < window.row_stop:
            raise ReadError("x.tif is damaged", fix="Copy it anew")
        return super().read(window)


def damaged():
    values = np.ones((2, SIZE, SIZE), np.uint16)
    source = Broken(values, BANDS, GeoBox((SIZE, SIZE), ORIGIN, "EPSG:32632"))
    return Collection((Scene("fine", {"image": array(0)}), Scene("broken", {"image": source}, Checker())))


def test_an_error_names_the_scene_and_ends_the_epoch():
    before = threading.active_count()
    with pytest.raises(ReadError, match=r"Scene broken cannot be read: x.tif is damaged.*Copy it anew"):
        list(Batches(damaged(), grid_places, part=None, patch=30, batch=4))
    assert threading.active_count() == before


def test_on_request_a_damaged_patch_is_skipped_and_listed():
    batches = Batches(damaged(), grid_places, part=None, patch=30, batch=4, on_error="skip")
    bad = 0
    for batch in batches:
        for scene, window, valid, mask, image in zip(
            *(batch[k] for k in ("scene", "window", "valid", "mask", "image")), strict=True
        ):
            if scene == 1 and window[0] == 30:
                bad += 1
                assert not valid.any()
                assert (mask == IGNORE).all()
                assert not image.any()
            else:
                assert valid.any()
    assert bad == len(batches.skipped) == 4
    assert batches.skipped[0].scene == "broken"
    assert batches.skipped[0].window == Window(30, 0, 30, 30)
    assert "damaged" in batches.skipped[0].reason


def test_labels_that_are_wrong_are_not_skipped():
    class Strange(Checker):
        def read(self, grid):
            raise DataError("labels hold values outside the classes", got="77")

    scenes = world(1, labels=Strange())
    with pytest.raises(DataError, match="Scene s0 cannot be read: labels hold"):
        list(Batches(scenes, grid_places, part="train", patch=60, batch=4, on_error="skip"))


def test_threads_end_when_the_iteration_is_left():
    before = set(threading.enumerate())
    reads = []

    class Slow(ArraySource):
        def read(self, window):
            reads.append(window)
            time.sleep(0.01)
            return super().read(window)

    source = Slow(np.ones((2, SIZE, SIZE), np.uint16), BANDS, GeoBox((SIZE, SIZE), ORIGIN, "EPSG:32632"))
    iterator = iter(Batches(Collection((Scene("x", {"i": source}),)), grid_places, part=None, patch=6, batch=4))
    next(iterator)
    iterator.close()
    assert set(threading.enumerate()) == before
    assert len(reads) < 60


def test_augmentation_is_applied_to_each_batch():
    def flip(batch):
        return {**batch, "image": batch["image"].flip(-1)}

    plain, flipped = (
        next(iter(Batches(world(), block_places, part="train", patch=16, batch=3, augment=augment)))
        for augment in (None, flip)
    )
    assert torch.equal(plain["image"].flip(-1), flipped["image"])


def test_numbers_out_of_range():
    for wrong in ({"batch": 0}, {"threads": 0}, {"prefetch": 0}, {"rank": 1}, {"world": 0}):
        with pytest.raises(ConfigError, match="Batches cannot be made"):
            Batches(world(), block_places, **({"part": "train", "patch": 8, "batch": 2} | wrong))
    with pytest.raises(ConfigError, match="raise or skip"):
        Batches(world(), block_places, part="train", patch=8, batch=2, on_error="ignore")
    with pytest.raises(DataError, match="'val'"):
        len(Batches(world(), block_places, part="val", patch=8, batch=2))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_the_same_patches_through_a_plain_data_loader(tmp_path, workers):
    scenes = []
    for n in range(2):
        path = tmp_path / f"{n}.tif"
        profile = {"count": 2, "dtype": "uint16", "crs": "EPSG:32632", "transform": ORIGIN, "compress": "deflate"}
        with rasterio.open(path, "w", "GTiff", SIZE, SIZE, **profile) as file:
            file.write(np.random.default_rng(n).integers(0, 999, (2, SIZE, SIZE)).astype(np.uint16))
        scenes.append(
            Scene(path.stem, {"image": open_raster(path, bands=BANDS, cache=BlockCache(10**7))}, part="train")
        )
    scenes = Collection(tuple(scenes))
    places = block_places(scenes, "train", 32, seed=0)
    batches = list(Batches(scenes, places, part="train", patch=32, batch=4))
    loaded = list(DataLoader(PatchDataset(scenes, places, "train"), batch_size=4, num_workers=workers))
    assert [as_bytes(b) for b in batches] == [as_bytes(b) for b in loaded]
